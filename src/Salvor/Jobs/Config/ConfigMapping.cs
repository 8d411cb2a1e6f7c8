using System.Globalization;
using Salvor.Jobs.Keys;
using Salvor.Text;
using Salvor.Vault.Keys;
using YamlDotNet.RepresentationModel;

namespace Salvor.Jobs.Config;

/// <summary>
/// One mapping of the file. Its values are read by key and type: a scalar means what its key's type says, never what YAML would guess.
/// <c>&lt;&lt;: *anchor</c> takes the keys of another mapping that this one does not have itself.
/// </summary>
sealed class ConfigMapping
{
    readonly ConfigDocument document;
    readonly string owner;
    readonly Dictionary<string, string> secrets = [];

    /// <param name="document">The file.</param>
    /// <param name="node">The mapping.</param>
    /// <param name="owner">What messages call it: <c>source app</c>.</param>
    public ConfigMapping(ConfigDocument document, YamlNode node, string owner)
    {
        this.document = document;
        this.owner = owner;
        Node = node as YamlMappingNode
            ?? throw document.Error(
                node, $"{owner} is {KindOf(node)}, but a mapping of keys to values is expected", "Write it as { key: value }.");
        Add(Node);
        AddMerged();
    }

    public YamlMappingNode Node { get; }

    /// <summary>What messages call it.</summary>
    public string Owner => owner;

    /// <summary>Every key with its value, by the key's text.</summary>
    public OrderedDictionary<string, ConfigEntry> Entries { get; } = [];

    /// <summary>Notes every key that is not known. What it was probably meant to be is read, so that one slip is one problem.</summary>
    public void CheckKeys(ConfigSection section)
    {
        foreach (var name in Entries.Keys.Where(name => !section.Names.Contains(name)).ToList())
        {
            var entry = Entries[name];
            document.Problems.Add(document.Error(
                entry.Key,
                $"unknown key \"{name}\" in {owner}",
                $"{Suggestion.Sentence(name, section.Names)}Known keys are {Suggestion.Enumerate(section.Names)}."));
            if (Suggestion.For(name, section.Names) is { } meant)
            {
                Entries.TryAdd(meant, entry);
            }
        }
    }

    /// <summary>Notes a slip in the key that decides which others there are, and takes it for what it was meant to be.</summary>
    public void CheckDecisive(params string[] keys)
    {
        if (!keys.Any(Has) && Entries.Keys.FirstOrDefault(name => Suggestion.For(name, keys) is not null) is { } slip)
        {
            var key = Suggestion.For(slip, keys)!;
            var entry = Entries[slip];
            document.Problems.Add(document.Error(
                entry.Key,
                $"unknown key \"{slip}\" in {owner}",
                $"Did you mean \"{key}\"? Known keys are {Suggestion.Enumerate(keys)}, and those that go with it."));
            Entries.Remove(slip);
            Entries.Add(key, entry);
        }
    }

    public bool Has(string key) => Entries.ContainsKey(key);

    public YamlNode? Value(string key) => Entries.TryGetValue(key, out var entry) ? entry.Value : null;

    /// <summary>The error that a key of this mapping is missing.</summary>
    public SalvorException Missing(string key, string example) =>
        document.Error(Node, $"{owner} has no {key}", $"Add {key}: {example}.");

    /// <summary>The error that something is wrong with the value of a key, or that it is missing.</summary>
    public SalvorException Error(string key, string message, string hint) => document.Error(Value(key) ?? Node, message, hint);

    /// <summary>A variable of the environment; null where it is not set.</summary>
    public string? Variable(string name) => document.Variable(name);

    public string Text(string key, string example) => OptionalText(key, example) ?? throw Missing(key, example);

    public string? OptionalText(string key, string example) => Value(key) is { } node ? Text(node, key, example) : null;

    /// <summary>
    /// A text that is never printed: itself, by <c>${NAME}</c>, <c>file:PATH</c> or <c>cmd:COMMAND</c>. The last two are read now, once.
    /// </summary>
    public string? OptionalSecret(string key, string example)
    {
        if (Value(key) is not { } node || secrets.TryGetValue(key, out var known))
        {
            return secrets.GetValueOrDefault(key);
        }

        try
        {
            known = SecretValue.Read(SecretAsWritten(key, example)!, path => document.FullPath(node, path), $"{key} of {owner}");
        }
        catch (KeyException e)
        {
            throw document.Error(node, e.Message, e.Hint);
        }

        return secrets[key] = known;
    }

