namespace Salvor.Postgres.Protocol;

/// <summary>Puts names and texts into commands.</summary>
static class PostgresNames
{
    const int SlotLengthMax = 63;

    /// <summary>The name of a setting, which cannot be anything else.</summary>
    public static string Setting(string name) =>
        name.Length > 0 && name.All(character => char.IsAsciiLetterOrDigit(character) || character is '_' or '.')
        ? name
        : throw PostgresSettings.Wrong($"\"{name}\" is no setting of a server", "Settings have letters, digits and underscores.");

    /// <summary>The name of a slot, as the server allows it.</summary>
    public static string Slot(string name) =>
        name.Length is > 0 and <= SlotLengthMax
        && name.All(character => char.IsAsciiLetterLower(character) || char.IsAsciiDigit(character) || character == '_')
            ? $"\"{name}\""
            : throw PostgresSettings.Wrong(
                $"\"{name}\" cannot be the name of a replication slot",
                $"It has up to {SlotLengthMax} characters: letters a to z, digits and underscores.");

    /// <summary>A text in quotes.</summary>
    public static string Text(string text) => text.Contains('\0', StringComparison.Ordinal)
        ? throw PostgresSettings.Wrong("a text for the server has a zero in it", "Take it out.")
        : $"'{text.Replace("'", "''", StringComparison.Ordinal)}'";
}
