using System.Globalization;
using System.Xml;

namespace Salvor.Storage.S3;

/// <summary>One page of a listing.</summary>
/// <param name="Rows">With whole keys, as the service has them.</param>
/// <param name="IsCut">Whether there are more behind the last row.</param>
sealed record S3Page(IReadOnlyList<ObjectInfo> Rows, bool IsCut);

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
        using var reader = Open(content);
        var rows = new List<ObjectInfo>();
        var (isPage, isCut) = (false, false);
        for (var more = reader.Read(); more;)
        {
            switch (reader.NodeType == XmlNodeType.Element ? reader.LocalName : "")
            {
                case "ListBucketResult":
                    isPage = true;
                    more = reader.Read();
                    break;
                case "IsTruncated":
                    isCut = reader.ReadElementContentAsString() == "true";
                    break;
                case "Contents":
                    rows.Add(ReadRow(reader));
                    break;
                default:
                    more = reader.Read();
                    break;
            }

            more = more && !reader.EOF;
        }

        return isPage ? new S3Page(rows, isCut) : throw new FormatException("no listing");
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
        var (key, size, stored) = ((string?)null, -1L, (DateTimeOffset?)null);
        using var row = reader.ReadSubtree();
        row.Read();
        for (row.Read(); !row.EOF;)
        {
            switch (row.NodeType == XmlNodeType.Element ? row.LocalName : "")
            {
                case "Key":
                    key = Uri.UnescapeDataString(row.ReadElementContentAsString());
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

        return key is not null && size >= 0
            ? new ObjectInfo(key, size) { StoredAt = stored }
            : throw new FormatException("a row without key or size");
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
