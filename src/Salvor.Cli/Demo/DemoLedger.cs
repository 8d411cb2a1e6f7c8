using System.Globalization;
using System.Text;
using Salvor.Vault;

namespace Salvor.Cli.Demo;

/// <summary>One transaction of the app: when it began, and when its COMMIT had returned.</summary>
readonly record struct DemoCommit(int Number, DateTimeOffset Began, DateTimeOffset Committed);

/// <summary>
/// What the app of the demo says it committed, outside of the database and of Salvor: one line for each transaction, written after its
/// COMMIT returned.
/// </summary>
static class DemoLedger
{
    public static byte[] Line(DemoCommit commit) => Encoding.ASCII.GetBytes(string.Create(
        CultureInfo.InvariantCulture,
        $"{commit.Number} {Micros.Of(commit.Began)} {Micros.Of(commit.Committed)}\n"));

    /// <summary>The whole lines, also while the app goes on.</summary>
    public static IReadOnlyList<DemoCommit> Read(string path)
    {
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        using var reader = new StreamReader(file);
        var text = reader.ReadToEnd();
        return [.. text[..(text.LastIndexOf('\n') + 1)].Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(Parse)];
    }

    static DemoCommit Parse(string line)
    {
        var fields = line.Split(' ').Select(field => long.Parse(field, CultureInfo.InvariantCulture)).ToArray();
        return new DemoCommit((int)fields[0], Micros.ToTime(fields[1]), Micros.ToTime(fields[2]));
    }
}
