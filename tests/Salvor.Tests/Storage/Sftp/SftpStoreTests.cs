using Salvor.Platform;
using Salvor.Storage;
using Salvor.Storage.Sftp;
using Salvor.Tests.Support;

namespace Salvor.Tests.Storage.Sftp;

/// <summary>On OpenSSH's server, at the other end of two pipes.</summary>
public sealed class SftpStoreTests : IDisposable
{
    readonly TemporaryDirectory directory = new();
    readonly SftpStore store;

    public SftpStoreTests() => store = SftpRig.Store(directory.Path);

    public void Dispose() => directory.Dispose();

    string Place => $"sftp://salvor@nas{directory.Path}";

    [Fact]
    public async Task An_object_is_a_file_at_the_path_of_its_key_for_its_owner_only()
    {
        await PutAsync("vault/log/1");

        Assert.Equal(FileKind.Regular, FileStat.Of(directory["vault/log/1"])?.Kind);
        Assert.Equal(0b110_000_000u, FileStat.Of(directory["vault/log/1"])?.Permissions);
        Assert.Equal(0b111_000_000u, FileStat.Of(directory["vault/log"])?.Permissions);
        Assert.Equal(0b111_000_000u, FileStat.Of(directory["vault"])?.Permissions);
    }

    [Fact]
    public async Task What_it_wrote_is_read_as_a_folder_too()
    {
        await PutAsync("vault/a", content: [1, 2]);

        var folder = new FileStore(directory.Path);

        Assert.Equal([1, 2], (await folder.GetAsync("vault/a", 10, default))!);
        Assert.Equal(
            await ListAsync(store), await folder.ListAsync("", null, default).Select(item => item.Key).ToListAsync());
    }

