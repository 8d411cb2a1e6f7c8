using System.Text.RegularExpressions;

namespace Salvor.Tests.Tidy;

/// <summary>
/// The direction of use: a layer uses only those below it. Engines stand side by side and are strangers to each other. The root
/// namespace and Text are everybody's, and use nothing but themselves.
/// </summary>
static partial class Layers
{
    const int Everybody = -1;

    static readonly Dictionary<string, int> Ranks = new()
    {
        [""] = Everybody,
        ["Text"] = Everybody,
        ["Platform"] = 0,
        ["Storage"] = 1,
        ["Vault"] = 2,
        ["Sqlite"] = 3,
        ["Postgres"] = 3,
        ["Files"] = 3,
        ["Command"] = 3,
        ["Jobs"] = 4,
        ["Server"] = 5,
        ["Cli"] = 6,
    };

    /// <summary>Every use that does not point downwards.</summary>
    public static IEnumerable<string> Violations(SourceFile file)
    {
        if (LayerOf(file) is not { } own)
        {
            return [];
        }

        if (!Ranks.TryGetValue(own, out var ownRank))
        {
            return [$"{file.Path}: layer {own} is not in the table of {nameof(Layers)}: say there what it may use"];
        }

        return
            from use in Used().Matches(file.Code).Select(match => match.Groups["layer"].Value).Distinct()
            where Ranks.ContainsKey(use) && use != own
            where Ranks[use] != Everybody && Ranks[use] >= ownRank
            select $"{file.Path}: {(own.Length > 0 ? own : "the root namespace")} uses {use}";
    }

    /// <summary>The first part of the namespace below Salvor; null for a program without one.</summary>
    static string? LayerOf(SourceFile file) =>
        Namespace().Match(file.Code) is { Success: true } match ? match.Groups["layer"].Value
        : file.Path.StartsWith("src/Salvor.Cli/", StringComparison.Ordinal) ? "Cli"
        : null;

    [GeneratedRegex(@"^namespace\s+Salvor(\.(?<layer>\w+))?", RegexOptions.Multiline)]
    private static partial Regex Namespace();

    /// <summary>
    /// <c>Salvor.Vault</c> anywhere, and <c>Vault.Thing</c> as C# resolves it inside of namespace Salvor. Files and Command only in
    /// full: as names of properties they are too common.
    /// </summary>
    [GeneratedRegex(@"\bSalvor\.(?<layer>[A-Z]\w*)|(?<![\w.])(?<layer>Platform|Storage|Vault|Sqlite|Postgres|Jobs|Server|Cli)\.[A-Z]")]
    private static partial Regex Used();
}
