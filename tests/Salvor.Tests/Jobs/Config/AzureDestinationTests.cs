using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Storage;
using static Salvor.Tests.Jobs.Config.ConfigTesting;

namespace Salvor.Tests.Jobs.Config;

/// <summary>Destinations of type azure: in the file, as a URL, and completed from the variables of Azure's own tools.</summary>
public sealed class AzureDestinationTests
{
    /// <summary>Of 64 bytes, as accounts have; it stands for a secret that must not turn up.</summary>
    static readonly string key = Convert.ToBase64String([.. Enumerable.Repeat((byte)'c', 64)]);

    const string Sas = "sv=2021-12-02&sr=c&sp=rcl&se=2027-01-01T00%3A00%3A00Z&sig=canary%3D";

    [Fact]
    public void All_keys_of_the_file_are_read()
    {
        var azure = Read(
            $$"""
            account: acme, container: salvor, prefix: prod/eu, endpoint: "https://acme.blob.core.cloudapi.de", account_key: "${KEY}",
                auth: key, price_per_gb_month: 0.02
            """,
            ("KEY", key));

        Assert.Equal(("acme", "salvor", "prod/eu"), (azure.Account, azure.Container, azure.Prefix));
        Assert.Equal((AzureAuth.Key, key, 0.02m), (azure.Auth, azure.Secret?.Value, azure.PricePerGbMonth));
        Assert.Equal("azure://salvor/prod/eu?account=acme&endpoint=https://acme.blob.core.cloudapi.de", azure.Location);
        Assert.Equal(azure.Location, Destinations.Open(azure).Location);
        Assert.DoesNotContain(key, azure.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void An_account_and_a_container_are_enough()
    {
        var azure = Read("account: acme, container: salvor");

        Assert.Equal((AzureAuth.Identity, null, ""), (azure.Auth, azure.Secret, azure.Prefix));
        Assert.Equal(new Uri("https://acme.blob.core.windows.net"), azure.Endpoint);
        Assert.Equal("azure://salvor?account=acme", azure.Location);
    }

    [Fact]
    public void A_location_is_the_url_of_the_same_place()
    {
        string[] urls =
        [
            "azure://salvor?account=acme", "azure://salvor/prod/eu?account=acme",
            "azure://salvor?account=acme&endpoint=http://127.0.0.1:10000/acme",
            "azure://salvor/a?account=acme&endpoint=http://10.0.0.1:10000/acme&allow_insecure=true",
        ];
        Assert.Equal(urls, urls.Select(url => Url(url).Location));
    }

    [Fact]
    public void The_url_that_the_portal_shows_names_the_same_place()
    {
        Assert.Equal("azure://salvor/prod?account=acme", Url("https://acme.blob.core.windows.net/salvor/prod").Location);
        Assert.Equal(
            "azure://salvor?account=acme&endpoint=https://acme.blob.core.chinacloudapi.cn",
            Url("https://acme.blob.core.chinacloudapi.cn/salvor/").Location);
    }

    [Fact]
    public void Where_a_vault_is_named_the_destination_is_its_parent()
    {
        Assert.Equal("azure://salvor/prod?account=acme", Url("azure://salvor/prod/app?account=acme").ParentOf("app")?.Location);
        Assert.Equal("azure://salvor?account=acme", Url("azure://salvor/app?account=acme").ParentOf("app")?.Location);
        Assert.Null(Url("azure://salvor/app?account=acme").ParentOf("pp"));
        Assert.Null(Url("azure://app?account=acme").ParentOf("app"));
    }

    [Fact]
    public void The_variables_of_azures_own_tools_complete_what_is_not_said()
    {
        Assert.Equal(
            ("acme", AzureAuth.Key, key),
            Said(Url("azure://salvor", ("AZURE_STORAGE_ACCOUNT", "acme"), ("AZURE_STORAGE_KEY", key))));
        Assert.Equal(("acme", AzureAuth.Sas, Sas), Said(Url("azure://salvor?account=acme", ("AZURE_STORAGE_SAS_TOKEN", Sas))));

        var connection = $"DefaultEndpointsProtocol=https;AccountName=acme;AccountKey={key};EndpointSuffix=core.chinacloudapi.cn";
        var connected = Url("azure://salvor", ("AZURE_STORAGE_CONNECTION_STRING", connection));
        Assert.Equal(("acme", AzureAuth.Key, key), Said(connected));
        Assert.Equal(new Uri("https://acme.blob.core.chinacloudapi.cn"), connected.Endpoint);
        Assert.Equal(
            new Uri("http://127.0.0.1:1/a"),
            Url("azure://salvor", ("AZURE_STORAGE_CONNECTION_STRING", "AccountName=acme;BlobEndpoint=http://127.0.0.1:1/a")).Endpoint);
    }

    [Fact]
    public void What_is_said_wins_over_variables()
    {
        Assert.Equal(AzureAuth.Identity, Url("azure://salvor?account=acme&auth=identity", ("AZURE_STORAGE_KEY", key)).Auth);
        var sas = Read($"account: acme, container: salvor, sas_token: \"{Sas}\"", ("AZURE_STORAGE_KEY", key));
        Assert.Equal(("acme", AzureAuth.Sas, Sas), Said(sas));
    }

    /// <summary>Else the key of one account would be sent, in a signature, to whoever has the name of another.</summary>
    [Fact]
    public void The_secret_of_another_account_is_not_used()
    {
        Assert.Equal(
            AzureAuth.Identity,
            Url("azure://salvor?account=other", ("AZURE_STORAGE_ACCOUNT", "acme"), ("AZURE_STORAGE_KEY", key)).Auth);
        Assert.Equal(
            AzureAuth.Identity,
            Url("azure://salvor?account=other", ("AZURE_STORAGE_CONNECTION_STRING", $"AccountName=acme;AccountKey={key}")).Auth);
    }

    [Theory]
    [InlineData("container: salvor", "2:12", "destination offsite has no account",
        "Name the storage account, or set AZURE_STORAGE_ACCOUNT: account: acmebackups.")]
    [InlineData("account: Acme, container: salvor", "2:36",
        "account of destination offsite is \"Acme\", which is not the name of a storage account",
        "Names of accounts have 3 to 24 lower-case letters and digits.")]
    [InlineData("account: acme", "2:12", "destination offsite has no container", "Add container: salvor.")]
    [InlineData("account: acme, container: a--b", "2:53",
        "container of destination offsite is \"a--b\", which is not the name of a container",
        "Names of containers have 3 to 63 lower-case letters, digits and single hyphens.")]
    [InlineData("account: acme, container: salvor, prefix: a//b", "2:69", "prefix of destination offsite is \"a//b\", which cannot be one",
        "Use at most 400 of the characters A-Z a-z 0-9 . _ - and slashes between them.")]
    [InlineData("account: acme, container: salvor, endpoint: \"http://10.1.2.3/acme\"", "2:71",
        "endpoint of destination offsite is plain http to 10.1.2.3, where everybody on the way can read and change what is sent",
        "Use https, or say allow_insecure: true where the network itself is private.")]
    [InlineData("account: acme, container: salvor, endpoint: \"https://u:canary@x/\"", "2:71",
        "endpoint of destination offsite is not a URL of a host and no more", "Write endpoint: https://acme.blob.core.windows.net.")]
    [InlineData("account: acme, container: salvor, auth: sas", "2:67", "destination offsite has no sas_token",
        "Add sas_token: ${AZURE_STORAGE_SAS_TOKEN}, or set AZURE_STORAGE_SAS_TOKEN.")]
    [InlineData("account: acme, container: salvor, auth: entra", "2:67", "unknown auth \"entra\" in destination offsite",
        "Known are key, sas and identity.")]
    [InlineData("account: acme, container: salvor, account_key: canary!", "2:74",
        "the account key of destination offsite is not one: it is no base 64", "Copy it whole: 'az storage account keys list'.")]
    [InlineData("account: acme, container: salvor, sas_token: canary", "2:72",
        "the SAS token of destination offsite is not one: it has no signature",
        "Copy it whole: 'az storage container generate-sas' prints it.")]
    [InlineData("account: acme, container: salvor, account_key: YQ==, sas_token: x", "2:91",
        "destination offsite has both account_key and sas_token", "Keep one of the two.")]
    public void What_is_wrong_in_the_file_is_named_at_its_place_without_secrets(string keys, string place, string message, string hint) =>
        AssertError(place, message, hint, () => Read(keys));

    [Theory]
    [InlineData("azure://salvor?account=acme&acount=x", "unknown option \"acount\" in destination azure://salvor",
        "Did you mean \"account\"? Known are account, endpoint, auth and allow_insecure.")]
    [InlineData("azure://salvor?account=acme&account_key=canary", "destination azure://salvor has a secret in its URL, where every process "
        + "of this machine can read it", "Remove it from there and set AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN.")]
    [InlineData("https://acme.blob.core.windows.net/salvor?sv=2021-12-02&sig=canary", "destination azure://salvor has a secret in its URL, "
        + "where every process of this machine can read it", "Remove it from there and set AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN.")]
    [InlineData("azure://?account=acme", "destination azure:// has no container", "Add container: salvor.")]
    [InlineData("https://example.com/x?sig=canary",
        "destination https://example.com/x is of type https, which is not available in this version",
        "Use a path, or a URL that begins with file://, s3://, gs://, sftp:// or azure://.")]
    public void What_is_wrong_in_a_url_is_named_without_secrets(string url, string message, string hint)
    {
        var failure = Assert.Throws<SalvorException>(() => Url(url));
        Assert.Equal((FailureKind.Usage, message, hint), (failure.Kind, failure.Message, failure.Hint));
    }

    static (string, AzureAuth, string?) Said(AzureDestinationConfig azure) => (azure.Account, azure.Auth, azure.Secret?.Value);

    static AzureDestinationConfig Read(string keys, params (string Name, string Value)[] variables) =>
        (AzureDestinationConfig)Parse(
            $"destinations:\n  offsite: {{ type: azure, {keys} }}\nsources:\n  app: {{ type: sqlite, path: /data/app.db, to: [offsite] }}",
            variables).Destinations["offsite"];

    static AzureDestinationConfig Url(string url, params (string Name, string Value)[] variables) =>
        (AzureDestinationConfig)DestinationUrl.Parse(url, name => variables.FirstOrDefault(variable => variable.Name == name).Value);
}
