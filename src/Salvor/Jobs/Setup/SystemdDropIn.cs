using System.Text;

namespace Salvor.Jobs.Setup;

/// <summary>What the unit of the daemon has to be told on this machine: as whom it runs, and where it writes.</summary>
public sealed record SystemdDropIn
{
    /// <summary>The unit.</summary>
    public const string Unit = "salvor.service";

    /// <summary>Variables of the daemon, where there are any.</summary>
    public const string EnvironmentFile = "/etc/salvor/environment";

    public required string User { get; init; }

    public required string Group { get; init; }

    /// <summary>Folders of databases, of copies and of local state; absolute.</summary>
    public required IReadOnlyList<string> WritablePaths { get; init; }

    /// <summary>The configuration; absolute.</summary>
    public required string ConfigPath { get; init; }

    /// <summary>Its place below the folder of units.</summary>
    public static string PathIn(string unitFolder) => Path.Combine(unitFolder, $"{Unit}.d", "10-init.conf");

    /// <summary>The file.</summary>
    public override string ToString()
    {
        var text = new StringBuilder($"""
            # Written by 'salvor init': what {Unit} has to know of this machine.
            # A unit that checks or verifies needs the same lines: it reads what the daemon writes.
            [Service]
            User={User}
            Group={Group}
            Environment={Quoted("SALVOR_CONFIG=" + ConfigPath)}
            EnvironmentFile=-{EnvironmentFile}

            """);
        foreach (var path in WritablePaths)
        {
            text.Append("ReadWritePaths=").Append(Quoted(path)).Append('\n');
        }

        return text.ToString();
    }

    static string Quoted(string text)
    {
        var escaped = text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)
            .Replace("%", "%%", StringComparison.Ordinal);
        return escaped.Any(c => char.IsWhiteSpace(c) || c is '"' or '\\' or '\'') ? $"\"{escaped}\"" : escaped;
    }
}
