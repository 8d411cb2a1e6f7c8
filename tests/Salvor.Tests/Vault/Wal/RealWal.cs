using System.Globalization;
using System.Text.RegularExpressions;
using Salvor.Tests.Support;
using Salvor.Vault.Wal;

namespace Salvor.Tests.Vault.Wal;

/// <summary>The log of a real server, and what PostgreSQL's own program reads in it.</summary>
static partial class RealWal
{
    /// <summary>A setting with which a server removes nothing of its log.</summary>
    public const string KeepAll = "wal_keep_size = '1GB'";

    /// <summary>A line of <c>pg_waldump</c>.</summary>
    public sealed record Line(string Manager, uint Xid, Lsn At, Lsn Before, string Text);

    /// <summary>The names of the complete and the open segments, in order, up to the one that holds the end.</summary>
    public static async Task<IReadOnlyList<WalSegment>> SegmentsAsync(PostgresServer cluster, WalShape shape)
    {
        Assert.True(Lsn.TryParse(await cluster.SqlAsync("select pg_current_wal_flush_lsn()"), out var end));
        return [.. Directory.GetFiles(cluster.Wal).Select(Path.GetFileName).Order(StringComparer.Ordinal)
            .Where(name => WalSegment.TryParse(name!, shape.SegmentBytes, out _))
            .Select(name => WalSegment.TryParse(name!, shape.SegmentBytes, out var segment) ? segment : default)
            .Where(segment => segment.Range.First < end)];
    }

    public static WalShape ShapeOf(PostgresServer cluster)
    {
        var name = Directory.GetFiles(cluster.Wal).Where(path => Path.GetFileName(path).Length == 24).Min(StringComparer.Ordinal)!;
        using var file = File.OpenRead(name);
        var start = new byte[WalShape.LongHeaderBytes];
        file.ReadExactly(start);
        return WalShape.TryRead(start)!;
    }

    public static byte[] Read(PostgresServer cluster, WalSegment segment) =>
        File.ReadAllBytes(Path.Combine(cluster.Wal, segment.Name));

    /// <summary>All bytes from the first segment up to an address.</summary>
    public static (Lsn First, byte[] Bytes) ReadUpTo(PostgresServer cluster, IReadOnlyList<WalSegment> segments, Lsn end)
    {
        var first = segments[0].Range.First;
        var all = segments.SelectMany(segment => Read(cluster, segment)).ToArray();
        return (first, all[..(int)(end - first)]);
    }

    /// <summary>What <c>pg_waldump</c> reads from an address on, or where that is within a record, from the next one.</summary>
    public static async Task<IReadOnlyList<Line>> DumpAsync(PostgresServer cluster, uint timeline, Lsn start, Lsn end)
    {
        var result = await PostgresServer.RunAsync(
            "pg_waldump", "-p", cluster.Wal, "-t", $"{timeline}", "-s", start.ToString(), "-e", end.ToString());
        Assert.True(result.ExitCode == 0, result.ToString());
        var matches = result.Stdout.Split('\n').Select(line => LinePattern().Match(line));
        var lines = matches.Where(match => match.Success).Select(Parse).ToList();
        Assert.NotEmpty(lines);
        return lines;
    }

    /// <summary>As <c>pg_waldump</c> tells an event, where it is one.</summary>
    public static (string Kind, Lsn At, uint Xid, string Text)? EventOf(Line line)
    {
        var words = line.Text.Split(' ', 2);
        if (line.Manager == "XLOG" && words[0] == "RESTORE_POINT")
        {
            return (nameof(WalEventKind.RestorePoint), line.At, 0, words[1]);
        }

        if (line.Manager != "Transaction" || words[0] is not ("COMMIT" or "ABORT" or "COMMIT_PREPARED" or "ABORT_PREPARED"))
        {
            return null;
        }

        var match = TransactionPattern().Match(words[1]);
        var kind = words[0].Replace("_", "", StringComparison.Ordinal);
        var xid = match.Groups["xid"].Length > 0 ? uint.Parse(match.Groups["xid"].Value, CultureInfo.InvariantCulture) : line.Xid;
        return (kind.ToUpperInvariant(), line.At, xid, match.Groups["time"].Value);
    }

    /// <summary>The same of an event that was read.</summary>
    public static (string Kind, Lsn At, uint Xid, string Text) Told(WalEvent item)
    {
        var time = Salvor.Vault.Micros.ToTime(item.TimeMicros).ToString("yyyy-MM-dd HH:mm:ss.ffffff", CultureInfo.InvariantCulture);
        return item.Kind == WalEventKind.RestorePoint
            ? (nameof(WalEventKind.RestorePoint), item.Start, 0, item.Name)
            : (item.Kind.ToString().ToUpperInvariant(), item.Start, item.Xid, time);
    }

    static Line Parse(Match match)
    {
        Assert.True(Lsn.TryParse(match.Groups["at"].Value, out var at));
        Assert.True(Lsn.TryParse(match.Groups["before"].Value, out var before));
        return new Line(
            match.Groups["manager"].Value, uint.Parse(match.Groups["xid"].Value, CultureInfo.InvariantCulture), at, before,
            match.Groups["text"].Value);
    }

    [GeneratedRegex(
        @"^rmgr: (?<manager>\w+)\s+len .*, tx:\s+(?<xid>\d+), lsn: (?<at>[0-9A-F/]+), prev (?<before>[0-9A-F/]+), desc: (?<text>.*)$")]
    private static partial Regex LinePattern();

    [GeneratedRegex(@"^((?<xid>\d+): )?(?<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+)")]
    private static partial Regex TransactionPattern();
}
