using Salvor.Jobs;
using Salvor.Storage;
using Salvor.Tests.Support;

namespace Salvor.Tests.Storage;

/// <summary>Listings where the emulator cannot show what matters: how few rows are read, and accounts that sort in another way.</summary>
public sealed class AzureListingTests
{
    static readonly string[] keysInOrder =
        ["B", "a-b/x", "a.b", "a/a", "a/b-c/d", "a/b.c", "a/b/c", "a/b0", "a/c", "a0", "a_", "ab", "b"];

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Whatever_order_an_account_has_its_listing_is_that_of_whole_keys(bool isHierarchical)
    {
        var store = Store(new(keysInOrder.Where(key => !isHierarchical || !IsFolderToo(key)), isHierarchical));
        string[] all = [.. keysInOrder.Where(key => !isHierarchical || !IsFolderToo(key))];

        foreach (var prefix in (string[])["", "a", "a/", "a/b", "a/b/", "c"])
        {
            foreach (var after in (string?[])[null, .. all, "a", "a/", "a/b/b", "a/bb", "A", "zz"])
            {
                var expected = all.Where(key =>
                    key.StartsWith(prefix, StringComparison.Ordinal) && string.CompareOrdinal(key, after) > 0);
                Assert.Equal(expected, await KeysAsync(store, prefix, after));
            }
        }
    }

    /// <summary>Where the service's word for "this account has directories" is missing, its order gives it away.</summary>
    [Fact]
    public async Task A_listing_in_another_order_is_not_believed()
    {
        var service = new FakeBlobService(["a/x", "a-b"], isHierarchical: true);
        var options = Options();
        using var http = new HttpMessageInvoker(new WithoutTypes(service));

        var failure = await Assert.ThrowsAsync<StorageException>(() => KeysAsync(new AzureBlobStore(options, http: http), "", null));

        Assert.Equal(
            $"cannot list what is at {options.Location}: the answer of acme.blob.core.windows.net has a-b behind a/x, "
                + "which is not the order of names",
            failure.Message);
    }

    [Fact]
    public async Task A_long_listing_is_asked_for_in_large_pages()
    {
        var service = new FakeBlobService(Enumerable.Range(0, 12_000).Select(i => $"app/log/{i:D8}"), isHierarchical: false);

        Assert.Equal(12_000, (await KeysAsync(Store(service), "", null)).Count);

        Assert.Equal(4, service.Requests);
    }

    [Fact]
    public async Task What_lies_before_the_place_where_a_listing_begins_is_passed_over_by_folders()
    {
        var log = Enumerable.Range(0, 50_000).Select(i => $"app/log/{i:D8}");
        var service = new FakeBlobService(log.Concat(["app/packs/1", "app/vault", "other/vault"]), isHierarchical: false);

        Assert.Equal(["app/packs/1", "app/vault", "other/vault"], await KeysAsync(Store(service), "", "app/log0"));

        Assert.InRange(service.Rows, 1, 20);
    }

    [Fact]
    public async Task The_vaults_of_a_destination_are_named_without_reading_what_is_in_them()
    {
        string[] names = ["app", "billing", "crm"];
        var keys = names.SelectMany(name => Enumerable.Range(0, 20_000).Select(i => $"{name}/log/{i:D8}")
            .Concat([$"{name}/branches/1", $"{name}/claims/1", $"{name}/vault"]));
        var service = new FakeBlobService(keys, isHierarchical: false);

        Assert.Equal(names, await Destinations.NamesAsync(Store(service), TestContext.Current.CancellationToken));

        Assert.InRange(service.Requests, 1, 60);
        Assert.InRange(service.Rows, 1, 5_000);
    }

    /// <summary>A real directory cannot have the name of a blob.</summary>
    static bool IsFolderToo(string key) => keysInOrder.Any(other => other.StartsWith(key + "/", StringComparison.Ordinal));

    static AzureBlobStore Store(FakeBlobService service) => new(Options(), http: new HttpMessageInvoker(service));

    static AzureBlobOptions Options() => new()
    {
        Account = "acme",
        Container = "box",
        Endpoint = AzureBlobOptions.PublicEndpoint("acme"),
        Location = "azure://box?account=acme",
        Credential = new AzureCredential.SharedKey(new byte[64]),
    };

    static async Task<List<string>> KeysAsync(AzureBlobStore store, string prefix, string? after) =>
        await store.ListAsync(prefix, after, TestContext.Current.CancellationToken).Select(row => row.Key).ToListAsync();

    sealed class WithoutTypes(HttpMessageHandler inner) : DelegatingHandler(inner)
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            var response = await base.SendAsync(request, cancellationToken);
            var text = await response.Content.ReadAsStringAsync(cancellationToken);
            response.Content = new StringContent(text
                .Replace("<ResourceType>file</ResourceType>", "", StringComparison.Ordinal)
                .Replace("<Blob><Name>a</Name>", "<Blob><Name>.</Name>", StringComparison.Ordinal)
                .Replace("<ResourceType>directory</ResourceType>", "", StringComparison.Ordinal));
            return response;
        }
    }
}
