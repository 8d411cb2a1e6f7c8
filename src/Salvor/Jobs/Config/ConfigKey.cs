namespace Salvor.Jobs.Config;

/// <summary>What a key of the configuration takes.</summary>
enum ConfigValue
{
    /// <summary>A text, or one of <see cref="ConfigKey.Words"/> where there are any.</summary>
    Plain,

    /// <summary>A file or a folder; relative to the folder of the configuration.</summary>
    Path,

    /// <summary>A text that is never printed.</summary>
    Secret,

    /// <summary>One text or a list of texts.</summary>
    Texts,

    /// <summary><c>36h</c>.</summary>
    Duration,

    /// <summary><c>16MiB</c>.</summary>
    Size,

    /// <summary><c>20MiB/s</c>.</summary>
    Rate,

    /// <summary>A whole number from 1 on.</summary>
    Count,

    /// <summary>An amount of money.</summary>
    Amount,

    /// <summary><c>true</c> or <c>false</c>.</summary>
    YesNo,

    /// <summary>A mapping with keys of its own, or one of <see cref="ConfigKey.Words"/>.</summary>
    Section,

    /// <summary>A list of mappings; the one of <see cref="ConfigKey.Sections"/> is meant whose name is among the keys.</summary>
    List,

    /// <summary>Names of variables, each with a text that is never printed.</summary>
    Variables,

    /// <summary>Names, each with a mapping; the mapping's <c>type</c> says which of <see cref="ConfigKey.Sections"/> it is.</summary>
    Named,
}

/// <summary>A key of the configuration.</summary>
/// <param name="Name">As it is written.</param>
/// <param name="Value">What it takes.</param>
/// <param name="Example">A value that is right, as YAML.</param>
/// <param name="Meaning">For the editor of whoever writes it: one sentence, with the default.</param>
sealed record ConfigKey(string Name, ConfigValue Value, string Example, string Meaning)
{
    /// <summary>The words that it takes; empty where any text will do.</summary>
    public IReadOnlyList<string> Words { get; init; } = [];

    /// <summary>The mappings that it takes.</summary>
    public IReadOnlyList<ConfigSection> Sections
    {
        get => Below();
        init => Below = () => value;
    }

    /// <summary>The same, made when somebody asks for them.</summary>
    public Func<IReadOnlyList<ConfigSection>> Below { private get; init; } = () => [];
}

/// <summary>A mapping of the configuration.</summary>
/// <param name="Name">What it is called where it is one of several: its <c>type</c>, or the key that only it has.</param>
/// <param name="Keys">Its keys, in the order in which messages enumerate them.</param>
sealed record ConfigSection(string Name, IReadOnlyList<ConfigKey> Keys)
{
    /// <summary>What the schema calls it.</summary>
    public string Definition { get; init; } = Name;

    /// <summary>The names of its keys.</summary>
    public IReadOnlyList<string> Names { get; } = [.. Keys.Select(key => key.Name)];
}
