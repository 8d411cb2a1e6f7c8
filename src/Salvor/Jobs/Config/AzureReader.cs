using Salvor.Storage;
using Salvor.Text;

namespace Salvor.Jobs.Config;

/// <summary>
/// Reads a destination of type <c>azure</c>, from the configuration or from a URL, and completes it from the variables that Azure's own
/// tools use. A variable counts only for the account that it belongs to.
/// </summary>
/// <param name="owner">What messages call the destination.</param>
/// <param name="text">The text of a key, or null.</param>
/// <param name="error">The error that something is wrong with a key.</param>
/// <param name="environment">The variables of the process.</param>
sealed class AzureReader(
    string owner, Func<string, string?> text, Func<string, string, string, SalvorException> error, Func<string, string?> environment)
{
    public const string AccountExample = "acmebackups";
    const int PrefixLengthMax = 400;

    /// <summary>The keys that a URL may have, besides the container and the prefix in its path.</summary>
    public static readonly string[] UrlKeys = ["account", "endpoint", "auth", "allow_insecure"];

    public static readonly string[] SecretKeys = ["account_key", "sas_token"];

    readonly Dictionary<string, string> connection = AzureConnectionString.Parse(environment("AZURE_STORAGE_CONNECTION_STRING"));

    public AzureDestinationConfig Read(string name)
    {
        var account = ReadAccount();
        var (auth, secret) = ReadCredential(account);
        var isInsecureWanted = ReadFlag("allow_insecure");
        return new()
        {
            Name = name,
            Account = account,
            Container = ReadContainer(),
            Prefix = ReadPrefix(),
            Endpoint = ReadEndpoint(account, isInsecureWanted),
            Auth = auth,
            Secret = secret,
            AllowInsecure = isInsecureWanted,
        };
    }

    string ReadAccount()
    {
        var account = text("account") ?? Variable("AZURE_STORAGE_ACCOUNT") ?? connection.GetValueOrDefault("AccountName")
            ?? throw error(
                "account", $"{owner} has no account",
                $"Name the storage account, or set AZURE_STORAGE_ACCOUNT: account: {AccountExample}.");
        return account.Length is >= 3 and <= 24 && account.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c))
            ? account
            : throw error(
                "account", $"account of {owner} is \"{account}\", which is not the name of a storage account",
                "Names of accounts have 3 to 24 lower-case letters and digits.");
    }

    string ReadContainer()
    {
        var container = text("container") ?? throw error("container", $"{owner} has no container", "Add container: salvor.");
        var isName = container.Length is >= 3 and <= 63
            && container.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '-')
            && container[0] != '-' && container[^1] != '-' && !container.Contains("--", StringComparison.Ordinal);
        return isName
            ? container
            : throw error(
                "container", $"container of {owner} is \"{container}\", which is not the name of a container",
                "Names of containers have 3 to 63 lower-case letters, digits and single hyphens.");
    }

    string ReadPrefix()
    {
        var prefix = (text("prefix") ?? "").Trim('/');
        return prefix.Length == 0 || (prefix.Length <= PrefixLengthMax && ObjectKey.IsKey(prefix))
            ? prefix
            : throw error(
                "prefix", $"prefix of {owner} is \"{prefix}\", which cannot be one",
                $"Use at most {PrefixLengthMax} of the characters A-Z a-z 0-9 . _ - and slashes between them.");
    }

    Uri ReadEndpoint(string account, bool isInsecureWanted)
    {
        var given = text("endpoint") ?? (IsOfConnection(account) ? AzureConnectionString.EndpointOf(connection, account) : null);
        if (given is null)
        {
            return AzureBlobOptions.PublicEndpoint(account);
        }

        if (!Uri.TryCreate(given, UriKind.Absolute, out var endpoint) || endpoint.Scheme is not ("https" or "http")
            || endpoint.Query.Length > 0 || endpoint.UserInfo.Length > 0)
        {
            // What is wrong with it may be that it has a secret.
            throw error(
                "endpoint", $"endpoint of {owner} is not a URL of a host and no more",
                $"Write endpoint: {AzureBlobOptions.PublicEndpoint(account).AbsoluteUri.TrimEnd('/')}.");
        }

        return endpoint.Scheme == "https" || endpoint.IsLoopback || isInsecureWanted
            ? endpoint
            : throw error(
                "endpoint",
                $"endpoint of {owner} is plain http to {endpoint.Host}, where everybody on the way can read and change what is sent",
                "Use https, or say allow_insecure: true where the network itself is private.");
    }

    (AzureAuth Auth, SecretText? Secret) ReadCredential(string account)
    {
        if (SecretKeys.All(key => text(key) is not null))
        {
            throw error("sas_token", $"{owner} has both account_key and sas_token", "Keep one of the two.");
        }

        var (key, sas) = (text("account_key"), text("sas_token"));
        var isSaid = key is not null || sas is not null;
        if (!isSaid && IsOfVariables(account))
        {
            (key, sas) = (Variable("AZURE_STORAGE_KEY"), Variable("AZURE_STORAGE_SAS_TOKEN"));
        }

        if (!isSaid && IsOfConnection(account))
        {
            key ??= connection.GetValueOrDefault("AccountKey");
            sas ??= connection.GetValueOrDefault("SharedAccessSignature");
        }

        return ReadAuth() switch
        {
            AzureAuth.Identity => (AzureAuth.Identity, null),
            AzureAuth.Key => (AzureAuth.Key, CheckedKey(key ?? throw Lacking("account_key", "AZURE_STORAGE_KEY"))),
            AzureAuth.Sas => (AzureAuth.Sas, CheckedSas(sas ?? throw Lacking("sas_token", "AZURE_STORAGE_SAS_TOKEN"))),
            _ when key is not null => (AzureAuth.Key, CheckedKey(key)),
            _ when sas is not null => (AzureAuth.Sas, CheckedSas(sas)),
            _ => (AzureAuth.Identity, null),
        };
    }

    AzureAuth? ReadAuth()
    {
        string[] names = ["key", "sas", "identity"];
        var at = text("auth") is { } name ? Array.IndexOf(names, name) : -1;
        return at >= 0 ? (AzureAuth)at
            : text("auth") is not { } unknown ? null
            : throw error(
                "auth", $"unknown auth \"{unknown}\" in {owner}",
                $"{Suggestion.Sentence(unknown, names)}Known are {Suggestion.Enumerate(names)}.");
    }

    bool ReadFlag(string key) => text(key) switch
    {
        null or "false" => false,
        "true" => true,
        var other => throw error(key, $"unknown {key} \"{other}\" in {owner}", "Known are true and false."),
    };

    SecretText CheckedKey(string key) => key.Length > 0 && Convert.TryFromBase64String(key, new byte[key.Length], out _)
        ? new(key)
        : throw error(
            "account_key", $"the account key of {owner} is not one: it is no base 64", "Copy it whole: 'az storage account keys list'.");

    SecretText CheckedSas(string sas) =>
        sas.TrimStart('?').Split('&').Any(part => part.StartsWith("sig=", StringComparison.Ordinal))
        && sas.All(c => c is > ' ' and <= '~')
            ? new(sas)
            : throw error(
                "sas_token", $"the SAS token of {owner} is not one: it has no signature",
                "Copy it whole: 'az storage container generate-sas' prints it.");

    SalvorException Lacking(string key, string variable) => error(
        "auth", $"{owner} has no {key}", $"Add {key}: ${{{variable}}}, or set {variable}.");

    string? Variable(string name) => environment(name) is { Length: > 0 } value ? value : null;

    bool IsOfVariables(string account) => (Variable("AZURE_STORAGE_ACCOUNT") ?? account) == account;

    bool IsOfConnection(string account) =>
        connection.Count > 0 && (connection.GetValueOrDefault("AccountName") ?? account) == account;
}
