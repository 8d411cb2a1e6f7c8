using System.Text;
using Salvor.Storage;
using Salvor.Tests.Support;

namespace Salvor.Tests.Storage;

/// <summary>The whole contract on Microsoft's emulator.</summary>
public sealed class AzureBlobStoreContractTests : ObjectStoreContractTests, IAsyncLifetime
{
    AzureBlobOptions? options;

    public async ValueTask InitializeAsync()
    {
        var server = await AzuriteServer.SharedAsync();
        options = await server.CreateContainerAsync() with { Prefix = "some/prefix" };
    }

    public ValueTask DisposeAsync() => default;

    protected override IObjectStore CreateStore() => new AzureBlobStore(options!);
}

/// <summary>What the service says, and what becomes of it, on Microsoft's emulator.</summary>
public sealed class AzureBlobStoreTests : IAsyncLifetime
{
    static readonly byte[] content = [1, 2, 3];

    AzureBlobOptions options = null!;

    public async ValueTask InitializeAsync() => options = await (await AzuriteServer.SharedAsync()).CreateContainerAsync();

    public ValueTask DisposeAsync() => default;

    [Fact]
    public async Task Below_a_prefix_nothing_else_of_the_container_is_seen()
    {
        var all = new AzureBlobStore(options);
        var below = new AzureBlobStore(options with { Prefix = "acme" });
        await all.PutAsync("acme/a", content, default);
        await all.PutAsync("acme-too/b", content, default);
        await all.PutAsync("c", content, default);

        Assert.Equal(["a"], await KeysAsync(below));
        Assert.Equal(["acme-too/b", "acme/a", "c"], await KeysAsync(all));
    }

    [Fact]
    public async Task A_signature_is_let_in_as_a_key_is()
    {
        var store = With(SasOf("rcwdl"));
        Assert.Equal(PutResult.Created, await store.PutAsync("a", content, default));
        Assert.Equal(PutResult.AlreadyExists, await store.PutAsync("a", content, default));
        Assert.Equal(content, await store.GetAsync("a", 10, default));
        Assert.Equal(["a"], await KeysAsync(store));
        await store.ReplaceAsync("a", new byte[] { 4 }, default);
        await store.DeleteAsync("a", default);
        Assert.Null(await store.SizeAsync("a", default));
    }

    /// <summary>What a machine that may be taken over should have: it can add, and neither change nor remove.</summary>
    [Fact]
    public async Task A_signature_that_may_only_add_and_read_keeps_what_is_there()
    {
        var store = With(SasOf("rcl"));
        Assert.Equal(PutResult.Created, await store.PutAsync("a", content, default));
        Assert.Equal(PutResult.AlreadyExists, await store.PutAsync("a", new byte[] { 9 }, default));
        await AssertDeniedAsync(
            () => store.ReplaceAsync("a", new byte[] { 9 }, default),
            "cannot replace a", "the SAS token may not write there (", SasHint("w"));
        await AssertDeniedAsync(
            () => store.DeleteAsync("a", default),
            "cannot delete a", "the SAS token may not delete there (AuthorizationPermissionMismatch)", SasHint("d"));
        Assert.Equal(content, await store.GetAsync("a", 10, default));
    }

    [Fact]
    public async Task The_verb_that_a_signature_lacks_is_named()
    {
        var store = With(SasOf("rcwd"));
        await store.PutAsync("a", content, default);

        await AssertDeniedAsync(
            () => KeysAsync(store), "cannot list what is",
            "the SAS token may not list there (AuthorizationPermissionMismatch)", SasHint("l"));
        await AssertDeniedAsync(
            () => With(SasOf("cl")).SizeAsync("a", default), "cannot read a",
            "the SAS token may not read there (AuthorizationPermissionMismatch)", SasHint("r"));
        await AssertDeniedAsync(
            () => With(SasOf("rl")).PutAsync("b", content, default), "cannot write b",
            "the SAS token may not create there (AuthorizationPermissionMismatch)", SasHint("c"));
    }

    [Fact]
    public async Task A_signature_that_ended_is_told_with_its_end()
    {
        var ended = AzuriteServer.Sas(options.Container, "rcwdl", new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero));

