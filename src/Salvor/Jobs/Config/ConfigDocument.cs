using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Salvor.Jobs.Config;

/// <summary>The file that is being read: its place in messages, its folder for relative paths, its environment for variables.</summary>
sealed class ConfigDocument(string fileName, Func<string, string?> environment)
{
    readonly string folder = Path.GetDirectoryName(Path.GetFullPath(fileName)) ?? "/";

    public string FileName { get; } = fileName;

    /// <summary>
    /// Whether only what concerns this machine is read. How destinations are reached and what opens vaults is left out, and with it all
    /// secrets: whoever asks how the sources fare need not have them.
    /// </summary>
    public bool LocalOnly { get; init; }
    /// <summary>What is wrong, in the order in which it was found.</summary>
    public List<SalvorException> Problems { get; } = [];

    /// <summary>Where secrets stand in the file themselves, each as <c>line:column: key of owner</c>.</summary>
    public List<string> PlainSecrets { get; } = [];

    /// <summary>Reads something; where that is wrong it is noted, and the reading goes on with something else.</summary>
    public T Attempt<T>(Func<T> read, T otherwise)
    {
        try
        {
            return read();
        }
        catch (SalvorException e)
        {
            Problems.Add(e);
            return otherwise;
        }
    }

    public SalvorException Error(YamlNode node, string message, string hint) => Error(node.Start, message, hint);

    public SalvorException Error(Mark mark, string message, string hint, Exception? inner = null) =>
        new(FailureKind.Usage, $"{FileName}:{mark.Line}:{mark.Column}: {message}", hint, inner);

    /// <summary>A variable of the environment, for what is completed from it without being asked to; null where it is not set.</summary>
    public string? Variable(string name) => environment(name);

    /// <summary>
    /// The text of a scalar with its variables: <c>${NAME}</c> is replaced, <c>$$</c> is a dollar sign, and any other dollar sign is
    /// itself. What a variable holds is not looked at again.
    /// </summary>
    public string Expand(YamlScalarNode scalar)
    {
        var rest = (scalar.Value ?? "").AsSpan();
        var text = new System.Text.StringBuilder();
        for (int dollar; (dollar = rest.IndexOf('$')) >= 0;)
        {
            text.Append(rest[..dollar]);
            rest = rest[dollar..];
            if (rest.StartsWith("${"))
            {
                var end = rest.IndexOf('}');
                text.Append(Variable(scalar, end < 0 ? null : rest[2..end].ToString()));
                rest = rest[(end + 1)..];
                continue;
            }

            text.Append('$');
            rest = rest[(rest.StartsWith("$$") ? 2 : 1)..];
        }

        return text.Append(rest).ToString();
    }

    /// <summary>Makes a path absolute.</summary>
    public string FullPath(YamlNode node, string path)
    {
        if (path.Contains('\0'))
        {
            throw Error(node, "a path cannot contain a zero byte", "Remove the \\0 from it.");
        }

        // Only a shell knows the tilde; taken literally it would quietly make a directory of that name.
        return path is "~" || path.StartsWith("~/", StringComparison.Ordinal)
            ? throw Error(node, $"path \"{path}\" begins with ~, which has no meaning here", $"Write ${{HOME}}{path[1..]} instead.")
            : Path.GetFullPath(path, folder);
    }

    string Variable(YamlScalarNode scalar, string? name)
    {
        const string literalHint = "For a literal dollar sign write $$.";
        if (name is null)
        {
            throw Error(scalar, "\"${\" has no closing \"}\"", $"Write it like ${{HOME}}. {literalHint}");
        }

        if (name.Length == 0 || char.IsAsciiDigit(name[0]) || !name.All(c => char.IsAsciiLetterOrDigit(c) || c == '_'))
        {
            throw Error(
                scalar, $"\"{name}\" is not the name of a variable", $"Names are letters, digits and _, like ${{HOME}}. {literalHint}");
        }

        return environment(name)
            ?? throw Error(
                scalar,
                $"variable {name} is not defined",
                $"Set {name} in the environment of this process (systemd: Environment= or EnvironmentFile=). {literalHint}");
    }
}
