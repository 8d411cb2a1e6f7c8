using System.CommandLine;
using System.Globalization;
using System.Text;
using Salvor.Cli.Terminal;

namespace Salvor.Cli.Manual;

/// <summary>The page <c>salvor(1)</c>, in the macros of <c>man(7)</c>.</summary>
static class ManualPage
{
    public static string Make(VerbNode root, string version)
    {
        var page = new StringBuilder();
        page.Append(CultureInfo.InvariantCulture, $".TH SALVOR 1 \"\" \"salvor {version}\" \"User Commands\"\n");
        page.Append(".SH NAME\nsalvor \\- continuous backup and proved restore of databases\n");
        page.Append(".SH SYNOPSIS\n.B salvor\n.I VERB\n.RI [ SOURCE ]\n.RI [ options ]\n");
        page.Append(".SH DESCRIPTION\n").Append(Escaped(Description)).Append('\n');
        page.Append(".SH VERBS\n");
        foreach (var node in root.All.Skip(1).Where(node => node.Children.Count == 0))
        {
            Append(page, node);
        }

        page.Append(".SH OPTIONS OF EVERY VERB\n");
        Append(page, root.Options);
        page.Append(".SH EXIT STATUS\n");
        foreach (var code in ExitCodes.All)
        {
            page.Append(CultureInfo.InvariantCulture, $".TP\n.B {code.Code}\n{Escaped(code.Meaning)}\n");
        }

        page.Append(Files);
        return page.ToString();
    }

    const string Description =
        "Salvor keeps databases recoverable to any committed transaction while the app runs, and proves every byte before it gives one "
        + "back. SOURCE is the name of a source in the configuration, and may be left out where there is only one. What reads a "
        + "vault also takes --from with a path or URL, and then needs no configuration.";

    const string Files = """
        .SH ENVIRONMENT
        .TP
        .B SALVOR_CONFIG
        The configuration, where --config does not name one.
        .TP
        .B SALVOR_PASSPHRASE, SALVOR_PASSPHRASE_FILE, SALVOR_PASSPHRASE_COMMAND, SALVOR_PASSPHRASE_FD
        What opens an encrypted vault that is named by --from.
        .TP
        .B SALVOR_DEBUG
        Prints where an unexpected error came from.
        .SH FILES
        .TP
        .I /etc/salvor/salvor.yaml
        The configuration.
        .TP
        .I .salvor/
        Local state beside each database: losing it costs time, never data.
        .SH SEE ALSO
        .BR sqlite3 (1),
        .BR systemd.timer (5)

        """;

    static void Append(StringBuilder page, VerbNode node)
    {
        page.Append(CultureInfo.InvariantCulture, $".SS salvor {Escaped(node.Name)}");
        foreach (var argument in node.Arguments)
        {
            page.Append(argument.Arity.MinimumNumberOfValues == 0 ? $" [{Escaped(argument.Name)}]" : $" {Escaped(argument.Name)}");
        }

        page.Append('\n').Append(Escaped(node.Description)).Append('\n');
        foreach (var argument in node.Arguments)
        {
            page.Append(CultureInfo.InvariantCulture, $".TP\n.I {Escaped(argument.Name)}\n{Escaped(argument.Description ?? "")}\n");
        }

        Append(page, node.Options);
    }

    static void Append(StringBuilder page, IEnumerable<Option> options)
    {
        foreach (var option in options.Where(option => option.Name.StartsWith('-')))
        {
            var aliases = option.Aliases.Where(alias => alias.StartsWith("--", StringComparison.Ordinal));
            var names = string.Join(", ", aliases.Prepend(option.Name));
            page.Append(CultureInfo.InvariantCulture, $".TP\n.B {Escaped(names)}");
            if (VerbTree.TakesValue(option))
            {
                page.Append(CultureInfo.InvariantCulture, $" {Escaped(option.HelpName ?? "VALUE")}");
            }

            page.Append('\n').Append(Escaped(option.Description ?? "")).Append('\n');
        }
    }

    /// <summary>Hyphens as they are typed, and no line that would be taken for a request.</summary>
    static string Escaped(string text)
    {
        var plain = text.ReplaceLineEndings(" ")
            .Replace("\\", "\\e", StringComparison.Ordinal)
            .Replace("-", "\\-", StringComparison.Ordinal);
        return plain.StartsWith('.') || plain.StartsWith('\'') ? "\\&" + plain : plain;
    }
}
