namespace Salvor.Storage;

/// <summary>
/// The keys that a listing is of, for stores whose keys are paths in directories: which directories to read, and which of their names
/// to take. The name of a directory ends with the slash that its keys go on with: "a/" sorts after "a.b" as "a/x" does.
/// </summary>
/// <param name="Prefix">What keys start with.</param>
/// <param name="After">The key after which to begin, or null.</param>
readonly record struct KeyRange(string Prefix, string? After)
{
    /// <summary>The directory that holds all of them: empty for the root, or with a slash at its end.</summary>
    public string Start => Prefix[..(Prefix.LastIndexOf('/') + 1)];

    /// <summary>Whether all that the prefix allows sorts before what is asked for.</summary>
    public bool IsEmpty => After is not null && RestOf(After, Start) is null && string.CompareOrdinal(Start, After) < 0;

    /// <summary>Whether a name in a directory can be part of a key.</summary>
    public static bool CanBeName(string folder, ReadOnlySpan<char> name) =>
        ObjectKey.IsSegment(name) && folder.Length + name.Length <= ObjectKey.LengthMax;

    /// <summary>Whether a name in a directory is a key of the range, or of a directory that may hold some.</summary>
    public bool Wants(string folder, string name)
    {
        var prefixRest = RestOf(Prefix, folder) ?? "";
        var afterRest = After is null ? null : RestOf(After, folder);
        var isFolder = name.EndsWith('/');
        var matches = name.StartsWith(prefixRest, StringComparison.Ordinal)
            || (isFolder && prefixRest.StartsWith(name, StringComparison.Ordinal));
        var follows = afterRest is null
            || string.CompareOrdinal(name, afterRest) > 0
            || (isFolder && afterRest.StartsWith(name, StringComparison.Ordinal));
        return matches && follows;
    }

    /// <summary>Where a folder lies on the way to a key, what follows within it.</summary>
    static string? RestOf(string key, string folder) =>
        key.StartsWith(folder, StringComparison.Ordinal) ? key[folder.Length..] : null;
}
