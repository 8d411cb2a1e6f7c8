using System.Text.Json;
using Salvor.Storage;
using Salvor.Tests.Files;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Pruning;

namespace Salvor.Tests.Cli;

/// <summary>
/// Salvor is killed while it backs up, restores or prunes files. What is offered is whole, and the next run needs no help.
/// </summary>
public sealed class FilesKillTests : IAsyncDisposable
{
    const int Kills = 3;
    const int FileCount = 120;
    const string Litters = "7777";

    static readonly EnumerationOptions All = new() { RecurseSubdirectories = true, AttributesToSkip = 0 };

    readonly CliRig _rig = new();
    readonly Random _random = new(TestSeed.Take());

    public FilesKillTests()
    {
        Directory.CreateDirectory(_rig["vaults"]);
        for (var file = 0; file < FileCount; file++)
        {
            Write(file);
        }

        File.CreateSymbolicLink(_rig["app/link"], "0/0");
        _rig.Configure("tree: { type: files, paths: [./app], to: [local], max_backups: 2 }");
    }

    public ValueTask DisposeAsync() => _rig.DisposeAsync();

    [Fact]
    public async Task A_backup_killed_at_any_moment_offers_nothing_that_is_not_whole_and_the_next_one_is_complete()
    {
        for (var kill = 0; kill < Kills; kill++)
        {
            Change();
            var growth = StoredBytes() + _random.Next(12 << 20);
            await KillAsync(() => StoredBytes() > growth, "backup", "--config", "salvor.yaml");

            var verified = await _rig.ConfiguredAsync("verify");
            Assert.True(verified.ExitCode is 0 or 6, $"{verified}");
        }

        var made = await _rig.ConfiguredAsync("backup", "--verify");
        Assert.True(made.ExitCode == 0, $"{made}");
        await ExpectRestoredAsync("out");
    }

    [Fact]
    public async Task A_restore_killed_at_any_moment_leaves_nothing_that_looks_whole_and_the_next_one_is()
    {
        var made = await _rig.ConfiguredAsync("backup");
        Assert.True(made.ExitCode == 0, $"{made}");
        for (var kill = 0; kill < Kills; kill++)
        {
            var target = $"out-{kill}";
            var files = _random.Next(FileCount);
            await KillAsync(
                () => FilesBelow(target) > files, "restore", "--config", "salvor.yaml", "--output", target);

            await ExpectRestoredAsync(target);
        }
    }

    [Fact]
    public async Task A_restore_that_was_killed_goes_on_from_what_it_had_fetched()
    {
        const int Large = 10, LargeBytes = 8 << 20;
        for (var file = 0; file < Large; file++)
        {
            File.WriteAllBytes(_rig[$"app/large-{file}"], TreeRig.Bytes(file, LargeBytes));
        }

        await _rig.ConfiguredAsync("backup");
        var config = File.ReadAllText(_rig["salvor.yaml"]);
        File.WriteAllText(_rig["salvor.yaml"], config.Replace("./vaults", "./vaults, max_download: 30MiB/s", StringComparison.Ordinal));
        await KillAsync(
            () => BytesBelow("out") > Large / 2 * LargeBytes, "restore", "--config", "salvor.yaml", "--output", "out");
        var there = BytesBelow("out");
        File.WriteAllText(_rig["salvor.yaml"], config);
        var restored = await _rig.ConfiguredAsync("restore", "--output", _rig["out"], "--json");

        Assert.True(restored.ExitCode == 0, $"{restored}");
        var document = JsonElement.Parse(restored.Stdout);
        var (reused, fetched) = (
            document.GetProperty("files").GetProperty("reused_bytes").GetInt64(), document.GetProperty("downloaded_bytes").GetInt64());
        Assert.InRange(reused, there - LargeBytes, there);
        var rest = document.GetProperty("size_bytes").GetInt64() - reused;
        Assert.True(fetched < rest + (32 << 20), $"{fetched} bytes were fetched: {restored}");
        Assert.Equal("", await TreeRig.DifferenceAsync(_rig["app"], _rig["out"] + _rig["app"]));
    }

