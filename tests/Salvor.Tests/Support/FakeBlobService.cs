using System.Globalization;
using System.Net;
using System.Text;
using System.Web;

namespace Salvor.Tests.Support;

/// <summary>
/// The listing of a blob service as it is described, for what the emulator has not: accounts with real directories, and many blobs. Its
/// markers say nothing but where it goes on. Of a single blob it tells the size.
/// </summary>
/// <param name="names">The names of all blobs.</param>
/// <param name="isHierarchical">Whether the account has real directories: it then sorts the names within each, and lists them too.</param>
sealed class FakeBlobService(IEnumerable<string> names, bool isHierarchical) : HttpMessageHandler
{
    readonly List<string> sorted = isHierarchical
        ? [.. names.Concat(names.SelectMany(DirectoriesOf)).Distinct().OrderBy(name => name.Replace('/', '\0'), StringComparer.Ordinal)]
        : [.. names.Order(StringComparer.Ordinal)];

    readonly HashSet<string> directories = isHierarchical ? [.. names.SelectMany(DirectoriesOf)] : [];

    public int Requests { get; private set; }

    /// <summary>How many rows were sent in all.</summary>
    public int Rows { get; private set; }

    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        Requests++;
        if (request.Method == HttpMethod.Head)
        {
            var name = Uri.UnescapeDataString(request.RequestUri!.AbsolutePath.TrimStart('/')).Split('/', 2)[1];
            var isThere = sorted.BinarySearch(name, StringComparer.Ordinal) >= 0;
            var content = new ByteArrayContent(isThere ? new byte[7] : []);
            return Task.FromResult(new HttpResponseMessage(isThere ? HttpStatusCode.OK : HttpStatusCode.NotFound) { Content = content });
        }

        var query = HttpUtility.ParseQueryString(request.RequestUri!.Query);
        var (prefix, marker) = (query["prefix"] ?? "", query["marker"]);
        var rowsMax = int.Parse(query["maxresults"]!, CultureInfo.InvariantCulture);
        var rows = RowsOf(prefix, query["delimiter"] is not null).ToList();
        var from = marker is null ? 0 : int.Parse(marker["next-".Length..], CultureInfo.InvariantCulture);
        var page = rows.Skip(from).Take(rowsMax).ToList();
        var next = from + page.Count < rows.Count ? $"<NextMarker>next-{from + page.Count}</NextMarker>" : "<NextMarker />";
        Rows += page.Count;
        var body = $"<EnumerationResults><Blobs>{string.Concat(page)}</Blobs>{next}</EnumerationResults>";
        return Task.FromResult(new HttpResponseMessage(HttpStatusCode.OK) { Content = new StringContent(body, Encoding.UTF8) });
    }

    IEnumerable<string> RowsOf(string prefix, bool byFolder)
    {
        var folders = new HashSet<string>();
        foreach (var name in sorted.Where(name => name.StartsWith(prefix, StringComparison.Ordinal)))
        {
            var slash = byFolder ? name.IndexOf('/', prefix.Length) : -1;
            if (slash < 0 && byFolder && directories.Contains(name))
            {
                // Told as a folder when the first name in it comes.
                continue;
            }

            if (slash < 0)
            {
                yield return BlobOf(name);
            }
            else if (folders.Add(name[..(slash + 1)]))
            {
                yield return $"<BlobPrefix><Name>{name[..(slash + 1)]}</Name></BlobPrefix>";
            }
        }
    }

    string BlobOf(string name)
    {
        var type = !isHierarchical ? "" : directories.Contains(name)
            ? "<ResourceType>directory</ResourceType>" : "<ResourceType>file</ResourceType>";
        return $"<Blob><Name>{name}</Name><Properties><Content-Length>7</Content-Length>{type}</Properties></Blob>";
    }

    static IEnumerable<string> DirectoriesOf(string name) =>
        name.Index().Where(item => item.Item == '/').Select(item => name[..item.Index]);
}
