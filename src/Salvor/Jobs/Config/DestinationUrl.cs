namespace Salvor.Jobs.Config;

/// <summary>Destinations as a command line names them: a path, or a URL.</summary>
public static class DestinationUrl
{
    /// <summary>The destination, named by what was given. Throws where it is of no type that is known.</summary>
    public static DestinationConfig Parse(string pathOrUrl)
    {
        var scheme = pathOrUrl.IndexOf("://", StringComparison.Ordinal);
        return (scheme < 0 ? "" : pathOrUrl[..scheme]) switch
        {
            "" => File(pathOrUrl, pathOrUrl),
            "file" => File(pathOrUrl, Uri.UnescapeDataString(pathOrUrl["file://".Length..])),
            "sftp" => SftpUrl.Parse(pathOrUrl),
            var type => throw new SalvorException(
                FailureKind.Usage,
                $"destination {pathOrUrl} is of type {type}, which is not available in this version",
                "Use a path, a file:// or an sftp:// URL."),
        };
    }

    static FileDestinationConfig File(string name, string path) => new() { Name = name, Path = Path.GetFullPath(path) };
}
