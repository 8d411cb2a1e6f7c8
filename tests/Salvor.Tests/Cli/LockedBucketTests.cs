using System.Text.Json;
using Salvor.Storage;
using Salvor.Storage.S3;
using Salvor.Tests.Files;
using Salvor.Tests.Support;
using Salvor.Tests.Vault.Pruning;

namespace Salvor.Tests.Cli;

/// <summary>Buckets that do not do all that is asked of them, because of locks or of credentials, and what an operator is told.</summary>
public sealed class LockedBucketTests : IAsyncDisposable
{
    static readonly string[] Reading =
        ["s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket", "s3:ListBucketVersions", "s3:GetBucketVersioning"];

    readonly CliRig _rig = new();

    static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public ValueTask DisposeAsync() => _rig.DisposeAsync();

    [Fact]
    public async Task A_damaged_copy_that_may_not_be_written_over_is_a_warning_and_a_failure_where_that_is_asked_for()
    {
        var gateway = await CephGateway.StartedAsync();
        var bucket = await gateway.NewBucketAsync();
        var folder = new FileStore(_rig["vaults"], createRoot: true);
        await VaultModel.BuildAsync(folder, new Random(7), steps: 2);
        var copy = CephGateway.Open(bucket);
        await CopyAsync(folder, copy);
        await copy.ReplaceAsync("app/log/000001/0000000000000001", new byte[400], default);
        await gateway.AllowOtherAsync(bucket.Bucket, Reading);
        Configure("local, offsite", bucket, CephGateway.Other, "");

        var told = await _rig.ConfiguredAsync("repair", "app");
        var strict = await _rig.ConfiguredAsync("repair", "app", "--strict", "--json");

        Assert.True(told.ExitCode == 0, $"{told}");
        Assert.Contains(" 0 healed, 0 lost, 1 not writable\n", told.Stdout, StringComparison.Ordinal);
        Assert.Contains("cannot heal log/000001/0000000000000001 at ", told.Stderr, StringComparison.Ordinal);
        Assert.Contains(
            "warning: app: 1 object(s) stay damaged where nothing may be written over, and are whole elsewhere. "
                + "hint: Restores read the good copy;",
            told.Stderr, StringComparison.Ordinal);
        Assert.True(strict.ExitCode == 1, $"{strict}");
        Assert.Equal(1, JsonElement.Parse(strict.Stdout).GetProperty("sources")[0].GetProperty("degraded").GetInt32());
    }

