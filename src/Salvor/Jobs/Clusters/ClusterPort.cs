using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using Salvor.Vault.Trees;

namespace Salvor.Jobs.Clusters;

/// <summary>The port on which a restored cluster is to listen: looked at before anything is restored.</summary>
static partial class ClusterPort
{
    const int Default = 5432;
    const string FirstOfAll = "/proc/sys/net/ipv4/ip_unprivileged_port_start";

    /// <summary>Throws where no server can listen there.</summary>
    /// <param name="given">What was asked for; null for what the settings of the cluster say.</param>
    /// <param name="snapshot">The base backup, which has those.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public static async Task ExpectFreeAsync(int? given, TreeSnapshot snapshot, CancellationToken cancellationToken)
    {
        var port = given ?? await OfSettingsAsync(snapshot, cancellationToken);
        var named = given is null ? $"port {port}, which the cluster has in its settings," : $"port {port}";
        var first = File.Exists(FirstOfAll) ? await File.ReadAllTextAsync(FirstOfAll, cancellationToken) : "";
        if (int.TryParse(first, CultureInfo.InvariantCulture, out var ofAll) && port < ofAll)
        {
            throw new SalvorException(
                FailureKind.Usage, $"{named} is for root alone, as whom no server of PostgreSQL runs", "Choose another with '--port'.");
        }

        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
        }
        catch (SocketException e)
        {
            throw new SalvorException(
                FailureKind.Failure, $"{named} cannot be listened on here: {e.Message}",
                "Choose another with '--port', or stop what listens there.", e);
        }
    }

    /// <summary>
    /// As the last line says in which it is set, and what was set by <c>ALTER SYSTEM</c> counts more. What such files include is not read:
    /// where that has another port, the server says so when it is started.
    /// </summary>
    static async Task<int> OfSettingsAsync(TreeSnapshot snapshot, CancellationToken cancellationToken)
    {
        var port = Default;
        foreach (var name in (string[])["/postgresql.conf", "/postgresql.auto.conf"])
        {
            var text = await ReadAsync(snapshot, Encoding.ASCII.GetBytes(name), cancellationToken);
            port = Setting().Matches(text).LastOrDefault() is { } line
                && int.TryParse(line.Groups[1].Value, CultureInfo.InvariantCulture, out var said) && said is > 0 and <= IPEndPoint.MaxPort
                ? said
                : port;
        }

        return port;
    }

    /// <summary>What a small file says; nothing where it is not there.</summary>
    static async Task<string> ReadAsync(TreeSnapshot snapshot, byte[] path, CancellationToken cancellationToken)
    {
        const int BytesMax = 1 << 20;
        await foreach (var item in TreeSearch.EntriesAsync(snapshot, cancellationToken))
        {
            if (item.Path.AsSpan().SequenceEqual(path) && item.Entry is { Kind: TreeEntryKind.File, SizeBytes: < BytesMax })
            {
                using var content = new MemoryStream();
                await TreeSearch.DumpAsync(snapshot, path, content, cancellationToken);
                return Encoding.UTF8.GetString(content.ToArray());
            }
        }

        return "";
    }

    [GeneratedRegex(@"^[ \t]*port(?:[ \t]*=[ \t]*|[ \t]+)'?(\d{1,5})'?[ \t\r]*(?:#.*)?$", RegexOptions.Multiline | RegexOptions.IgnoreCase)]
    private static partial Regex Setting();
}
