using Salvor.Text;

namespace Salvor.Jobs.Config;

/// <summary>Destinations as a command line names them: a path, or a URL.</summary>
public static class DestinationUrl
{
    /// <summary>The destination, named by what was given. Throws where it is of no type that is known.</summary>
    public static DestinationConfig Parse(string pathOrUrl) => Parse(pathOrUrl, Environment.GetEnvironmentVariable);

    /// <summary>The same with other variables than those of the process.</summary>
    internal static DestinationConfig Parse(string pathOrUrl, Func<string, string?> environment)
    {
        var scheme = pathOrUrl.IndexOf("://", StringComparison.Ordinal);
        return (scheme < 0 ? "" : pathOrUrl[..scheme]) switch
        {
            "" => File(pathOrUrl, pathOrUrl),
            "azure" => Azure(pathOrUrl, environment),
            "https" when IsBlobHost(pathOrUrl) => Azure(ShortFormOf(new Uri(pathOrUrl)), environment),
            "file" => File(pathOrUrl, Uri.UnescapeDataString(pathOrUrl["file://".Length..])),
            var type => throw new SalvorException(
                FailureKind.Usage,
                $"destination {pathOrUrl.Split('?')[0]} is of type {type}, which is not available in this version",
                "Use a path, or a URL that begins with file:// or azure://."),
        };
    }

    static FileDestinationConfig File(string name, string path) => new() { Name = name, Path = Path.GetFullPath(path) };

    /// <summary><c>azure://CONTAINER/PREFIX?account=NAME</c>, with the options that are no secrets.</summary>
    static AzureDestinationConfig Azure(string url, Func<string, string?> environment)
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

    /// <summary>Whether it is the URL of a container as the portal shows it.</summary>
    static bool IsBlobHost(string url) =>
        Uri.TryCreate(url, UriKind.Absolute, out var uri) && uri.Host.Split('.') is [_, "blob", ..] && uri.AbsolutePath.Length > 1;

    static string ShortFormOf(Uri url)
    {
        var options = url.Query.Length > 1 ? $"&{url.Query[1..]}" : "";
        return $"azure://{url.AbsolutePath.Trim('/')}?account={url.Host.Split('.')[0]}&endpoint=https://{url.Authority}{options}";
    }
}