    [Fact]
    public async Task A_restore_over_other_files_that_was_killed_at_any_moment_is_whole_after_the_next_one()
    {
        await _rig.ConfiguredAsync("backup");
        for (var kill = 0; kill < Kills; kill++)
        {
            var target = _rig[$"out-{kill}"] + _rig["app"];
            await _rig.ConfiguredAsync("restore", "--output", _rig[$"out-{kill}"]);
            foreach (var file in Directory.GetFiles(target, "*", All).Where(_ => _random.Next(2) == 0))
            {
                File.WriteAllText(file + "-new", "new");
                File.Delete(file);
            }

            var moment = Task.Delay(_random.Next(1500), TestContext.Current.CancellationToken);
            await KillAsync(
                () => moment.IsCompleted, "restore", "--config", "salvor.yaml", "--output", $"out-{kill}", "--delete");
            var restored = await _rig.ConfiguredAsync("restore", "--output", _rig[$"out-{kill}"], "--delete");

            Assert.True(restored.ExitCode == 0, $"{restored}");
            Assert.Single(Directory.GetFileSystemEntries(_rig[$"out-{kill}"]));
            Assert.Equal("", await TreeRig.DifferenceAsync(_rig["app"], target));
        }
    }

    [Fact]
    public async Task A_prune_killed_at_any_moment_takes_nothing_that_is_needed()
    {
        for (var kill = 0; kill < Kills; kill++)
        {
            Change();
            var made = await _rig.ConfiguredAsync("backup");
            Assert.True(made.ExitCode == 0, $"{made}");
            var moment = Task.Delay(_random.Next(1500), TestContext.Current.CancellationToken);
            await KillAsync(() => moment.IsCompleted, "prune", "--config", "salvor.yaml");

            await ExpectRestoredAsync($"out-{kill}");
        }

        var pruned = await _rig.ConfiguredAsync("prune");
        var verified = await _rig.ConfiguredAsync("verify");
        Assert.True(pruned.ExitCode == 0, $"{pruned}");
        Assert.True(verified.ExitCode == 0, $"{verified}");
        var listed = await _rig.ConfiguredAsync("list");
        Assert.Equal(2, listed.Stdout.Split('\n').Count(line => line.TrimStart().StartsWith("backup ", StringComparison.Ordinal)));
        await ExpectRestoredAsync("out");
    }

    [Fact]
    public async Task A_prune_killed_while_it_deletes_takes_nothing_that_is_needed_and_the_next_one_ends_it()
    {
        const int Garbage = 1000;
        var interrupted = 0;
        for (var kill = 0; kill < Kills; kill++)
        {
            await BackUpAsync($"older-{kill}");
            await BackUpAsync($"newer-{kill}");
            Litter(kill * Garbage, Garbage);
            var condemned = await _rig.ConfiguredAsync("prune");
            Assert.True(condemned.ExitCode == 0, $"{condemned}");
            await EndGraceAsync();
            var left = PackCount() - _random.Next(Garbage);
            await KillAsync(() => PackCount() <= left, "prune", "--config", "salvor.yaml");
            interrupted += Directory.GetFiles(_rig["vaults/tree/packs"], $"?{Litters}*").Length > 0 ? 1 : 0;

            foreach (var name in (string[])[$"older-{kill}", $"newer-{kill}"])
            {
                var restored = await _rig.ConfiguredAsync("restore", "--snapshot", name, "--output", _rig[$"out-{name}"]);
                Assert.True(restored.ExitCode == 0, $"{restored}");
                Assert.Equal("", await TreeRig.DifferenceAsync(_rig[name], _rig[$"out-{name}"] + _rig["app"]));
            }
        }

        Assert.True(interrupted > 0, "each prune ended before it was killed");
        var pruned = await _rig.ConfiguredAsync("prune");
        var verified = await _rig.ConfiguredAsync("verify");
        Assert.True(pruned.ExitCode == 0, $"{pruned}");
        Assert.True(verified.ExitCode == 0, $"{verified}");
        Assert.Empty(Directory.GetFiles(_rig["vaults/tree/packs"], $"?{Litters}*"));
        Assert.True(verified.Stdout.Contains("2 restore point(s)", StringComparison.Ordinal), $"{verified}");
    }

