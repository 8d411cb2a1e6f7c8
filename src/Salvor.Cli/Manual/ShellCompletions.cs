using System.CommandLine;
using System.Text;

namespace Salvor.Cli.Manual;

/// <summary>
/// Completions for shells, written out whole: a key press must not wait for the program to start. Names of sources are read from the
/// configuration where it is in its usual place.
/// </summary>
static class ShellCompletions
{
    /// <summary>A function for bash, registered with <c>complete</c>.</summary>
    public static string Bash(VerbNode root) => $$"""
        # bash completion for salvor
        _salvor() {
            local word verb="" choices="" place
            COMPREPLY=()
            local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
            for word in "${COMP_WORDS[@]:1:$((COMP_CWORD-1))}"; do
                case "${verb:+$verb }$word" in
        {{Lines(root.All.Skip(1), node => $"            {Quoted(node.Name)}) verb={Quoted(node.Name)} ;;")}}
                esac
            done

            case "$verb $before" in
        {{Lines(root.All.SelectMany(Values), value => $"        {Quoted(value.Place)}) {value.Action}; return ;;")}}
            esac
            case "$before" in
        {{Lines(root.Options.SelectMany(ValuesOfEveryVerb), value => $"        {value.Place.Trim()}) {value.Action}; return ;;")}}
            esac

            case "$verb" in
        {{Lines(root.All, node => $"        {Quoted(node.Name)}) choices={Quoted(WordsOf(root, node))} ;;")}}
            esac
            if [[ $current != -* ]]; then
                COMPREPLY=($(compgen -f -- "$current"))
            fi
            COMPREPLY+=($(compgen -W "$choices" -- "$current"))
        }
        complete -o filenames -F _salvor salvor

        """;

    /// <summary>A file for zsh's <c>fpath</c>, under the name <c>_salvor</c>; it runs the function for bash, which zsh can do.</summary>
    public static string Zsh(VerbNode root) => $"""
        #compdef salvor
        # zsh completion for salvor
        autoload -U +X bashcompinit && bashcompinit
        {Bash(root)}
        """;

    static string WordsOf(VerbNode root, VerbNode node)
    {
        var options = node.Options.Concat(node == root ? [] : root.Options)
            .Select(option => option.Name)
            .Where(name => name.StartsWith('-'));
        return string.Join(' ', node.Children.Select(child => child.Words[^1]).Concat(options).Distinct());
    }

    static IEnumerable<(string Place, string Action)> ValuesOfEveryVerb(Option option) => ValuesOf("", option);

    static IEnumerable<(string Place, string Action)> Values(VerbNode node) =>
        node.Words.Count == 0 ? [] : node.Options.SelectMany(option => ValuesOf(node.Name, option));

    /// <summary>What may follow an option of a verb: certain words, a path, or something that nobody but the operator knows.</summary>
    static IEnumerable<(string Place, string Action)> ValuesOf(string verb, Option option)
    {
        if (!VerbTree.TakesValue(option))
        {
            yield break;
        }

        var choices = VerbTree.ChoicesOf(option);
        var action = choices.Count > 0 ? $"COMPREPLY=($(compgen -W {Quoted(string.Join(' ', choices))} -- \"$current\"))"
            : VerbTree.TakesPath(option.HelpName) ? "COMPREPLY=($(compgen -f -- \"$current\"))"
            : "COMPREPLY=()";
        foreach (var name in option.Aliases.Prepend(option.Name))
        {
            yield return ($"{verb} {name}", action);
        }
    }

    static string Lines<T>(IEnumerable<T> items, Func<T, string> line)
    {
        var text = new StringBuilder();
        foreach (var item in items)
        {
            text.Append(line(item)).Append('\n');
        }

        return text.ToString().TrimEnd('\n');
    }

    static string Quoted(string text) => $"\"{text}\"";
}