        await AssertDeniedAsync(
            () => With(ended).PutAsync("a", content, default), "cannot write a", "the SAS token ended at 2026-01-02T03:04:05Z",
            $"Make a new one: 'az storage container generate-sas --account-name salvortest --name {options.Container} --permissions rcwdl "
                + "--expiry' and a day, and start Salvor again.");
    }

    [Fact]
    public async Task A_wrong_key_is_told_as_such() => await AssertDeniedAsync(
        () => new AzureBlobStore(options with { Credential = new AzureCredential.SharedKey(new byte[32]) }).PutAsync("a", content, default),
        "cannot write a", "account salvortest does not let the account key in from here (AuthorizationFailure)",
        "Compare it, and look at the firewall: 'az storage account show --name salvortest --query networkRuleSet'.");

    [Fact]
    public async Task A_missing_container_is_told_with_how_to_create_it()
    {
        var store = new AzureBlobStore(options with { Container = "nowhere" });
        const string Why = "there is no container nowhere in account salvortest";
        const string Hint = "Create it: 'az storage container create --account-name salvortest --name nowhere'.";

        await AssertDeniedAsync(() => store.PutAsync("a", content, default), "cannot write a", Why, Hint);
        await AssertDeniedAsync(() => store.SizeAsync("a", default), "cannot read a", Why, Hint);
        await AssertDeniedAsync(() => store.ReadAsync("a", 0, new byte[1], default), "cannot read a", Why, Hint);
        await AssertDeniedAsync(() => KeysAsync(store), "cannot list what is", Why, Hint);
        await AssertDeniedAsync(() => store.DeleteAsync("a", default), "cannot delete a", Why, Hint);
    }

    [Fact]
    public async Task A_name_that_nobody_knows_is_told_with_how_to_look_for_it()
    {
        var store = new AzureBlobStore(options with { Endpoint = new("https://salvortest.blob.invalid") });

        var failure = await Assert.ThrowsAsync<StorageException>(() => store.SizeAsync("a", default));

        Assert.Equal(StorageFailure.Unreachable, failure.Failure);
        Assert.Equal($"cannot read a at {store.Location}: the name salvortest.blob.invalid is not known", failure.Message);
        Assert.Equal(
            "Check the name of the account (salvortest) and this machine's name service: 'getent hosts salvortest.blob.invalid'.",
            failure.Hint);
    }

    [Fact]
    public async Task A_port_where_nobody_listens_is_told_with_how_to_try_it()
    {
        var store = new AzureBlobStore(options with { Endpoint = new("http://127.0.0.1:1/salvortest") });

        var failure = await Assert.ThrowsAsync<StorageException>(() => store.SizeAsync("a", default));

        Assert.Equal(StorageFailure.Unreachable, failure.Failure);
        Assert.Equal($"cannot read a at {store.Location}: no connection to 127.0.0.1:1: connection refused", failure.Message);
        Assert.Equal("Check the network on the way to it: 'curl -v http://127.0.0.1:1/salvortest'.", failure.Hint);
    }

    [Fact]
    public async Task A_server_that_speaks_no_tls_is_told_as_one_that_cannot_prove_itself()
    {
        var store = new AzureBlobStore(options with { Endpoint = new(options.Endpoint.AbsoluteUri.Replace("http:", "https:")) });

        var failure = await Assert.ThrowsAsync<StorageException>(() => store.SizeAsync("a", default));

        Assert.Equal($"cannot read a at {store.Location}: 127.0.0.1 cannot prove by its certificate that it is 127.0.0.1", failure.Message);
    }

    [Fact]
    public async Task No_secret_is_in_any_message()
    {
        var key = Encoding.UTF8.GetBytes("canary-of-an-account-key-31f0");
        var sas = SasOf("r").Replace("sig=", "sig=canary31f0");
        AzureBlobOptions[] all =
        [
            options with { Credential = new AzureCredential.SharedKey(key) },
            options with { Credential = new AzureCredential.Sas(sas) },
            options with { Credential = new AzureCredential.Sas(sas), Endpoint = new("http://127.0.0.1:1/salvortest") },
            options with { Credential = new AzureCredential.Sas(sas), Endpoint = new("https://salvortest.blob.invalid") },
            options with { Credential = new AzureCredential.Sas(sas), Container = "nowhere" },
        ];
        foreach (var each in all)
        {
            var store = new AzureBlobStore(each);
            Func<Task>[] calls =
            [
                () => store.PutAsync("a", content, default), () => KeysAsync(store), () => store.SizeAsync("a", default),
                () => store.DeleteAsync("a", default), () => store.ReadAsync("a", 0, new byte[1], default),
            ];
            foreach (var call in calls)
            {
                var failure = await Assert.ThrowsAsync<StorageException>(call);
                var said = $"{failure} {failure.Hint} {each}";
                Assert.DoesNotContain("canary", said, StringComparison.Ordinal);
                Assert.DoesNotContain("sig=", said, StringComparison.Ordinal);
                Assert.DoesNotContain(Convert.ToBase64String(key), said, StringComparison.Ordinal);
            }
        }
    }

    AzureBlobStore With(string sas) => new(options with { Credential = new AzureCredential.Sas(sas) });

    string SasOf(string permissions) =>
        AzuriteServer.Sas(options.Container, permissions, TimeProvider.System.GetUtcNow() + TimeSpan.FromDays(1));

    string SasHint(string permission) => $"Make one with the permission '{permission}': 'az storage container generate-sas "
        + $"--account-name salvortest --name {options.Container} --permissions rcwdl --expiry' and a day.";

    static async Task AssertDeniedAsync(Func<Task> call, string action, string why, string hint)
    {
        var failure = await Assert.ThrowsAsync<StorageException>(call);
        Assert.StartsWith($"{action} at azure://", failure.Message, StringComparison.Ordinal);
        Assert.Contains($": {why}", failure.Message, StringComparison.Ordinal);
        Assert.Equal(hint, failure.Hint);
        Assert.Equal(StorageFailure.Denied, failure.Failure);
    }

    static async Task<List<string>> KeysAsync(AzureBlobStore store) =>
        await store.ListAsync("", null, TestContext.Current.CancellationToken).Select(row => row.Key).ToListAsync();
}
