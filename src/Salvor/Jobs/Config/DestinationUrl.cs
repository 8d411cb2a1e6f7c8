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
            "azure" => AzureUrl.Parse(pathOrUrl, environment),
            "https" when AzureUrl.IsLong(pathOrUrl) => AzureUrl.ParseLong(pathOrUrl, environment),
            "file" => File(pathOrUrl, Uri.UnescapeDataString(pathOrUrl["file://".Length..])),
            "s3" or "gs" => S3Url.Parse(pathOrUrl),
            "gcs" => S3Url.Parse("gs" + pathOrUrl[scheme..]),
            "sftp" => SftpUrl.Parse(pathOrUrl, environment),
            var type => throw new SalvorException(
                FailureKind.Usage,
                $"destination {pathOrUrl.Split('?')[0]} is of type {type}, which is not available in this version",
                "Use a path, or a URL that begins with file://, s3://, gs://, sftp:// or azure://."),
        };
    }

    static FileDestinationConfig File(string name, string path) => new() { Name = name, Path = Path.GetFullPath(path) };
}
