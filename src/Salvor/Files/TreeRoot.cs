using Salvor.Platform;

namespace Salvor.Files;

/// <summary>A place where a walk begins: its path from the top, name by name, without links.</summary>
sealed record TreeRoot(IReadOnlyList<byte[]> Parts)
{
    /// <summary>
    /// The places of these paths, each once, without those that lie in others. Throws <see cref="FailureKind.SourceUnreadable"/> where a
    /// path leads nowhere: an empty backup of a disk that is not mounted would look like one.
    /// </summary>
    public static IReadOnlyList<TreeRoot> Find(IEnumerable<string> paths)
    {
        var kept = new List<TreeRoot>();
        foreach (var root in paths.Select(Find).OrderBy(root => root.Parts.Count))
        {
            if (!kept.Any(other => other.Holds(root)))
            {
                kept.Add(root);
            }
        }

        return kept;
    }

    bool Holds(TreeRoot other) => Parts.Count <= other.Parts.Count
        && Parts.Zip(other.Parts).All(pair => pair.First.AsSpan().SequenceEqual(pair.Second));

    static TreeRoot Find(string path)
    {
        var resolved = DirectoryCalls.TryResolve(path, out var error)
            ?? throw new PosixException(error, "open", path, FailureKind.SourceUnreadable);
        return new TreeRoot(Split(resolved));
    }

    static List<byte[]> Split(byte[] path)
    {
        var parts = new List<byte[]>();
        foreach (var range in path.AsSpan().Split((byte)'/'))
        {
            if (path.AsSpan()[range] is { IsEmpty: false } part)
            {
                parts.Add(part.ToArray());
            }
        }

        return parts;
    }
}

/// <summary>Orders names by their bytes.</summary>
sealed class ByteArrays : IComparer<byte[]>, IEqualityComparer<byte[]>
{
    public static readonly ByteArrays Comparer = new();

    public int Compare(byte[]? x, byte[]? y) => x.AsSpan().SequenceCompareTo(y);

    public bool Equals(byte[]? x, byte[]? y) => x.AsSpan().SequenceEqual(y);

    public int GetHashCode(byte[] obj)
    {
        var hash = default(HashCode);
        hash.AddBytes(obj);
        return hash.ToHashCode();
    }
}
