using Salvor.Platform;
using Salvor.Storage;
using Salvor.Tests.Support;

namespace Salvor.Tests.Storage;

public sealed class FileStoreTests : IDisposable
{
    readonly TemporaryDirectory directory = new();
    readonly FileStore store;

    public FileStoreTests() => store = new(directory.Path);

    public void Dispose() => directory.Dispose();

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
    public async Task A_put_leaves_no_other_file_whether_it_created_the_object_or_not()
    {
        await PutAsync("vault/a");
        await PutAsync("vault/a");
        await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => PutAsync("vault/b")));

        Assert.Equal(
            [directory["vault/a"], directory["vault/b"]], Directory.GetFileSystemEntries(directory["vault"]).Order());
    }

    [Fact]
    public async Task A_missing_destination_is_not_created_because_it_may_be_a_disk_that_is_not_mounted()
    {
        var missing = new FileStore(directory["disk"]);

        var failure = await FailureOfAsync(() => PutAsync("a", missing));

        Assert.Equal(StorageFailure.Unreachable, failure.Failure);
        Assert.Equal($"destination {directory["disk"]} does not exist", failure.Message);
        Assert.Equal(
            $"Mount it if it is a disk or share; otherwise create it: 'mkdir -p -m 700 {directory["disk"]}'.", failure.Hint);
        Assert.False(Directory.Exists(directory["disk"]));
    }

    [Fact]
    public async Task A_missing_destination_is_created_where_that_was_asked_for()
    {
        await PutAsync("vault/a", new FileStore(directory["new/place"], createRoot: true));

        Assert.True(File.Exists(directory["new/place/vault/a"]));
        Assert.Equal(0b111_000_000u, FileStat.Of(directory["new"])?.Permissions);
    }

    [Fact]
    public async Task A_destination_can_be_created_beforehand()
    {
        var created = new FileStore(directory["new/place"]);

        created.CreateRoot();
        created.CreateRoot();

        Assert.Equal(PutResult.Created, await PutAsync("a", created));
    }

    [Fact]
    public async Task A_missing_destination_holds_nothing()
    {
        var missing = new FileStore(directory["disk"]);

        Assert.Empty(await missing.ListAsync("", null, default).ToListAsync());
        Assert.Empty(await missing.ListAsync("vault/", null, default).ToListAsync());
        Assert.Null(await missing.SizeAsync("a", default));
        await missing.DeleteAsync("a", default);
        var failure = await FailureOfAsync(() => missing.ReadAsync("a", 0, new byte[1], default));
        Assert.Equal(StorageFailure.NotFound, failure.Failure);
        Assert.Equal($"object a does not exist at {directory["disk"]}", failure.Message);
    }

    [Fact]
    public async Task A_destination_that_is_a_file_is_refused()
    {
        File.WriteAllText(directory["file"], "");
        var file = new FileStore(directory["file"]);

        var failure = await FailureOfAsync(() => PutAsync("a", file));

        Assert.Equal(StorageFailure.Denied, failure.Failure);
        Assert.Equal($"destination {directory["file"]} is not a directory", failure.Message);
        Assert.Equal(StorageFailure.Denied, (await FailureOfAsync(() => ListAsync(file))).Failure);
    }

    [Fact]
    public async Task Unfinished_files_are_not_listed()
    {
        await PutAsync("vault/a");
        File.WriteAllText(directory["vault/.tmp-1-2-3"], "half");
        Directory.CreateDirectory(directory[".hidden"]);
        File.WriteAllText(directory[".hidden/b"], "");

        Assert.Equal(["vault/a"], await ListAsync(store));
    }

    [Fact]
    public async Task What_is_not_an_object_is_not_listed()
    {
        await PutAsync("a");
        Directory.CreateDirectory(directory["lost+found"]);
        File.WriteAllText(directory["lost+found/x"], "");
        File.WriteAllText(directory["a b"], "");
        File.CreateSymbolicLink(directory["link"], directory["a"]);
        Directory.CreateDirectory(directory["empty"]);

        Assert.Equal(["a"], await ListAsync(store));
    }

    [Fact]
    public async Task Leftovers_of_dead_writers_are_removed_once_they_are_old()
    {
        Directory.CreateDirectory(directory["vault"]);
        Leave("vault/.tmp-old", age: TimeSpan.FromMinutes(61));
        Leave("vault/.tmp-young", age: TimeSpan.FromMinutes(59));
        Leave("vault/.other", age: TimeSpan.FromDays(9));

        await PutAsync("vault/a");

        Assert.Equal(
            [".other", ".tmp-young", "a"],
            Directory.GetFiles(directory["vault"]).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task A_symbolic_link_is_not_an_object()
    {
        File.WriteAllText(directory["elsewhere"], "secret");
        Directory.CreateDirectory(directory["vault"]);
        File.CreateSymbolicLink(directory["vault/a"], directory["elsewhere"]);

        Assert.Null(await store.SizeAsync("vault/a", default));
        var read = await FailureOfAsync(() => store.ReadAsync("vault/a", 0, new byte[1], default));
        var put = await FailureOfAsync(() => PutAsync("vault/a"));

        Assert.Equal(StorageFailure.NotFound, read.Failure);
        Assert.Equal(StorageFailure.Denied, put.Failure);
        Assert.Equal("secret", File.ReadAllText(directory["elsewhere"]));
    }

    [Fact]
    public async Task A_vault_that_was_moved_to_another_disk_behind_a_link_is_read_written_listed()
    {
        Directory.CreateDirectory(directory["disk"]);
        Directory.CreateDirectory(directory["root"]);
        File.CreateSymbolicLink(directory["root/vault"], directory["disk"]);
        var linked = new FileStore(directory["root"]);

        await PutAsync("vault/a", linked);

        Assert.Equal(1, await linked.SizeAsync("vault/a", default));
        Assert.Equal(["vault/a"], await ListAsync(linked));
    }

    [Fact]
    public async Task A_circle_of_links_does_not_make_a_listing_endless()
    {
        await PutAsync("a");
        File.CreateSymbolicLink(directory["loop"], directory.Path);

        var keys = await ListAsync(store);

        Assert.All(keys, key => Assert.True(key.Length <= ObjectKey.LengthMax));
        Assert.Equal("a", keys[0]);
    }

    [Fact]
    public async Task A_folder_cannot_have_the_name_of_an_object_nor_the_other_way_round()
    {
        await PutAsync("a");
        await PutAsync("b/c");

        var below = await FailureOfAsync(() => PutAsync("a/b"));
        var instead = await FailureOfAsync(() => PutAsync("b"));

        Assert.Equal(StorageFailure.Denied, below.Failure);
        Assert.Equal($"cannot write a/b at {directory.Path}: not a directory", below.Message);
        Assert.Equal(StorageFailure.Denied, instead.Failure);
        Assert.Equal(
            $"b at {directory.Path} has the name of an object but is something else, or the other way round", instead.Message);
    }

    [Fact]
    public async Task A_put_works_after_someone_removed_the_folder()
    {
        await PutAsync("vault/log/1");
        Directory.Delete(directory["vault"], recursive: true);

        Assert.Equal(PutResult.Created, await PutAsync("vault/log/2"));
    }

    [Theory]
    [InlineData("/etc/passwd")]
    [InlineData("../outside")]
    public async Task A_key_that_leads_outside_is_refused(string key)
    {
        var failure = await FailureOfAsync(() => PutAsync(key));

        Assert.Equal(StorageFailure.Denied, failure.Failure);
        Assert.Equal($"object key '{key}' is not legal", failure.Message);
    }

    [Fact]
    public async Task A_prefix_that_leads_outside_is_refused()
    {
        var failure = await FailureOfAsync(() => store.ListAsync("../", null, default).ToListAsync().AsTask());

        Assert.Equal(StorageFailure.Denied, failure.Failure);
    }

    [Fact]
    public async Task A_listing_that_stops_early_has_not_read_the_folders_behind()
    {
        await PutAsync("a/1");
        await PutAsync("b/1");

        await using var listing = store.ListAsync("", null, default).GetAsyncEnumerator();
        Assert.True(await listing.MoveNextAsync());
        Directory.Delete(directory["b"], recursive: true);

        Assert.False(await listing.MoveNextAsync());
    }

    [Fact]
    public async Task A_pipe_in_the_place_of_an_object_is_none_and_nobody_waits_for_it()
    {
        await PutAsync("vault/a");
        await System.Diagnostics.Process.Start("mkfifo", directory["vault/pipe"]).WaitForExitAsync(TestContext.Current.CancellationToken);

        var failure = await FailureOfAsync(() => store.ReadAsync("vault/pipe", 0, new byte[8], TestContext.Current.CancellationToken));

        Assert.Equal(StorageFailure.NotFound, failure.Failure);
        Assert.Equal(["vault/a"], await ListAsync(store));
    }

    [Fact]
    public async Task A_folder_that_changes_while_it_is_listed_lists_what_stays()
    {
        for (var i = 0; i < 200; i++)
        {
            await PutAsync($"vault/{i:D3}");
        }

        var listed = new List<string>();
        await foreach (var item in store.ListAsync("", null, TestContext.Current.CancellationToken))
        {
            listed.Add(item.Key);
            if (listed.Count == 1)
            {
                File.Delete(directory["vault/150"]);
            }

            if (listed.Count == 180)
            {
                Directory.Delete(directory["vault"], recursive: true);
            }
        }

        Assert.Equal(Enumerable.Range(0, 200).Except([150]).Select(i => $"vault/{i:D3}").Take(listed.Count), listed);
        Assert.True(listed.Count >= 180);
    }

    [Fact]
    public async Task A_path_with_a_slash_at_its_end_is_the_same_place()
    {
        await PutAsync("vault/a", new FileStore(directory.Path + "/"));

        Assert.Equal(["vault/a"], await ListAsync(store));
    }

    [Fact]
    public async Task A_writer_that_is_killed_leaves_whole_objects_alone()
    {
        for (var round = 0; round < 5; round++)
        {
            var root = Directory.CreateDirectory(directory[$"{round}"]).FullName;
            using (var child = TestChild.PuttingObjects(root))
            {
                Thread.Sleep(round * 3);
                child.Kill();
            }

            var objects = await new FileStore(root).ListAsync("", null, TestContext.Current.CancellationToken).ToListAsync();
            Assert.NotEmpty(objects);
            Assert.Equal(
                Enumerable.Range(0, objects.Count).Select(i => new ObjectInfo($"vault/{i:d6}", TestChild.ObjectSizeBytes)),
                objects.Select(item => item with { StoredAt = null }));
        }
    }

    void Leave(string name, TimeSpan age)
    {
        File.WriteAllText(directory[name], "half");
        File.SetLastWriteTimeUtc(directory[name], (DateTimeOffset.UtcNow - age).UtcDateTime);
    }

    Task<PutResult> PutAsync(string key, FileStore? to = null, byte[]? content = null) =>
        (to ?? store).PutAsync(key, content ?? [1], TestContext.Current.CancellationToken);

    static async Task<List<string>> ListAsync(FileStore from) =>
        await from.ListAsync("", null, TestContext.Current.CancellationToken).Select(item => item.Key).ToListAsync();

    static Task<StorageException> FailureOfAsync(Func<Task> call) => Assert.ThrowsAsync<StorageException>(call);
}
