using System.Globalization;
using System.Xml;

namespace Salvor.Storage.S3;

/// <summary>One page of a listing.</summary>
/// <param name="Rows">With whole keys, as the service has them.</param>
/// <param name="IsCut">Whether there are more behind the last row.</param>
sealed record S3Page(IReadOnlyList<ObjectInfo> Rows, bool IsCut);

/// <summary>One version of a key: a content, or a mark that hides those before it.</summary>
/// <param name="Key">Whole, as the service has it.</param>
/// <param name="Id">What the service calls it.</param>
/// <param name="IsMark">Whether it is such a mark.</param>
/// <param name="SizeBytes">Of the content; 0 of a mark.</param>
/// <param name="StoredAt">When it was put, by the service's clock.</param>
sealed record S3Version(string Key, string Id, bool IsMark, long SizeBytes, DateTimeOffset? StoredAt);

/// <summary>One page of all versions.</summary>
/// <param name="Rows">By key; of each key the newest first.</param>
/// <param name="Next">Behind which key and version the next page begins; null where there is none.</param>
sealed record S3VersionPage(IReadOnlyList<S3Version> Rows, (string Key, string Id)? Next);

/// <summary>What a service says of a failure; what it does not say is empty.</summary>
/// <param name="Code">A word such as <c>AccessDenied</c>.</param>
/// <param name="Text">A sentence; any.</param>
/// <param name="Region">The region to ask instead.</param>
sealed record S3Refusal(string Code, string Text, string Region)
{
    public static readonly S3Refusal None = new("", "", "");
}

/// <summary>Reads the answers of a service. They come over a network: no DTDs, and a limit for everything.</summary>
static class S3Xml
{
    /// <summary>A thousand rows whose keys are as long as they can be, with every character encoded.</summary>
    public const int PageBytesMax = 8 << 20;

    /// <summary>Longer than any refusal.</summary>
    public const int RefusalBytesMax = 64 << 10;

    const int TextLengthMax = 200;

    /// <summary>Throws <see cref="XmlException"/> or <see cref="FormatException"/> where it is no page.</summary>
    public static S3Page ReadPage(ReadOnlyMemory<byte> content)
    {
        var rows = new List<ObjectInfo>();
        var isCut = false;
        ReadListing(content, "ListBucketResult", (name, reader) =>
        {
            switch (name)
            {
                case "IsTruncated":
                    isCut = reader.ReadElementContentAsString() == "true";
                    return true;
                case "Contents":
                    rows.Add(ReadRow(reader));
                    return true;
                default:
                    return false;
            }
        });
        return new S3Page(rows, isCut);
    }

    /// <summary>As <see cref="ReadPage"/>, of a listing of versions.</summary>
    public static S3VersionPage ReadVersions(ReadOnlyMemory<byte> content)
    {
        var rows = new List<S3Version>();
        var (isCut, nextKey, nextId) = (false, "", "");
        ReadListing(content, "ListVersionsResult", (name, reader) =>
        {
            switch (name)
            {
                case "IsTruncated":
                    isCut = reader.ReadElementContentAsString() == "true";
                    return true;
                case "NextKeyMarker":
                    nextKey = Uri.UnescapeDataString(reader.ReadElementContentAsString());
                    return true;
                case "NextVersionIdMarker":
                    nextId = reader.ReadElementContentAsString();
                    return true;
                case "Version" or "DeleteMarker":
                    rows.Add(ReadVersion(reader));
                    return true;
                default:
                    return false;
            }
        });

        // Some services list the marks by themselves. The order of the versions of a key stays.
        return new S3VersionPage([.. rows.OrderBy(row => row.Key, StringComparer.Ordinal)], isCut ? (nextKey, nextId) : null);
    }

