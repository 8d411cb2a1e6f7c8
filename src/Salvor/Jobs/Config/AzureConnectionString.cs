namespace Salvor.Jobs.Config;

/// <summary>The text by which Azure's tools name an account: <c>AccountName=..;AccountKey=..;EndpointSuffix=core.windows.net</c>.</summary>
static class AzureConnectionString
{
    /// <summary>Its parts by name; none where there is no text. What is not of this form is passed over, as Azure's tools do.</summary>
    public static Dictionary<string, string> Parse(string? text)
    {
        var parts = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        foreach (var part in (text ?? "").Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            var at = part.IndexOf('=', StringComparison.Ordinal);
            if (at > 0 && at < part.Length - 1)
            {
                parts[part[..at]] = part[(at + 1)..];
            }
        }

        return parts;
    }

    /// <summary>Where it says the blobs are, or null.</summary>
    public static string? EndpointOf(Dictionary<string, string> parts, string account) =>
        parts.GetValueOrDefault("BlobEndpoint")
        ?? (parts.TryGetValue("EndpointSuffix", out var suffix)
            ? $"{parts.GetValueOrDefault("DefaultEndpointsProtocol", "https")}://{account}.blob.{suffix}"
            : null);
}
