using System.Globalization;
using System.Xml;

namespace Salvor.Storage;

/// <summary>A blob, or a folder whose name ends with a slash.</summary>
readonly record struct AzureListEntry(string Name, long SizeBytes, DateTimeOffset? StoredAt, bool IsFolder);

/// <summary>One answer to a listing.</summary>
/// <param name="Entries">In whatever order they came.</param>
/// <param name="NextMarker">What the next page is asked for with; null at the end.</param>
/// <param name="IsHierarchical">Whether the account has real directories, and so an order of its own.</param>
sealed record AzureListPage(List<AzureListEntry> Entries, string? NextMarker, bool IsHierarchical)
{
    /// <summary>A page has at most 5,000 rows of some 1,100 bytes and a name of at most 1,024 characters.</summary>
    const long CharactersMax = 64L << 20;

    /// <summary>Reads an answer. Throws <see cref="XmlException"/> where it is not one.</summary>
    public static async Task<AzureListPage> ReadAsync(Stream body, CancellationToken cancellationToken)
    {
        var settings = new XmlReaderSettings
        {
            Async = true,
            DtdProcessing = DtdProcessing.Prohibit,
            XmlResolver = null,
            MaxCharactersInDocument = CharactersMax,
            MaxCharactersFromEntities = CharactersMax,
            IgnoreWhitespace = true,
            IgnoreComments = true,
        };
        using var reader = XmlReader.Create(body, settings);
        if (await reader.MoveToContentAsync() != XmlNodeType.Element || reader.LocalName != "EnumerationResults")
        {
            throw new XmlException("no listing");
        }

        var page = new Builder();
        while (await reader.ReadAsync())
        {
            cancellationToken.ThrowIfCancellationRequested();
            page.Add(reader.NodeType, reader.LocalName, reader.Value);
        }

        return new(page.Entries, page.NextMarker, page.IsHierarchical);
    }

    /// <summary>Takes the nodes in their order; what is not known is passed over.</summary>
    sealed class Builder
    {
        string element = "", name = "", size = "", modified = "";
        bool isDirectory;

        public List<AzureListEntry> Entries { get; } = [];

        public string? NextMarker { get; private set; }

        public bool IsHierarchical { get; private set; }

        public void Add(XmlNodeType type, string nodeName, string value)
        {
            switch (type)
            {
                case XmlNodeType.Element when nodeName is "Blob" or "BlobPrefix":
                    (name, size, modified, isDirectory) = ("", "", "", false);
                    break;
                case XmlNodeType.Element:
                    element = nodeName;
                    break;
                case XmlNodeType.Text:
                    Take(value);
                    break;
                case XmlNodeType.EndElement when nodeName == "BlobPrefix":
                    Entries.Add(new(name, 0, null, IsFolder: true));
                    break;
                case XmlNodeType.EndElement when nodeName == "Blob" && !isDirectory:
                    Entries.Add(new(name, SizeOf(size), TimeOf(modified), IsFolder: false));
                    break;
                case XmlNodeType.EndElement:
                    element = "";
                    break;
            }
        }

        void Take(string value)
        {
            switch (element)
            {
                case "Name":
                    name = value;
                    break;
                case "Content-Length":
                    size = value;
                    break;
                case "Last-Modified":
                    modified = value;
                    break;
                case "ResourceType":
                    IsHierarchical = true;
                    isDirectory = value == "directory";
                    break;
                case "NextMarker":
                    NextMarker = value;
                    break;
            }
        }

        static long SizeOf(string text) => long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var size)
            ? size
            : throw new XmlException("a blob without a length");

        static DateTimeOffset? TimeOf(string text) =>
            DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var at) ? at : null;
    }
}
