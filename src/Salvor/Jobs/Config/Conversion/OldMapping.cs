using Salvor.Text;
using YamlDotNet.RepresentationModel;

namespace Salvor.Jobs.Config.Conversion;

/// <summary>A mapping of the old file, from which keys are taken one by one. What is left in the end is refused.</summary>
sealed class OldMapping
{
    const string OneOfUs = "Remove it where it may go: nothing is dropped without a word.";

    readonly ConversionResult result;
    readonly ConfigMapping mapping;
    readonly string path;
    readonly HashSet<string> taken = [];

    public OldMapping(ConversionResult result, YamlNode node, string path)
    {
        (this.result, this.path) = (result, path);
        mapping = new(result.Document, node, path.Length == 0 ? "the file" : path);
    }

    public bool Has(string key) => mapping.Has(key);

    /// <summary>What another part of the same file calls it, for a message.</summary>
    public string PathOf(string key) => path.Length == 0 ? key : $"{path}.{key}";

    /// <summary>A mapping in this one; null where there is none.</summary>
    public OldMapping? Section(string key)
    {
        taken.Add(key);
        return mapping.Value(key) is { } node ? new OldMapping(result, node, PathOf(key)) : null;
    }

    /// <summary>The mappings in a list.</summary>
    public IEnumerable<OldMapping> Sections(string key)
    {
        taken.Add(key);
        return mapping.Value(key) switch
        {
            null => [],
            YamlSequenceNode list => [.. list.Children.Select((node, index) => new OldMapping(result, node, $"{PathOf(key)}[{index}]"))],
            var node => throw result.Document.Error(node, $"{PathOf(key)} is not a list", "Write each of its items behind a '- '."),
        };
    }

    /// <summary>The text of a key, with its variables as they are; null where the key is absent or empty.</summary>
    public string? Text(string key)
    {
        taken.Add(key);
        return mapping.Value(key) switch
        {
            null or YamlScalarNode { Value: null or "" } => null,
            YamlScalarNode scalar => scalar.Value,
            var node => throw result.Document.Error(node, $"{PathOf(key)} is not a text", "Write one value there."),
        };
    }

    /// <summary>One text or a list of texts, with their variables as they are.</summary>
    public IReadOnlyList<string> Texts(string key)
    {
        taken.Add(key);
        return [.. (mapping.OptionalTexts(key, "[..]") ?? []).Select(item => item.Text)];
    }

    /// <summary><c>true</c> or <c>false</c>; null where the key is absent.</summary>
    public bool? YesNo(string key) => Text(key) switch
    {
        null => null,
        "true" or "yes" or "on" => true,
        "false" or "no" or "off" => false,
        var other => throw Error(key, $"{PathOf(key)} is \"{other}\", and not true or false", "Write true or false."),
    };

    /// <summary>A duration of Go, which is one of ours where it has no fraction.</summary>
    public TimeSpan? Duration(string key) => Text(key) switch
    {
        null => null,
        var text when DurationText.TryParse(text, out var value) => value,
        "0" => TimeSpan.Zero,
        var other => throw Error(key, $"{PathOf(key)} is \"{other}\", which is not a duration", DurationText.Hint),
    };

    public SalvorException Error(string key, string message, string hint) => mapping.Error(key, message, hint);

    /// <summary>Notes what became of a key, if it is there.</summary>
    public void Became(string key, string to, string reason = "") => Note(key, to, reason);

    /// <summary>Takes a key that has no equivalent, if it is there.</summary>
    public void Drop(string key, string reason)
    {
        taken.Add(key);
        Note(key, null, reason);
    }

    /// <summary>Refuses what was not taken.</summary>
    public void End()
    {
        foreach (var (name, entry) in mapping.Entries.Where(entry => !taken.Contains(entry.Key)))
        {
            result.Document.Problems.Add(result.Document.Error(
                entry.Key, $"{PathOf(name)} is a key that is not known here", $"{Suggestion.Sentence(name, taken)}{OneOfUs}"));
        }
    }

    void Note(string key, string? to, string reason)
    {
        if (mapping.Entries.TryGetValue(key, out var entry))
        {
            result.Keys.Add(new((int)entry.Key.Start.Line, PathOf(key), to, reason));
        }
    }
}
