using Salvor.Text;

namespace Salvor.Jobs.Config;

/// <summary>A container as a command line names it.</summary>
static class AzureUrl
{
    /// <summary><c>azure://CONTAINER/PREFIX?account=NAME</c>, with the options that are no secrets.</summary>
    public static AzureDestinationConfig Parse(string url, Func<string, string?> environment)
    {
        var (place, query) = url.IndexOf('?', StringComparison.Ordinal) is >= 0 and var at ? (url[..at], url[(at + 1)..]) : (url, "");
        var owner = $"destination {place}";
        var path = place["azure://".Length..].Split('/', 2);
        var values = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["container"] = path[0],
            ["prefix"] = path.ElementAtOrDefault(1) ?? "",
        };
        foreach (var part in query.Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            var pair = part.Split('=', 2);
            if (!AzureReader.UrlKeys.Contains(pair[0]))
            {
                throw UnknownOption(owner, pair[0]);
            }

            values[pair[0]] = Uri.UnescapeDataString(pair.ElementAtOrDefault(1) ?? "");
        }

        return new AzureReader(
            owner,
            key => values.GetValueOrDefault(key) is { Length: > 0 } value ? value : null,
            (_, message, hint) => new SalvorException(FailureKind.Usage, message, hint),
            environment).Read(place);
    }

    static SalvorException UnknownOption(string owner, string option) =>
        AzureReader.SecretKeys.Contains(option) || option is "sig" or "se" or "sp" or "sv"
            ? new(
                FailureKind.Usage,
                $"{owner} has a secret in its URL, where every process of this machine can read it",
                "Remove it from there and set AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN.")
            : new(
                FailureKind.Usage,
                $"unknown option \"{option}\" in {owner}",
                $"{Suggestion.Sentence(option, AzureReader.UrlKeys)}Known are {Suggestion.Enumerate(AzureReader.UrlKeys)}.");

    /// <summary>The URL of a container as the portal shows it.</summary>
    public static AzureDestinationConfig ParseLong(string url, Func<string, string?> environment) =>
        Parse(ShortFormOf(new Uri(url)), environment);

    /// <summary>Whether it is one.</summary>
    public static bool IsLong(string url) =>
        Uri.TryCreate(url, UriKind.Absolute, out var uri) && uri.Host.Split('.') is [_, "blob", ..] && uri.AbsolutePath.Length > 1;

    static string ShortFormOf(Uri url)
    {
        var options = url.Query.Length > 1 ? $"&{url.Query[1..]}" : "";
        return $"azure://{url.AbsolutePath.Trim('/')}?account={url.Host.Split('.')[0]}&endpoint=https://{url.Authority}{options}";
    }
}
