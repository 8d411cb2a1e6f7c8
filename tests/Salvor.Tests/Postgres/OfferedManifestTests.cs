using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Salvor.Postgres.Backup;

namespace Salvor.Tests.Postgres;

/// <summary>What a server is told of the backup before.</summary>
public sealed class OfferedManifestTests
{
    [Theory]
    [InlineData("a,b,c")]
    [InlineData("b")]
    [InlineData("a,c")]
    [InlineData("")]
    public async Task What_is_not_offered_is_not_in_it_and_its_checksum_is_its_own(string offered)
    {
        var wanted = offered.Split(',', StringSplitOptions.RemoveEmptyEntries);
        var files = string.Join(",\n", "abc".Select(name => $"{{ \"Path\": \"{name}\", \"Size\": 1, \"Last-Modified\": \"x\" }}"));
        var text = $"{{ \"PostgreSQL-Backup-Manifest-Version\": 2,\n\"Files\": [\n{files}\n],\n\"WAL-Ranges\": [\n"
            + "{ \"Timeline\": 1, \"Start-LSN\": \"0/2000028\", \"End-LSN\": \"0/2000100\" }\n],\n\"Manifest-Checksum\": \"00\"}\n";
        using var target = new MemoryStream();
        using var rewrite = new OfferedManifest(wanted.Contains);

        await rewrite.WriteAsync(new MemoryStream(Encoding.ASCII.GetBytes(text)), target, TestContext.Current.CancellationToken);

        var made = Encoding.ASCII.GetString(target.ToArray());
        using var document = JsonDocument.Parse(made);
        Assert.Equal(
            wanted, document.RootElement.GetProperty("Files").EnumerateArray().Select(file => file.GetProperty("Path").GetString()!));
        Assert.Equal("0/2000100", document.RootElement.GetProperty("WAL-Ranges")[0].GetProperty("End-LSN").GetString());
        var before = made[..(made.LastIndexOf("\n\"Manifest", StringComparison.Ordinal) + 1)];
        Assert.Equal(
            Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(before))),
            document.RootElement.GetProperty("Manifest-Checksum").GetString());
    }
}