    /// <summary>Hands over the elements of a listing by name; throws where the content is none.</summary>
    /// <param name="take">Reads an element, and says whether it did.</param>
    static void ReadListing(ReadOnlyMemory<byte> content, string root, Func<string, XmlReader, bool> take)
    {
        using var reader = Open(content);
        var isListing = false;
        for (var more = reader.Read(); more && !reader.EOF;)
        {
            var name = reader.NodeType == XmlNodeType.Element ? reader.LocalName : "";
            isListing |= name == root;
            more = take(name, reader) || reader.Read();
        }

        if (!isListing)
        {
            throw new FormatException($"no {root}");
        }
    }

    /// <summary>The text of the only element of this name; null where there is none.</summary>
    public static string? ReadText(ReadOnlyMemory<byte> content, string element)
    {
        using var reader = Open(content);
        while (reader.Read())
        {
            if (reader.NodeType == XmlNodeType.Element && reader.LocalName == element)
            {
                return Tame(reader.ReadElementContentAsString());
            }
        }

        return null;
    }

    /// <summary>What the content says; nothing where it says nothing that can be read.</summary>
    public static S3Refusal ReadRefusal(ReadOnlyMemory<byte> content)
    {
        try
        {
            using var reader = Open(content);
            var refusal = S3Refusal.None;
            var element = "";
            while (reader.Read())
            {
                if (reader.NodeType == XmlNodeType.Element)
                {
                    element = reader.LocalName;
                }
                else if (reader.NodeType == XmlNodeType.Text)
                {
                    refusal = element switch
                    {
                        "Code" => refusal with { Code = Tame(reader.Value) },
                        "Message" => refusal with { Text = Tame(reader.Value) },
                        "Region" => refusal with { Region = Tame(reader.Value) },
                        _ => refusal,
                    };
                }
            }

            return refusal;
        }
        catch (XmlException)
        {
            return S3Refusal.None;
        }
    }

    static ObjectInfo ReadRow(XmlReader reader)
    {
        var (key, _, size, stored) = ReadFields(reader);
        return size >= 0 ? new ObjectInfo(key, size) { StoredAt = stored } : throw new FormatException("a row without size");
    }

    static S3Version ReadVersion(XmlReader reader)
    {
        var isMark = reader.LocalName == "DeleteMarker";
        var (key, id, size, stored) = ReadFields(reader);
        return id.Length > 0 && (isMark || size >= 0)
            ? new S3Version(key, id, isMark, Math.Max(0, size), stored)
            : throw new FormatException("a version without id or size");
    }

    static (string Key, string Id, long Size, DateTimeOffset? Stored) ReadFields(XmlReader reader)
    {
        var (key, id, size, stored) = ((string?)null, "", -1L, (DateTimeOffset?)null);
        using var row = reader.ReadSubtree();
        row.Read();
        for (row.Read(); !row.EOF;)
        {
            switch (row.NodeType == XmlNodeType.Element ? row.LocalName : "")
            {
                case "Key":
                    key = Uri.UnescapeDataString(row.ReadElementContentAsString());
                    break;
                case "VersionId":
                    id = row.ReadElementContentAsString();
                    break;
                case "Size":
                    size = long.Parse(row.ReadElementContentAsString(), NumberStyles.None, CultureInfo.InvariantCulture);
                    break;
                case "LastModified":
                    stored = DateTimeOffset.TryParse(
                        row.ReadElementContentAsString(), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var at)
                        ? at
                        : null;
                    break;
                default:
                    row.Skip();
                    break;
            }
        }

        return (key ?? throw new FormatException("a row without key"), id, size, stored);
    }

    static XmlReader Open(ReadOnlyMemory<byte> content) => XmlReader.Create(
        new MemoryStream(content.ToArray()),
        new XmlReaderSettings
        {
            DtdProcessing = DtdProcessing.Prohibit,
            XmlResolver = null,
            IgnoreWhitespace = true,
            IgnoreComments = true,
            MaxCharactersInDocument = PageBytesMax,
        });

    /// <summary>Fit for a line of a message.</summary>
    static string Tame(string text)
    {
        var line = new string([.. text.Take(TextLengthMax).Select(c => char.IsControl(c) ? ' ' : c)]).Trim();
        return line.TrimEnd('.');
    }
}
