using System.Text;
using Salvor.Files;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Pruning;
using Salvor.Vault.Compaction;
using Salvor.Vault.Trees;
using Salvor.Vault.Verify;

namespace Salvor.Tests.Files;

public sealed class TreeRestoreTests : IDisposable
{
    readonly TreeRig _rig = new();

    static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _rig.Dispose();

    [Fact]
    public async Task Only_what_is_included_comes_back_with_the_directories_above_it()
    {
        _rig.Write("uploads/a.jpg", "a");
        _rig.Write("uploads/b.txt", "b");
        _rig.Write("other/c.jpg", "c");
        await _rig.BackUpAsync();
        var options = new TreeRestoreOptions
        {
            Include = PathPatterns.Parse([$"{_rig.Source}/uploads"]), Exclude = PathPatterns.Parse(["*.txt"]),
        };
        var restored = await _rig.RestoreAsync("out", options: options);

        Assert.Equal(["uploads"], Directory.GetFileSystemEntries(restored).Select(Path.GetFileName));
        Assert.Equal(["a.jpg"], Directory.GetFileSystemEntries(Path.Combine(restored, "uploads")).Select(Path.GetFileName));
    }

    [Fact]
    public async Task Of_a_backup_of_which_little_is_wanted_little_is_fetched()
    {
        for (var i = 0; i < 80; i++)
        {
            _rig.Write($"{i / 10}/{i}", TreeRig.Bytes(i, 500_000));
        }

        await _rig.BackUpAsync();
        var options = new TreeRestoreOptions { Flushes = false, Include = PathPatterns.Parse([$"{_rig.Source}/4"]) };
        var restored = await new TreeRestorer(await _rig.SnapshotAsync(), options).RunAsync(_rig["out"], Cancel);

        Assert.Equal("", await TreeRig.DifferenceAsync($"{_rig.Source}/4", $"{_rig["out"]}{_rig.Source}/4"));
        Assert.Equal(5_000_000, restored.Bytes);
        Assert.InRange(restored.FetchedBytes, 5_000_000, 15_000_000);
    }

    [Fact]
    public async Task A_name_whose_first_name_is_not_wanted_has_the_content_itself()
    {
        var content = TreeRig.Bytes(5, 300_000);
        _rig.Write("a", content);
        await ChildProcess.RunAsync("ln", [Path.Combine(_rig.Source, "a"), Path.Combine(_rig.Source, "b")]);
        var result = await _rig.BackUpAsync();
        var restored = await _rig.RestoreAsync("out", options: new TreeRestoreOptions { Include = PathPatterns.Parse(["b"]) });

        Assert.Equal(300_000, result.Totals.Bytes);
        Assert.Equal(content, File.ReadAllBytes(Path.Combine(restored, "b")));
    }

    [Fact]
    public async Task What_matches_nothing_is_refused_and_nothing_is_made()
    {
        _rig.Write("a", "a");
        await _rig.BackUpAsync();
        var error = await Assert.ThrowsAsync<SalvorException>(() => _rig.RestoreAsync(
            "out", options: new TreeRestoreOptions { Include = PathPatterns.Parse(["nothing"]) }));

        Assert.Equal("nothing in this backup matches what '--include' names", error.Message);
        Assert.False(Directory.Exists(_rig["out"]));
    }

    [Fact]
    public async Task A_directory_that_is_not_empty_is_refused_unless_a_restore_left_it()
    {
        _rig.Write("a", "a");
        await _rig.BackUpAsync();
        Directory.CreateDirectory(_rig["out/.salvor-restoring/half"]);
        await _rig.RestoreAsync("out");
        var error = await Assert.ThrowsAsync<SalvorException>(() => _rig.RestoreAsync("out"));

        Assert.Equal($"{_rig["out"]} is not empty", error.Message);
        Assert.Equal(FailureKind.Usage, error.Kind);
        Assert.False(Directory.Exists(_rig["out/.salvor-restoring"]));
    }

