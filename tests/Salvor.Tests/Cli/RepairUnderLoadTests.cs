using Salvor.Tests.Support;

namespace Salvor.Tests.Cli;

/// <summary>An app writes, a daemon replicates, disks rot, repairs run and are killed, and somebody restores, all at once.</summary>
public sealed class RepairUnderLoadTests : IAsyncDisposable
{
    readonly CliRig _rig = new();

    public ValueTask DisposeAsync() => _rig.DisposeAsync();

    [Fact]
    public async Task Nothing_is_lost_and_no_wrong_byte_restored()
    {
        var random = new Random(TestSeed.Take());
        Directory.CreateDirectory(_rig["ledgers"]);
        await File.WriteAllTextAsync(
            _rig["salvor.yaml"],
            """
            destinations:
              local: { type: file, path: ./vaults }
              more: { type: file, path: ./more }
            sources:
              app: { type: sqlite, path: ./app/app.db, to: [local, more], verify: off }

            """);
        await using var app = new Workload(_rig.Database, _rig["ledgers"], new WorkloadOptions { Rate = 50 }, writerCount: 2);
        await app.StartAsync();
        var daemon = await _rig.DaemonAsync("app", "healthy");
        await Eventually.HoldsAsync(() => File.Exists(_rig["more/app/vault"]), () => daemon.Stderr, TimeSpan.FromSeconds(30));
        for (var round = 0; round < TestSeed.Count("SALVOR_ROUNDS", 6); round++)
        {
            await Task.Delay(random.Next(500), TestContext.Current.CancellationToken);
            Rot(random);
            var repair = _rig.Start("repair", "--config", _rig["salvor.yaml"], "--quiet");
            var floor = app.LastAcked();
            Assert.Equal(0, (await _rig.ConfiguredAsync("sync", "--timeout", "60s")).ExitCode);
            var output = _rig[$"restored-{round}.db"];
            var restored = await _rig.ConfiguredAsync("restore", "--output", output);
            Assert.True(restored.ExitCode == 0, $"{restored}");
            var verdict = await Oracle.JudgeAsync(output, app.Ledgers, new Bounds { AtLeast = floor });
            Assert.True(verdict.Ok, string.Join("; ", verdict.Errors));
            if (random.Next(2) == 0)
            {
                await repair.KillAsync();
            }

            // Nothing may be whole nowhere: what one round broke is healed before the next one breaks more.
            var healed = await _rig.ConfiguredAsync("repair", "--quiet");
            Assert.True(healed.ExitCode == 0, $"{healed}");
            app.AssertHealthy();
        }

        await app.StopAsync();
        await CliRig.StopAsync(daemon);
        var last = await _rig.ConfiguredAsync("repair");
        Assert.True(last.ExitCode == 0, $"{last}");
        var verified = await _rig.ConfiguredAsync("verify", "--deep", "--full");
        Assert.True(verified.ExitCode == 0, $"{verified}");
    }

    /// <summary>Flips bits in, cuts or removes a few objects, each at one destination.</summary>
    void Rot(Random random)
    {
        string[] keys = [.. Directory.GetFiles(_rig["more/app"], "*", SearchOption.AllDirectories)
            .Where(path => !Path.GetFileName(path).StartsWith('.'))
            .Select(path => Path.GetRelativePath(_rig["more"], path))];
        foreach (var key in keys.OrderBy(_ => random.Next()).Take(5))
        {
            var path = _rig[random.Next(2) == 0 ? $"vaults/{key}" : $"more/{key}"];
            if (!File.Exists(path) || key.Contains("claims", StringComparison.Ordinal))
            {
                continue;
            }

            var bytes = File.ReadAllBytes(path);
            switch (random.Next(3))
            {
                case 0 when !key.EndsWith("/vault", StringComparison.Ordinal):
                    File.Delete(path);
                    break;
                case 1:
                    File.WriteAllBytes(path, bytes[..random.Next(bytes.Length)]);
                    break;
                default:
                    bytes[random.Next(bytes.Length)] ^= 4;
                    File.WriteAllBytes(path, bytes);
                    break;
            }
        }
    }
}