    [Fact]
    public async Task A_put_leaves_no_other_file_whether_it_created_the_object_or_not()
    {
        await PutAsync("vault/a");
        await PutAsync("vault/a");
        await store.ReplaceAsync("vault/a", new byte[] { 2 }, default);
        await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => PutAsync("vault/b")));

        Assert.Equal(
            [directory["vault/a"], directory["vault/b"]], Directory.GetFileSystemEntries(directory["vault"]).Order());
    }

    [Fact]
    public async Task A_missing_destination_is_not_created_because_it_may_be_a_disk_that_is_not_mounted()
    {
        var missing = SftpRig.Store(directory["disk"]);
        var expected = $"destination {Place}/disk does not exist";

        var failure = await FailureOfAsync(() => PutAsync("a", missing));

        Assert.Equal(StorageFailure.Unreachable, failure.Failure);
        Assert.Equal(expected, failure.Message);
        Assert.Equal(
            $"Mount it if it is a disk of its own; otherwise create it on nas: 'mkdir -p -m 700 {directory["disk"]}'.", failure.Hint);
        Assert.False(Directory.Exists(directory["disk"]));
    }

    [Fact]
    public async Task A_missing_destination_holds_nothing()
    {
        var missing = SftpRig.Store(directory["disk"]);

        Assert.Empty(await ListAsync(missing));
        Assert.Null(await missing.SizeAsync("a", default));
        await missing.DeleteAsync("a", default);
        Assert.Equal(StorageFailure.NotFound, (await FailureOfAsync(() => missing.ReadAsync("a", 0, new byte[1], default))).Failure);
    }

    [Fact]
    public async Task A_destination_whose_place_does_not_exist_is_a_mistake_even_for_a_reader()
    {
        var missing = SftpRig.Store(directory["no/disk"]);
        var expected = $"destination {Place}/no/disk does not exist";

        Assert.Equal(expected, (await FailureOfAsync(() => ListAsync(missing))).Message);
        Assert.Equal(expected, (await FailureOfAsync(() => missing.SizeAsync("a", default))).Message);
        Assert.Equal(expected, (await FailureOfAsync(() => missing.ReadAsync("a", 0, new byte[1], default))).Message);
        Assert.Equal(expected, (await FailureOfAsync(() => missing.DeleteAsync("a", default))).Message);
    }

    [Fact]
    public async Task A_destination_that_is_a_file_is_refused()
    {
        File.WriteAllText(directory["file"], "");
        var file = SftpRig.Store(directory["file"]);

        foreach (var call in (Func<Task>[])[() => PutAsync("a", file), () => ListAsync(file), () => file.SizeAsync("a", default)])
        {
            var failure = await FailureOfAsync(call);
            Assert.Equal(StorageFailure.Denied, failure.Failure);
            Assert.Equal($"destination {Place}/file is not a directory", failure.Message);
        }
    }

    [Fact]
    public async Task What_is_not_an_object_is_neither_listed_nor_read()
    {
        await PutAsync("vault/a");
        File.WriteAllText(directory["vault/.tmp-1-2-3"], "half");
        File.WriteAllText(directory["vault/with space"], "");
        Directory.CreateDirectory(directory[".hidden"]);
        File.WriteAllText(directory[".hidden/b"], "");
        File.CreateSymbolicLink(directory["vault/link"], directory["vault/a"]);

        Assert.Equal(["vault/a"], await ListAsync(store));
        Assert.Null(await store.SizeAsync("vault/link", default));
        Assert.Equal(
            StorageFailure.NotFound, (await FailureOfAsync(() => store.ReadAsync("vault/link", 0, new byte[1], default))).Failure);
    }

    [Fact]
    public async Task What_has_the_name_of_an_object_and_is_none_is_told()
    {
        Directory.CreateDirectory(directory["a"]);
        File.WriteAllText(directory["b"], "");

        Assert.Equal(
            $"a at {Place} has the name of an object but is something else, or the other way round",
            (await FailureOfAsync(() => PutAsync("a"))).Message);
        Assert.StartsWith("a at ", (await FailureOfAsync(() => store.ReplaceAsync("a", new byte[1], default))).Message);
        Assert.StartsWith("b at ", (await FailureOfAsync(() => PutAsync("b/c"))).Message);
        await store.DeleteAsync("a", default);
        Assert.True(Directory.Exists(directory["a"]));
    }

    [Fact]
    public async Task What_dead_writers_left_a_day_ago_goes_with_the_first_put_after_a_listing()
    {
        await PutAsync("vault/a");
        Leave("vault/.tmp-old", TimeSpan.FromHours(25));
        Leave("vault/.tmp-new", TimeSpan.FromHours(23));
        Leave("vault/old", TimeSpan.FromHours(25));
        var other = SftpRig.Store(directory.Path);

        await ListAsync(other);
        await ListAsync(other);
        Assert.True(File.Exists(directory["vault/.tmp-old"]), "a reader removed it");
        await PutAsync("vault/b", other);

        Assert.False(File.Exists(directory["vault/.tmp-old"]));
        Assert.True(File.Exists(directory["vault/.tmp-new"]));
        Assert.True(File.Exists(directory["vault/old"]));
    }

    [Fact]
    public async Task A_directory_that_somebody_tidied_up_is_made_again()
    {
        await PutAsync("vault/log/1");
        Directory.Delete(directory["vault"], recursive: true);

        Assert.Equal(PutResult.Created, await PutAsync("vault/log/1"));
    }

    [Fact]
    public async Task OpenSSHs_server_has_no_weakness() => Assert.Empty(await store.WeaknessesAsync(default));

    [Theory]
    [InlineData("fsync", "it does not make files durable when asked (fsync@openssh.com)")]
    [InlineData("hardlink", "it does not create files without replacing others (hardlink@openssh.com)")]
    [InlineData(
        "fsync,hardlink",
        "it does not make files durable when asked (fsync@openssh.com), and it does not create files without replacing others "
            + "(hardlink@openssh.com)")]
    public async Task A_server_that_cannot_do_what_backups_rest_on_is_read_but_not_written_to(string without, string weakness)
    {
        await PutAsync("vault/a", content: [7]);
        var weak = SftpRig.Store(directory.Path, allowWeak: false, "-P", without);

        var failure = await FailureOfAsync(() => PutAsync("vault/b", weak));

        Assert.Equal(StorageFailure.Denied, failure.Failure);
        Assert.Equal($"the server of {Place} cannot keep what backups rest on: {weakness}", failure.Message);
        Assert.Equal(
            "Use OpenSSH's server on a file system of Linux. To accept it nevertheless, add allow_weak: true to this destination.",
            failure.Hint);
        Assert.Equal([7], (await weak.GetAsync("vault/a", 10, default))!);
        Assert.Equal(["vault/a"], await ListAsync(weak));
    }

    [Fact]
    public async Task A_weak_server_is_used_where_that_is_allowed_and_still_says_what_it_cannot()
    {
        var weak = SftpRig.Store(directory.Path, allowWeak: true, "-P", "fsync,hardlink,statvfs");

        Assert.Equal(PutResult.Created, await PutAsync("vault/a", weak, [1]));
        Assert.Equal(PutResult.AlreadyExists, await PutAsync("vault/a", weak, [2]));

        Assert.Equal([1], (await weak.GetAsync("vault/a", 10, default))!);
        Assert.Equal(2, (await weak.WeaknessesAsync(default)).Count);
        Assert.Equal([directory["vault/a"]], Directory.GetFileSystemEntries(directory["vault"]));
    }

    [Fact]
    public async Task A_server_that_cannot_replace_in_one_step_says_so()
    {
        var weak = SftpRig.Store(directory.Path, allowWeak: true, "-P", "posix-rename");

        var failure = await FailureOfAsync(() => weak.ReplaceAsync("vault/a", new byte[1], default));

        Assert.Equal($"cannot replace vault/a at {Place}: the server does not replace files in one step", failure.Message);
    }

    [Fact]
    public async Task A_server_that_may_only_be_read_from_names_the_verb_that_it_denies()
    {
        await PutAsync("vault/a");
        var readOnly = SftpRig.Store(directory.Path, allowWeak: true, "-R");

        var failure = await FailureOfAsync(() => PutAsync("vault/b", readOnly));

        Assert.Equal(StorageFailure.Denied, failure.Failure);
        Assert.Equal($"cannot write vault/b at {Place}: permission denied", failure.Message);
        Assert.Equal(
            $"Give the user read and write access: 'ls -la {directory.Path}' on nas shows who has it.", failure.Hint);
        Assert.Equal(
            $"cannot delete vault/a at {Place}: permission denied",
            (await FailureOfAsync(() => readOnly.DeleteAsync("vault/a", default))).Message);
        Assert.Equal(["vault/a"], await ListAsync(readOnly));
    }

    [Fact]
    public async Task A_full_disk_is_told_and_may_pass()
    {
        using var mount = TemporaryMount.OfOneMebibyte(directory.Path);

        var failure = await FailureOfAsync(() => PutAsync("vault/a", content: new byte[2 << 20]));

        Assert.Equal(StorageFailure.Full, failure.Failure);
        Assert.Equal($"cannot write vault/a at {Place}: no space left there", failure.Message);
        Assert.Equal($"Free space there: 'df -h {directory.Path}' on nas shows how much is left.", failure.Hint);
        Assert.Empty(await ListAsync(store));
        mount.Enlarge();
        Assert.Equal(PutResult.Created, await PutAsync("vault/a", content: new byte[2 << 20]));

        // Answered after the put has closed what it had opened.
        Assert.Equal(2 << 20, await store.SizeAsync("vault/a", default));
    }

    [Fact]
    public async Task A_disk_that_became_read_only_is_told()
    {
        using var mount = TemporaryMount.OfOneMebibyte(directory.Path);
        await PutAsync("vault/a");
        Assert.Equal(1, await store.SizeAsync("vault/a", default));
        mount.MakeReadOnly();

        var failure = await FailureOfAsync(() => PutAsync("vault/b"));

        Assert.Equal(StorageFailure.Denied, failure.Failure);
        Assert.Equal($"cannot write vault/b at {Place}: the file system there is read-only", failure.Message);
    }

    [Fact]
    public async Task A_disk_that_is_no_longer_mounted_is_not_mistaken_for_an_empty_destination()
    {
        using var mount = TemporaryMount.OfOneMebibyte(directory.Path);
        await PutAsync("vault/a");

        // Answered after the put has closed what it had opened.
        Assert.Equal(1, await store.SizeAsync("vault/a", default));
        mount.Unmount();

        var expected = $"destination {Place} is no longer mounted";
        Assert.Equal(expected, (await FailureOfAsync(() => ListAsync(store))).Message);
        Assert.Equal(expected, (await FailureOfAsync(() => PutAsync("vault/b"))).Message);
        Assert.Equal(expected, (await FailureOfAsync(() => store.SizeAsync("vault/a", default))).Message);
        Assert.Empty(Directory.GetFileSystemEntries(directory.Path));
    }

    [Fact]
    public async Task A_server_that_dies_in_the_middle_of_puts_fails_them_all_as_unreachable_then_the_next_call_connects_anew()
    {
        var servers = new List<SftpServerProcess>();
        var dying = SftpRig.Store(SftpRig.Options(directory.Path), () =>
        {
            servers.Add(SftpServerProcess.Start());
            return servers[^1];
        });
        await PutAsync("vault/first", dying);
        servers[0].Send(Signal.Stop);
        var puts = Enumerable.Range(0, 8).Select(i => PutAsync($"vault/{i}", dying, new byte[1 << 20])).ToList();
        await Task.Delay(50, TestContext.Current.CancellationToken);

        servers[0].Send(Signal.Kill);

        foreach (var (i, put) in puts.Index())
        {
            var failure = await FailureOfAsync(() => put);
            Assert.Equal(StorageFailure.Unreachable, failure.Failure);
            Assert.Equal($"cannot write vault/{i} at {Place}: the connection ended", failure.Message);
        }

        Assert.Equal(["vault/first"], await ListAsync(dying));
        Assert.Equal(PutResult.Created, await PutAsync("vault/0", dying));
        Assert.Equal(2, servers.Count);
    }

    [Fact]
    public async Task A_put_that_is_cancelled_leaves_nothing_behind_and_the_connection_goes_on()
    {
        var servers = new List<SftpServerProcess>();
        var patient = SftpRig.Store(SftpRig.Options(directory.Path), () =>
        {
            servers.Add(SftpServerProcess.Start());
            return servers[^1];
        });
        await PutAsync("vault/first", patient);
        servers[0].Send(Signal.Stop);
        using var cancellation = new CancellationTokenSource();
        var puts = Enumerable.Range(0, 8)
            .Select(i => patient.PutAsync($"vault/{i}", new byte[1 << 20], cancellation.Token)).ToList();
        var reads = Enumerable.Range(0, 8).Select(_ => patient.ReadAsync("vault/first", 0, new byte[1], cancellation.Token)).ToList();
        await Task.Delay(50, TestContext.Current.CancellationToken);

        await cancellation.CancelAsync();
        foreach (var call in puts.Cast<Task>().Concat(reads))
        {
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
        }

        servers[0].Send(Signal.Continue);
        Assert.Equal(PutResult.Created, await PutAsync("vault/last", patient));
        await Eventually.HoldsAsync(
            () => Directory.GetFileSystemEntries(directory["vault"]).Order().SequenceEqual(
                [directory["vault/first"], directory["vault/last"]]),
            () => string.Join(' ', Directory.GetFileSystemEntries(directory["vault"])));
        Assert.Single(servers);
    }

    void Leave(string name, TimeSpan age)
    {
        File.WriteAllText(directory[name], "half");
        File.SetLastWriteTimeUtc(directory[name], (DateTimeOffset.UtcNow - age).UtcDateTime);
    }

    Task<PutResult> PutAsync(string key, SftpStore? to = null, byte[]? content = null) =>
        (to ?? store).PutAsync(key, content ?? [1], TestContext.Current.CancellationToken);

    static async Task<List<string>> ListAsync(SftpStore from) =>
        await from.ListAsync("", null, TestContext.Current.CancellationToken).Select(item => item.Key).ToListAsync();

    static Task<StorageException> FailureOfAsync(Func<Task> call) => Assert.ThrowsAsync<StorageException>(call);
}