    /// <summary>The same as it is written, with its variables. One that stands in the file itself is noted.</summary>
    public string? SecretAsWritten(string key, string example)
    {
        if (Value(key) is not { } node)
        {
            return null;
        }

        var text = Text(node, key, example);
        if (!SecretValue.IsReference(text) && ((YamlScalarNode)node).Value == text)
        {
            document.PlainSecrets.Add($"{node.Start.Line}:{node.Start.Column}: {key} of {owner}");
        }

        return text;
    }

    public string Path(string key, string example) => OptionalPath(key, example) ?? throw Missing(key, example);

    public string? OptionalPath(string key, string example) =>
        Value(key) is { } node ? document.FullPath(node, Text(node, key, example)) : null;

    /// <summary>One text or a list of texts, with the node of each; null where the key is absent, never empty.</summary>
    public IReadOnlyList<ConfigText>? OptionalTexts(string key, string example) => Value(key) switch
    {
        null => null,
        YamlSequenceNode { Children.Count: 0 } list => throw document.Error(list, $"{key} of {owner} is empty", $"Write {key}: {example}."),
        YamlSequenceNode list => [.. list.Select(item => new ConfigText(item, Text(item, key, example)))],
        var node => [new(node, Text(node, key, example))],
    };

    public TimeSpan Duration(string key, TimeSpan otherwise, TimeSpan min, TimeSpan max) =>
        document.Attempt(() => ReadDuration(key, otherwise, min, max), otherwise);

    TimeSpan ReadDuration(string key, TimeSpan otherwise, TimeSpan min, TimeSpan max)
    {
        if (Value(key) is not { } node)
        {
            return otherwise;
        }

        var text = Text(node, key, DurationText.Format(otherwise));
        return DurationText.TryParse(text, out var value)
            ? Within(node, key, text, value, min, max, DurationText.Format)
            : throw document.Error(node, $"{key} of {owner} is \"{text}\", which is not a duration", DurationText.Hint);
    }

    public long Size(string key, long otherwise, long min, long max) =>
        document.Attempt(() => ReadSize(key, otherwise, min, max), otherwise);

    long ReadSize(string key, long otherwise, long min, long max)
    {
        if (Value(key) is not { } node)
        {
            return otherwise;
        }

        var text = Text(node, key, SizeText.FormatExact(otherwise));
        return SizeText.TryParse(text, out var value)
            ? Within(node, key, text, value, min, max, SizeText.FormatExact)
            : throw document.Error(node, $"{key} of {owner} is \"{text}\", which is not a size", SizeText.Hint);
    }

    /// <summary>A mapping below this one; null where the key is absent.</summary>
    public ConfigMapping? OptionalMapping(string key) =>
        Value(key) is { } node ? new ConfigMapping(document, node, $"{key} of {owner}") : null;

    /// <summary>Bytes a second, at least a thousand; null where the key is absent.</summary>
    public long? OptionalRate(string key, string example) => document.Attempt(() => ReadOptionalRate(key, example), (long?)null);

    long? ReadOptionalRate(string key, string example)
    {
        if (Value(key) is not { } node)
        {
            return null;
        }

        var text = Text(node, key, example);
        return text.EndsWith("/s", StringComparison.Ordinal) && SizeText.TryParse(text[..^2].TrimEnd(), out var bytes) && bytes >= 1000
            ? bytes
            : throw document.Error(
                node, $"{key} of {owner} is \"{text}\", which is not a number of bytes a second", $"Write {key}: {example}, or 500KB/s.");
    }

    /// <summary>A whole number from 1 on; null where the key is absent.</summary>
    public int? OptionalCount(string key, int example, int max) =>
        document.Attempt(() => ReadOptionalCount(key, example, max), (int?)null);

