using Salvor.Files;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Trees;

namespace Salvor.Tests.Files;

/// <summary>What a restore that removes stays away from, because nobody can be sure of it.</summary>
public sealed class TreeDeleteTests : IDisposable
{
    static readonly TreeRestoreOptions Delete = new() { Deletes = true, Flushes = false };

    readonly TreeRig _rig = new();

    static CancellationToken Cancel => TestContext.Current.CancellationToken;

    string Target => _rig["out"] + _rig.Source;

    public void Dispose() => _rig.Dispose();

    [Fact]
    public async Task A_vault_below_the_paths_stays_with_all_beside_it_though_nothing_says_that_it_is_one()
    {
        _rig.Write("a", "a");
        await _rig.BackUpAsync();
        await _rig.RestoreAsync("out");
        Put("disk/beside");
        Put("junk");
        var store = new FileStore($"{Target}/disk/backups", createRoot: true);
        await _rig.BackUpAsync(store: store);
        var restored = await RestoreAsync(Delete);

        Assert.Equal([$"{_rig.Source}/junk"], restored.Removed);
        Assert.Equal([$"{_rig.Source}/disk/ stays, because a vault is in it"], restored.Problems);
        Assert.True(File.Exists($"{Target}/disk/beside"));
        Assert.Equal("a", File.ReadAllText(await _rig.RestoreAsync("again", store: store) + "/a"));
    }

    [Fact]
    public async Task Of_a_directory_that_a_backup_never_has_nothing_is_removed_whoever_restores_it()
    {
        _rig.Write("a", "a");
        _rig.Write("backups/x", "x");
        await _rig.BackUpAsync(options => options with { Never = [Path.Combine(_rig.Source, "backups")] });
        await _rig.RestoreAsync("out");
        Put("backups/x");
        var restored = await RestoreAsync(Delete);

        Assert.Empty(restored.Removed);
        Assert.True(File.Exists($"{Target}/backups/x"));
    }

    [Fact]
    public async Task Beside_what_a_pattern_left_out_nothing_is_removed_unless_the_patterns_of_today_are_to_count()
    {
        _rig.Write("a/b", "b");
        _rig.Write("a/of-then.iso", "iso");
        _rig.Write("c/d", "d");
        await _rig.BackUpAsync(options => options with { Exclude = PathPatterns.Parse(["*.iso"]) });
        await _rig.RestoreAsync("out");
        Put("a/of-then.iso");
        Put("a/new/x");
        Put("c/new");
        Put("c/new.tmp");
        var today = Delete with { Kept = PathPatterns.Parse(["*.tmp"]) };
        var first = await RestoreAsync(today);
        var second = await RestoreAsync(today with { IsOver = true });

        Assert.Equal([$"{_rig.Source}/c/new"], first.Removed);
        Assert.Equal(
            ["2 name(s) that are not in the backup stay, because a pattern left out something there when this was backed up: '--force' "
                + "removes what no pattern of today keeps"],
            first.Problems);
        Assert.Equal([$"{_rig.Source}/a/new/x", $"{_rig.Source}/a/new/", $"{_rig.Source}/a/of-then.iso"], second.Removed);
        Assert.True(File.Exists($"{Target}/c/new.tmp"));
    }

    [Fact]
    public async Task What_the_source_leaves_out_by_a_sign_in_its_directory_stays()
    {
        _rig.Write("a", "a");
        await _rig.BackUpAsync();
        await _rig.RestoreAsync("out");
        Put("marked/.nobackup");
        Put("marked/x");
        Put("cache/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55");
        Put("cache/x");
        var restored = await RestoreAsync(Delete with { KeptIfPresent = [".nobackup"], KeepsCaches = true });

        Assert.Empty(restored.Removed);
        Assert.True(File.Exists($"{Target}/marked/x") && File.Exists($"{Target}/cache/x"));
    }

    [Fact]
    public async Task A_narrowed_backup_removes_nothing_and_says_so()
    {
        _rig.Write("a", "a");
        await _rig.BackUpAsync(options => options with { IsNarrowed = true });
        await _rig.RestoreAsync("out");
        Put("b");
        var restored = await RestoreAsync(Delete);

        Assert.Empty(restored.Removed);
        Assert.Equal(
            ["nothing is removed: this backup does not say of any directory that all of it was to be kept"], restored.Problems);
    }

