using Salvor.Storage;
using Salvor.Storage.S3;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Copies;
using Salvor.Vault.Verify;

namespace Salvor.Tests.Vault.Copies;

/// <summary>Somebody with all permissions deletes and overwrites what lies in a real bucket, as far as its lock lets them.</summary>
public sealed class TamperingTests
{
    [Fact]
    public async Task Whoever_hides_and_overwrites_every_object_takes_no_restore_point_and_a_repair_brings_all_of_it_back()
    {
        var gateway = await CephGateway.StartedAsync();
        var bucket = await gateway.NewLockableBucketAsync() with { Lock = new S3Lock(S3LockMode.Compliance, TimeSpan.FromHours(1)) };
        var model = await VaultModel.BuildAsync(CephGateway.Open(bucket), new Random(7), steps: 8);
        var attacker = CephGateway.Open(bucket with { Lock = null });
        var keys = await attacker.ListAsync("app/", null, default).Select(row => row.Key).ToListAsync();
        await AttackAsync(attacker, keys);

        var store = CephGateway.Open(bucket);
        foreach (var point in model.Points.Where((_, index) => index % 3 == 0).Append(model.Points.Last()))
        {
            Assert.Equal(point.Content, await VaultReading.RestoreAsync(store, point.Branch, point.Position));
        }

        var report = await VerifyAsync(store);
        Assert.All(report.Findings, finding => Assert.True(finding.IsKept, $"{finding}"));
        Assert.Equal(keys.Order(), report.Findings.Select(finding => "app/" + finding.Key).Order());
        Assert.Contains(report.Findings, finding => finding.What == "somebody deleted it, and the destination keeps it still");
        const string Overwritten = "; it was overwritten, and what was there before is kept and whole";
        Assert.Contains(report.Findings, finding => finding.What.EndsWith(Overwritten, StringComparison.Ordinal));

        var repair = new VaultRepair([(await VaultAccess.FindAsync(store, "app", default))!], parallelism: 4);
        var steps = new List<RepairStep>();
        await foreach (var step in repair.PlanAsync(default))
        {
            steps.Add(await repair.CarryOutAsync(step, default));
        }

        Assert.All(steps, step => Assert.True(step.WrittenBytes > 0, $"{step}"));
        Assert.Equal(keys.Order(), steps.Select(step => "app/" + step.Key).Order());
        var healed = CephGateway.Open(bucket);
        Assert.Empty((await VerifyAsync(healed)).Findings);
        Assert.DoesNotContain(await healed.ListAsync("", null, default).ToListAsync(), row => row.IsHidden);
        Assert.Equal(model.Points.Last().Content, await VaultReading.RestoreAsync(
            healed, model.Points.Last().Branch, model.Points.Last().Position));
    }

    /// <summary>By turns: hides, overwrites, and overwrites and hides. What is locked withstands the rest.</summary>
    static async Task AttackAsync(S3Store attacker, List<string> keys)
    {
        foreach (var (index, key) in keys.Index())
        {
            var version = Assert.Single(await attacker.Locks.VersionsAsync(key, default));
            await Assert.ThrowsAsync<StorageException>(() => attacker.Locks.DeleteVersionAsync(key, version.Id, default));
            if (index % 3 > 0)
            {
                await attacker.Locks.PutAsync(key, new byte[300], only: null, default);
            }

            if (index % 3 != 1)
            {
                await attacker.Locks.HideAsync(key, default);
            }
        }
    }

    static async Task<VerifyReport> VerifyAsync(IObjectStore store) =>
        await new VaultVerifier((await VaultAccess.FindAsync(store, "app", default))!, new VerifyOptions()).RunAsync(default);
}