    int? ReadOptionalCount(string key, int example, int max)
    {
        if (Value(key) is not { } node)
        {
            return null;
        }

        var text = Text(node, key, $"{example}");
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value)
            ? Within(node, key, text, value, 1, max, number => $"{number}")
            : throw document.Error(node, $"{key} of {owner} is \"{text}\", which is not a whole number", $"Write {key}: {example}.");
    }

    /// <summary>An amount of money, not negative; null where the key is absent.</summary>
    public decimal? OptionalAmount(string key, string example) =>
        document.Attempt(() => ReadOptionalAmount(key, example), (decimal?)null);

    decimal? ReadOptionalAmount(string key, string example)
    {
        if (Value(key) is not { } node)
        {
            return null;
        }

        var text = Text(node, key, example);
        return decimal.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var value)
            ? value
            : throw document.Error(node, $"{key} of {owner} is \"{text}\", which is not an amount", $"Write {key}: {example}.");
    }

    public T Choice<T>(string key, T otherwise, params (string Name, T Value)[] choices) =>
        document.Attempt(() => ReadChoice(key, otherwise, choices), otherwise);

    T ReadChoice<T>(string key, T otherwise, (string Name, T Value)[] choices)
    {
        if (Value(key) is not { } node)
        {
            return otherwise;
        }

        string[] names = [.. choices.Select(choice => choice.Name)];
        var text = Text(node, key, names[0]);
        foreach (var (name, value) in choices)
        {
            if (name == text)
            {
                return value;
            }
        }

        throw document.Error(
            node, $"unknown {key} \"{text}\" in {owner}", $"{Suggestion.Sentence(text, names)}Known are {Suggestion.Enumerate(names)}.");
    }

    string Text(YamlNode node, string key, string example)
    {
        var hint = $"Write {key}: {example}.";
        var text = node is YamlScalarNode scalar
            ? document.Expand(scalar)
            : throw document.Error(node, $"{key} of {owner} has {KindOf(node)} where a text is expected", hint);
        return text.Length > 0 ? text : throw document.Error(node, $"{key} of {owner} is empty", hint);
    }

    T Within<T>(YamlNode node, string key, string text, T value, T min, T max, Func<T, string> format)
        where T : IComparable<T> =>
        value.CompareTo(min) >= 0 && value.CompareTo(max) <= 0
            ? value
            : throw document.Error(
                node,
                $"{key} of {owner} is {text}, outside of {format(min)} to {format(max)}",
                $"Write {key}: with a value in that range.");

    void Add(YamlMappingNode node)
    {
        foreach (var entry in EntriesOf(node))
        {
            if (!Entries.TryAdd(entry.Key.Value!, entry))
            {
                throw document.Error(entry.Key, $"duplicate key {entry.Key.Value}", "Keep one of the two.");
            }
        }
    }

    /// <summary>Each mapping once, however often it is referred to: a few lines could otherwise ask for endless work.</summary>
    void AddMerged()
    {
        var seen = new HashSet<YamlMappingNode>(ReferenceEqualityComparer.Instance);
        var merges = new Queue<YamlMappingNode>(Merges(Node));
        while (merges.TryDequeue(out var merged))
        {
            if (!seen.Add(merged))
            {
                continue;
            }

            foreach (var entry in EntriesOf(merged))
            {
                Entries.TryAdd(entry.Key.Value!, entry);
            }

            foreach (var further in Merges(merged))
            {
                merges.Enqueue(further);
            }
        }
    }

    IEnumerable<ConfigEntry> EntriesOf(YamlMappingNode node)
    {
        foreach (var (key, value) in node.Children)
        {
            if (key is not YamlScalarNode { Value.Length: > 0 } scalar)
            {
                throw document.Error(key, $"a key in {owner} is {KindOf(key)}, but a name is expected", "Write it as 'key: value'.");
            }

            if (scalar.Value != "<<")
            {
                yield return new(scalar, value);
            }
        }
    }

    /// <summary>The mappings that a mapping takes keys from, nearest first. Anchors cannot form a circle: the scan refused that.</summary>
    IEnumerable<YamlMappingNode> Merges(YamlMappingNode node)
    {
        var key = node.Children.Keys.FirstOrDefault(key => key is YamlScalarNode { Value: "<<" });
        var value = key is null ? null : node.Children[key];
        IEnumerable<YamlNode> merged = value switch { null => [], YamlSequenceNode list => list.Children, var one => [one] };
        return merged.Select(item => item as YamlMappingNode
            ?? throw document.Error(item, $"<< in {owner} takes {KindOf(item)}, but a mapping is expected", "Write <<: *anchor."));
    }

    static string KindOf(YamlNode node) => node switch
    {
        YamlMappingNode => "a mapping",
        YamlSequenceNode => "a list",
        YamlScalarNode { Value: null or "" } => "empty",
        _ => "a text",
    };
}

// Classes, not tuples: the collections of those come compiled with the runtime, and all commands read a configuration first.

/// <summary>A key with its value.</summary>
sealed record ConfigEntry(YamlScalarNode Key, YamlNode Value);

/// <summary>A text with the place where it is written.</summary>
sealed record ConfigText(YamlNode Node, string Text);