    [Fact]
    public async Task Nothing_is_removed_where_something_could_not_be_read_and_has_no_entry()
    {
        var vault = await _rig.OpenAsync();
        var catalog = await VaultCatalog.LoadAsync(vault, Cancel);
        await Forks.BeginAsync(catalog, epoch: 0, _rig.Time, Cancel);
        await using var writer = await TreeSnapshotWriter.BeginAsync(catalog, new HashSet<string>(), Cancel);
        var marks = TreeEntryMarks.Root;
        await writer.AddAsync(
            new TreeEntry { Kind = TreeEntryKind.Directory, Name = "d"u8.ToArray(), Permissions = 0b111_101_101, Marks = marks }, Cancel);
        await writer.AddAsync(new TreeEntry { Kind = TreeEntryKind.Pipe, Name = "p"u8.ToArray() }, Cancel);
        await writer.AddAsync(TreeEntry.End, Cancel);
        var stored = await writer.FinishAsync(new TreeTotals(0, 1, 1, 0, 1, 0), _rig.Time.GetUtcNow(), Cancel);
        await TreeBackups.PutAsync(
            vault, new BackupRequest("", "full", null), stored, sizeBytes: 0, _rig.Time.GetUtcNow(), _rig.Time, Cancel);
        Directory.CreateDirectory(_rig["out/d"]);
        File.WriteAllText(_rig["out/d/x"], "x");
        File.WriteAllText(_rig["out/d/p"], "p");
        var restored = await RestoreAsync(Delete);

        Assert.Empty(restored.Removed);
        Assert.Equal(0, restored.RemovedCount);
        Assert.Contains(
            "nothing is removed: some of what could not be read when this was backed up has no entry, and nobody knows where",
            restored.Problems);
        Assert.True(File.Exists(_rig["out/d/x"]));
    }

    [Fact]
    public async Task The_logs_of_a_database_that_is_not_restored_stay()
    {
        await ChildProcess.RunAsync("sqlite3", [Path.Combine(_rig.Source, "app.db"), "CREATE TABLE a(b)"]);
        await _rig.BackUpAsync();
        await _rig.RestoreAsync("out");
        Put("app.db-wal");
        Put("other-wal");
        var plan = await new TreeRestorer(await _rig.SnapshotAsync(), Delete).PlanAsync(_rig["out"], Cancel);
        var restored = await RestoreAsync(Delete with { Exclude = PathPatterns.Parse(["app.db"]) });

        Assert.Equal([$"{_rig.Source}/other-wal"], plan.Removed);
        Assert.Equal([$"{_rig.Source}/other-wal"], restored.Removed);
        Assert.True(File.Exists($"{Target}/app.db-wal"));
    }

    [Fact]
    public async Task The_logs_of_a_database_that_is_removed_go_too()
    {
        _rig.Write("a", "a");
        await _rig.BackUpAsync();
        await _rig.RestoreAsync("out");
        await ChildProcess.RunAsync("sqlite3", [$"{Target}/app.db", "CREATE TABLE a(b)"]);
        Put("app.db-wal");
        var plan = await new TreeRestorer(await _rig.SnapshotAsync(), Delete).PlanAsync(_rig["out"], Cancel);
        var restored = await RestoreAsync(Delete);

        Assert.Equal([$"{_rig.Source}/app.db", $"{_rig.Source}/app.db-wal"], plan.Removed);
        Assert.Equal(plan.Removed, restored.Removed);
    }

    [Fact]
    public async Task What_an_unfinished_restore_left_below_the_paths_is_neither_kept_nor_removed()
    {
        _rig.Write("a", "a");
        _rig.Write(".salvor-restoring/x", "x");
        await _rig.BackUpAsync();
        var first = await _rig.RestoreAsync("out");
        var names = Directory.GetFileSystemEntries(first).Select(Path.GetFileName);
        Put(".salvor-restoring/x");
        Put(".salvor/outbox/1");
        Put("_heads/1");
        var restored = await RestoreAsync(Delete);

        Assert.Equal(["a"], names);
        Assert.Empty(restored.Removed);
        Assert.True(File.Exists($"{Target}/.salvor-restoring/x") && File.Exists($"{Target}/.salvor/outbox/1"));
    }