    [Fact]
    public async Task A_prune_locks_for_longer_what_stays_and_does_so_once()
    {
        var bucket = await (await CephGateway.StartedAsync()).NewLockableBucketAsync();
        var store = CephGateway.Open(bucket with { Lock = new S3Lock(S3LockMode.Governance, TimeSpan.FromHours(1)) });
        await VaultModel.BuildAsync(store, new Random(7), steps: 2);
        Configure("offsite", bucket, CephGateway.Owner, "object_lock: { mode: governance, days: 30 }, ");

        Directory.CreateDirectory(_rig["app/.salvor"]);

        var first = await _rig.ConfiguredAsync("prune", "app");
        var second = await _rig.ConfiguredAsync("prune", "app");

        Assert.True(first.ExitCode == 0 && second.ExitCode == 0, $"{first}{second}");
        Assert.Matches(@"\napp at offsite: \d+ lock\(s\) now last until \S+Z\n", first.Stdout);
        Assert.DoesNotContain("lock(s)", second.Stdout, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("files, paths: [./app]")]
    [InlineData("command, command: [cat, ./app/data]")]
    public async Task Backups_of_files_and_commands_are_locked_and_come_back_from_beneath_what_was_deleted(string source)
    {
        var bucket = await (await CephGateway.StartedAsync()).NewLockableBucketAsync();
        var store = CephGateway.Open(bucket);
        await File.WriteAllBytesAsync(_rig["app/data"], TreeRig.Bytes(1, 300_000), Cancel);
        Configure(
            "offsite", bucket, CephGateway.Owner, "object_lock: { mode: governance, days: 30 }, ",
            $"app: {{ type: {source}, max_backups: 1, state_dir: ./state, to: [offsite] }}");
        var first = await _rig.Start("backup", "--config", "salvor.yaml").ExitAsync();
        await File.WriteAllBytesAsync(_rig["app/data"], TreeRig.Bytes(2, 300_000), Cancel);
        var second = await _rig.Start("backup", "--config", "salvor.yaml", "--verify").ExitAsync();
        var pruned = await _rig.ConfiguredAsync("prune");
        var keys = await store.ListAsync("app/", null, Cancel).Select(row => row.Key).ToListAsync(Cancel);
        foreach (var key in keys)
        {
            var version = Assert.Single(await store.Locks.VersionsAsync(key, Cancel));
            var destroying = () => store.Locks.DeleteVersionAsync(key, version.Id, Cancel);
            Assert.Equal(StorageFailure.Denied, (await Assert.ThrowsAsync<StorageException>(destroying)).Failure);
            await store.Locks.HideAsync(key, Cancel);
        }

        var restored = await _rig.ConfiguredAsync("restore", "app", "--output", _rig["out"]);
        var verified = await _rig.ConfiguredAsync("verify");

        Assert.True(first.ExitCode == 0 && second.ExitCode == 0 && pruned.ExitCode == 0, $"{first}{second}{pruned}");
        Assert.Contains(keys, key => key.StartsWith("app/condemned/", StringComparison.Ordinal));
        Assert.True(restored.ExitCode == 0, $"{restored}");
        var back = source.StartsWith("files", StringComparison.Ordinal) ? _rig["out"] + _rig["app/data"] : _rig["out"];
        Assert.Equal(TreeRig.Bytes(2, 300_000), await File.ReadAllBytesAsync(back, Cancel));
        Assert.True(verified.ExitCode == 5, $"what was deleted is not told: {verified}");
    }

    [Fact]
    public async Task A_prune_deletes_with_the_credentials_for_that_and_says_what_it_may_not_without_them()
    {
        var gateway = await CephGateway.StartedAsync();
        var bucket = await gateway.NewBucketAsync();
        var aged = await AgedVault.CreateAsync();
        var (plan, _) = await aged.CondemnAsync();
        await aged.EndGraceAsync();
        await aged.CopyToAsync(_rig["vaults"]);
        await CopyAsync(new FileStore(_rig["vaults"]), CephGateway.Open(bucket));
        await gateway.AllowOtherAsync(bucket.Bucket, [.. Reading, "s3:PutObject"]);
        var condemned = plan.Condemned.Sum(group => group.Keys.Count);

        Configure("offsite", bucket, CephGateway.Other, "");
        var refused = await PruneAsync();
        Configure(
            "offsite", bucket, CephGateway.Other,
            "maintain: { access_key_id: 'file:./owner-id', secret_access_key: 'file:./owner-secret' }, ");
        var done = await PruneAsync();

        Assert.Equal((0, condemned), (refused.Deleted, refused.Refused));
        Assert.Equal((condemned, 0), (done.Deleted, done.Refused));
    }

    [Fact]
    public async Task A_bench_only_tries_whether_copies_can_be_destroyed_where_that_is_asked()
    {
        var gateway = await CephGateway.StartedAsync();
        Configure("offsite", await gateway.NewLockableBucketAsync(), CephGateway.Owner, "object_lock: { mode: governance, days: 30 }, ");
        var locked = await _rig.ConfiguredAsync("bench", "destination", "offsite", "--probe", "--json");
        Configure("offsite", await gateway.NewBucketAsync(), CephGateway.Owner, "");
        var open = await _rig.ConfiguredAsync("bench", "destination", "offsite", "--probe");

        Assert.True(locked.ExitCode == 0, $"{locked}");
        var document = JsonElement.Parse(locked.Stdout);
        Assert.True(document.GetProperty("protected").GetBoolean(), $"{locked}");
        Assert.All(document.GetProperty("steps").EnumerateArray(), step => Assert.True(step.GetProperty("held").GetBoolean(), $"{step}"));
        Assert.True(open.ExitCode == 0, $"{open}");
        Assert.Contains("\n[unprotected] copies can be deleted by whoever has these credentials", open.Stdout, StringComparison.Ordinal);
    }

    async Task<(int Deleted, int Refused)> PruneAsync()
    {
        var result = await _rig.ConfiguredAsync("prune", "app", "--gc-only", "--json");
        Assert.True(result.ExitCode == 0, $"{result}");
        var vault = JsonElement.Parse(result.Stdout).GetProperty("vaults")[0];
        return (vault.GetProperty("deleted_objects").GetInt32(), vault.GetProperty("refused_objects").GetInt32());
    }

    static async Task CopyAsync(FileStore from, S3Store to)
    {
        foreach (var row in await from.ListAsync("", null, default).ToListAsync())
        {
            await to.PutAsync(row.Key, await from.GetAsync(row.Key, row.SizeBytes, default), default);
        }
    }

    void Configure(string to, S3Options bucket, AwsCredentials who, string more, string? source = null)
    {
        foreach (var (name, credentials) in ((string, AwsCredentials)[])[("who", who), ("owner", CephGateway.Owner)])
        {
            File.WriteAllText(_rig[$"{name}-id"], credentials.AccessKeyId);
            File.WriteAllText(_rig[$"{name}-secret"], credentials.SecretAccessKey);
            File.SetUnixFileMode(_rig[$"{name}-id"], UnixFileMode.UserRead);
            File.SetUnixFileMode(_rig[$"{name}-secret"], UnixFileMode.UserRead);
        }

        File.WriteAllText(
            _rig["salvor.yaml"],
            $$"""
            destinations:
              local: { type: file, path: ./vaults }
              offsite:
                { type: s3, bucket: {{bucket.Bucket}}, {{more}}endpoint: '{{bucket.Endpoint}}', access_key_id: 'file:./who-id',
                  secret_access_key: 'file:./who-secret' }
            sources:
              {{source ?? $"app: {{ type: sqlite, path: ./app/app.db, to: [{to}] }}"}}

            """);
    }
}