    /// <summary>Makes a backup of changed files, and keeps a copy of them under its label.</summary>
    async Task BackUpAsync(string label)
    {
        Change();
        var made = await _rig.ConfiguredAsync("backup", "--label", label);
        Assert.True(made.ExitCode == 0, $"{made}");
        var copied = await ChildProcess.RunAsync("cp", ["-a", _rig["app"], _rig[label]]);
        Assert.True(copied.ExitCode == 0, $"{copied}");
    }

    /// <summary>Packs that nothing refers to, as runs that were stopped leave them, and old enough: to delete all takes a while.</summary>
    void Litter(int from, int count)
    {
        for (var number = from; number < from + count; number++)
        {
            File.WriteAllText(_rig[$"vaults/tree/packs/{number % 16:x}{Litters}{number:x59}"], "");
        }

        foreach (var pack in Directory.GetFiles(_rig["vaults/tree/packs"]))
        {
            File.SetLastWriteTimeUtc(pack, DateTime.UnixEpoch);
        }
    }

    /// <summary>What was condemned may be deleted now.</summary>
    async Task EndGraceAsync()
    {
        var vault = (await VaultAccess.FindAsync(new FileStore(_rig["vaults"]), "tree", default))!;
        foreach (var item in (await Condemnations.LoadAsync(vault, default)).All)
        {
            using var writer = vault.NewObject();
            var header = new ObjectHeader { Kind = ObjectKind.Condemned, VaultId = vault.Id, Number = item.Number };
            var record = item.Record with { At = DateTimeOffset.UnixEpoch };
            var (bytes, _) = writer.Finish(header, VaultJson.Write(record, VaultJson.Default.CondemnedRecord));
            await File.WriteAllBytesAsync(_rig[$"vaults/tree/{VaultKeys.CondemnedBy(item.Number)}"], bytes.ToArray());
        }
    }

    int PackCount() => Directory.GetFiles(_rig["vaults/tree/packs"]).Length;

    async Task KillAsync(Func<bool> isTime, params string[] arguments)
    {
        var process = _rig.Start(arguments);
        await Eventually.HoldsAsync(() => process.HasExited || isTime(), () => process.Stderr, Eventually.StartMax);
        await process.KillAsync();
    }

    /// <summary>What a restore left is whole, or hidden, and then the next one ends with all of it there.</summary>
    async Task ExpectRestoredAsync(string target)
    {
        if (!Directory.Exists(_rig[target] + _rig["app"]))
        {
            var restored = await _rig.ConfiguredAsync("restore", "--output", _rig[target]);
            Assert.True(restored.ExitCode == 0, $"{restored}");
            Assert.Single(Directory.GetFileSystemEntries(_rig[target]));
        }

        Assert.Equal("", await TreeRig.DifferenceAsync(_rig["app"], _rig[target] + _rig["app"]));
    }

    void Change()
    {
        for (var change = 0; change < FileCount / 4; change++)
        {
            Write(_random.Next(FileCount * 2));
        }

        File.Delete(_rig[$"app/0/{_random.Next(1, 4)}"]);
    }

    /// <summary>Files of a kilobyte to a quarter of a megabyte, which do not compress: a backup of them takes a while.</summary>
    void Write(int number)
    {
        var path = _rig[$"app/{number % 7}/{number}"];
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        var content = new byte[_random.Next(1 << 10, 1 << 18)];
        _random.NextBytes(content);
        File.WriteAllBytes(path, content);
    }

    long BytesBelow(string target) => Directory.Exists(_rig[$"{target}/.salvor-restoring"])
        ? new DirectoryInfo(_rig[$"{target}/.salvor-restoring"]).EnumerateFiles("*", All).Sum(file => file.Length)
        : 0;

    /// <summary>How many files of a restore are there, unfinished as it is.</summary>
    int FilesBelow(string target) => Directory.GetDirectories(_rig.Folder, $"*{target}*")
        .Sum(folder => Directory.GetFiles(folder, "*", All).Length);

    long StoredBytes() => Directory.Exists(_rig["vaults/tree/packs"])
        ? new DirectoryInfo(_rig["vaults/tree/packs"]).EnumerateFiles("*", SearchOption.AllDirectories).Sum(file => file.Length)
        : 0;
}