    [Fact]
    public async Task A_file_where_a_directory_only_leads_to_what_is_restored_is_refused_before_anything_changed()
    {
        _rig.Write("x/y", "y");
        _rig.Write("x/z", "z");
        await _rig.BackUpAsync();
        Put("x");
        var filtered = Delete with { Include = PathPatterns.Parse([$"{_rig.Source}/x/y"]) };
        var error = await Assert.ThrowsAsync<SalvorException>(() => RestoreAsync(filtered));

        Assert.Equal($"{_rig.Source}/x is a directory in the backup, and something else there", error.Message);
        Assert.Equal("x", File.ReadAllText($"{Target}/x"));
    }

    [Fact]
    public async Task A_directory_stays_where_the_backup_has_a_file_that_could_not_be_read()
    {
        var vault = await _rig.OpenAsync();
        var catalog = await VaultCatalog.LoadAsync(vault, Cancel);
        await Forks.BeginAsync(catalog, epoch: 0, _rig.Time, Cancel);
        await using var writer = await TreeSnapshotWriter.BeginAsync(catalog, new HashSet<string>(), Cancel);
        await writer.AddAsync(
            new TreeEntry
            {
                Kind = TreeEntryKind.Directory, Name = "d"u8.ToArray(), Permissions = 0b111_101_101, Marks = TreeEntryMarks.Root,
            },
            Cancel);
        await writer.AddAsync(
            new TreeEntry { Kind = TreeEntryKind.File, Name = "f"u8.ToArray(), Marks = TreeEntryMarks.Unreadable }, Cancel);
        await writer.AddAsync(TreeEntry.End, Cancel);
        var stored = await writer.FinishAsync(new TreeTotals(1, 1, 0, 0, 1, 0), _rig.Time.GetUtcNow(), Cancel);
        await TreeBackups.PutAsync(
            vault, new BackupRequest("", "full", null), stored, sizeBytes: 0, _rig.Time.GetUtcNow(), _rig.Time, Cancel);
        Directory.CreateDirectory(_rig["out/d/f"]);
        File.WriteAllText(_rig["out/d/f/x"], "x");
        await RestoreAsync(Delete with { IsOver = true });

        Assert.True(File.Exists(_rig["out/d/f/x"]));
    }

    [Fact]
    public async Task What_is_mounted_below_the_paths_stays_and_nothing_is_moved_there()
    {
        Assert.SkipUnless(Environment.UserName == "root", "only root mounts");
        _rig.Write("a", "a");
        await _rig.BackUpAsync();
        await _rig.RestoreAsync("out");
        Put("mounted/x");
        Directory.CreateDirectory(_rig["elsewhere"]);
        File.WriteAllText(_rig["elsewhere/y"], "y");
        var mounted = await ChildProcess.RunAsync("mount", ["--bind", _rig["elsewhere"], $"{Target}/mounted"]);
        Assert.SkipUnless(mounted.ExitCode == 0, "nothing can be mounted here");
        try
        {
            var restored = await RestoreAsync(Delete);

            Assert.Empty(restored.Removed);
            Assert.True(File.Exists(_rig["elsewhere/y"]));
        }
        finally
        {
            await ChildProcess.RunAsync("umount", [$"{Target}/mounted"]);
        }
    }

    [Fact]
    public async Task A_log_that_the_snapshot_has_and_that_is_not_restored_is_not_played_into_the_database()
    {
        await ChildProcess.RunAsync("sqlite3", [Path.Combine(_rig.Source, "app.db"), "CREATE TABLE a(b)"]);
        _rig.Write("app.db-wal", "of the snapshot");
        await _rig.BackUpAsync();
        await _rig.RestoreAsync("out");
        File.WriteAllText($"{Target}/app.db-wal", "of another time");
        await RestoreAsync(new TreeRestoreOptions { IsOver = true, Include = PathPatterns.Parse(["app.db"]), Flushes = false });

        Assert.False(File.Exists($"{Target}/app.db-wal"));
        await RestoreAsync(new TreeRestoreOptions { IsOver = true, Flushes = false });
        await RestoreAsync(new TreeRestoreOptions { IsOver = true, Flushes = false });
        Assert.Equal("of the snapshot", File.ReadAllText($"{Target}/app.db-wal"));
        Assert.Equal("", await TreeRig.DifferenceAsync(_rig.Source, Target));
    }

    async Task<RestoredTree> RestoreAsync(TreeRestoreOptions options) =>
        await new TreeRestorer(await _rig.SnapshotAsync(), options).RunAsync(_rig["out"], Cancel);

    void Put(string name, string content = "x")
    {
        Directory.CreateDirectory(Path.GetDirectoryName($"{Target}/{name}")!);
        File.WriteAllText($"{Target}/{name}", content);
    }
}