    [Fact]
    public async Task A_listing_that_leads_through_a_link_writes_nothing_elsewhere()
    {
        Directory.CreateDirectory(_rig["outside"]);
        var vault = await ForgeAsync(
            new TreeEntry { Kind = TreeEntryKind.Link, Name = "a"u8.ToArray(), Target = Encoding.UTF8.GetBytes(_rig["outside"]) },
            new TreeEntry { Kind = TreeEntryKind.Directory, Name = "a"u8.ToArray(), Permissions = 0b111_101_101 },
            new TreeEntry { Kind = TreeEntryKind.File, Name = "planted"u8.ToArray(), Permissions = 0b110_100_100 },
            TreeEntry.End);
        var snapshot = await TreeBackups.OpenAsync(
            vault, await TreeBackups.FindAsync(await VaultCatalog.LoadAsync(vault, Cancel), null, Cancel), Cancel);
        await Assert.ThrowsAnyAsync<SalvorException>(
            () => new TreeRestorer(snapshot, new TreeRestoreOptions()).RunAsync(_rig["out"], Cancel));

        Assert.Empty(Directory.GetFileSystemEntries(_rig["outside"]));
        Assert.False(Directory.Exists(_rig["out"]));
    }

    [Fact]
    public async Task A_second_name_of_a_file_elsewhere_is_not_made()
    {
        File.WriteAllText(_rig["secret"], "secret");
        Directory.CreateSymbolicLink(Path.Combine(_rig.Source, "way"), _rig[""]);
        var vault = await ForgeAsync(
            new TreeEntry { Kind = TreeEntryKind.Link, Name = "way"u8.ToArray(), Target = Encoding.UTF8.GetBytes(_rig[""]) },
            new TreeEntry
            {
                Kind = TreeEntryKind.File, Name = "x"u8.ToArray(), FirstPath = "/way/secret"u8.ToArray(), Permissions = 0b110_100_100,
            });
        var snapshot = await TreeBackups.OpenAsync(
            vault, await TreeBackups.FindAsync(await VaultCatalog.LoadAsync(vault, Cancel), null, Cancel), Cancel);
        await new TreeRestorer(snapshot, new TreeRestoreOptions()).RunAsync(_rig["out"], Cancel);

        Assert.Equal("", File.ReadAllText(_rig["out/x"]));
    }

    [Theory]
    [InlineData("..")]
    [InlineData(".")]
    [InlineData("a/b")]
    [InlineData("")]
    [InlineData("a\0b")]
    public void An_entry_whose_name_leads_elsewhere_is_damage(string name)
    {
        var writer = new FieldWriter();
        new TreeEntry { Kind = TreeEntryKind.Pipe, Name = Encoding.UTF8.GetBytes(name) }.Write(writer);

        var error = Assert.Throws<DamagedObjectException>(() => TreeEntry.Read("snapshots/1", writer.Written.Span));
        Assert.Equal("it lists an entry whose name is none", error.What);
    }

    [Fact]
    public async Task Owners_are_found_by_their_names_and_conflicts_are_told()
    {
        var vault = await ForgeAsync(
            Owned("a", "root", 4711), Owned("b", "no-such-user-here", 4712), Owned("c", "", 4713));
        var snapshot = await TreeBackups.OpenAsync(
            vault, await TreeBackups.FindAsync(await VaultCatalog.LoadAsync(vault, Cancel), null, Cancel), Cancel);
        var (byName, byNumber) = (new Ownership(OwnerBy.Name, null, 0), new Ownership(OwnerBy.Number, null, 0));
        await new TreeRestorer(snapshot, new TreeRestoreOptions { Owners = byName }).PlanAsync(_rig["out"], Cancel);
        await new TreeRestorer(snapshot, new TreeRestoreOptions { Owners = byNumber }).PlanAsync(_rig["out"], Cancel);

        Assert.Equal(
            [new(false, "root", 4711, 0, false), new(false, "no-such-user-here", 4712, 4712, true), new(false, "", 4713, 4713, false)],
            byName.Mappings);
        Assert.Equal([4711u, 4712u, 4713u], byNumber.Mappings.Select(mapping => mapping.Becomes));

        static TreeEntry Owned(string name, string user, uint number) => new()
        {
            Kind = TreeEntryKind.Pipe, Name = Encoding.UTF8.GetBytes(name), User = user, UserId = number,
        };
    }

    [Fact]
    public async Task What_ran_as_an_owner_that_is_not_known_here_does_not_run_as_one_of_the_same_number()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "only root gives files away");
        var vault = await ForgeAsync(new TreeEntry
        {
            Kind = TreeEntryKind.Pipe, Name = "a"u8.ToArray(), Permissions = 0b110_111_101_101, User = "no-such-user-here", UserId = 4712,
        });
        var snapshot = await TreeBackups.OpenAsync(
            vault, await TreeBackups.FindAsync(await VaultCatalog.LoadAsync(vault, Cancel), null, Cancel), Cancel);
        await new TreeRestorer(snapshot, new TreeRestoreOptions { Flushes = false }).RunAsync(_rig["out"], Cancel);

        Assert.Equal("2755 4712\n", (await ChildProcess.RunAsync("stat", ["-c", "%a %u", _rig["out/a"]])).Stdout);
    }

    [Fact]
    public async Task A_damaged_pack_is_found_and_nothing_of_it_is_restored()
    {
        using var folder = new TemporaryDirectory();
        var store = new FileStore(folder.Path);
        _rig.Write("a", TreeRig.Bytes(6, 500_000));
        await _rig.BackUpAsync(store: store);
        var pack = Directory.GetFiles(folder["tree/packs"]).MaxBy(path => new FileInfo(path).Length)!;
        var bytes = File.ReadAllBytes(pack);
        bytes[bytes.Length / 3] ^= 1;
        File.Delete(pack);
        File.WriteAllBytes(pack, bytes);

        var report = await new VaultVerifier(await _rig.OpenAsync(store), new VerifyOptions()).RunAsync(Cancel);
        var error = await Assert.ThrowsAnyAsync<SalvorException>(() => _rig.RestoreAsync("out", store: store));

        var finding = Assert.Single(report.Findings);
        Assert.Equal("restore points 1 cannot be restored from this copy", finding.Consequence);
        Assert.Equal(FailureKind.Integrity, error.Kind);
        Assert.False(Directory.Exists(_rig["out"]));
    }

    [Fact]
    public async Task A_prune_drops_old_backups_and_what_only_they_needed()
    {
        using var folder = new TemporaryDirectory();
        var store = new FileStore(folder.Path);
        for (var i = 0; i < 4; i++)
        {
            _rig.Write("a", TreeRig.Bytes(10 + i, 400_000));
            _rig.Write("b", "the same");
            await _rig.BackUpAsync(store: store);
        }

        var policy = new PrunePolicy(Ladder.Default) { Backups = new BackupRules { Last = 2 } };
        var (_, number) = await new Pruner(await _rig.OpenAsync(store), _rig.Time)
            .CondemnAsync(policy, proven: null, Pruner.GraceMin, Cancel);
        var kept = (await VaultCatalog.LoadAsync(await _rig.OpenAsync(store), Cancel)).Backups;
        var sizeBefore = SizeOf(folder.Path);
        _rig.Time.Advance(TimeSpan.FromDays(3));
        await new Pruner(await _rig.OpenAsync(store), _rig.Time).CondemnAsync(policy, proven: null, Pruner.GraceMin, Cancel);
        await new Pruner(await _rig.OpenAsync(store), _rig.Time).DeleteAsync(dryRun: false, Cancel);
        _rig.Time.Advance(TimeSpan.FromDays(3));
        await new Pruner(await _rig.OpenAsync(store), _rig.Time).DeleteAsync(dryRun: false, Cancel);
        var report = await new VaultVerifier(await _rig.OpenAsync(store), new VerifyOptions()).RunAsync(Cancel);

        Assert.Equal(1UL, number);
        Assert.Equal([3UL, 4UL], kept);
        Assert.True(SizeOf(folder.Path) < sizeBefore - 700_000, "what only old backups needed is there still");
        Assert.Empty(report.Findings);
        Assert.Equal(2UL, report.RestorePoints);
        Assert.Equal("", await TreeRig.DifferenceAsync(_rig.Source, await _rig.RestoreAsync("out", store: store)));
        await _rig.RestoreAsync("third", "3", store: store);
    }

    async Task<VaultAccess> ForgeAsync(params IReadOnlyList<TreeEntry> entries)
    {
        var vault = await _rig.OpenAsync(new MemoryStore());
        var catalog = await VaultCatalog.LoadAsync(vault, Cancel);
        await Forks.BeginAsync(catalog, epoch: 0, _rig.Time, Cancel);
        await using var writer = await TreeSnapshotWriter.BeginAsync(catalog, new HashSet<string>(), Cancel);
        foreach (var entry in entries)
        {
            await writer.AddAsync(entry, Cancel);
        }

        var counted = entries.Aggregate(new TreeTotals(), (totals, entry) => totals.With(entry));
        var stored = await writer.FinishAsync(counted, _rig.Time.GetUtcNow(), Cancel);
        await TreeBackups.PutAsync(
            vault, new BackupRequest("", "full", null), stored, sizeBytes: 0, _rig.Time.GetUtcNow(), _rig.Time, Cancel);
        return vault;
    }

    static long SizeOf(string folder) =>
        new DirectoryInfo(folder).EnumerateFiles("*", SearchOption.AllDirectories).Sum(file => file.Length);
}
