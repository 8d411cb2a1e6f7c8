using System.Buffers;

namespace Salvor.Storage;

/// <summary>
/// Which keys are legal, the same for every destination, so that a vault can be copied from any to any: no names that a file
/// system, a URL or a shell understands in its own way.
/// </summary>
static class ObjectKey
{
    /// <summary>What every destination takes, with room for the path or prefix that it puts in front.</summary>
    public const int LengthMax = 512;

    /// <summary>What every file system takes as one name.</summary>
    public const int SegmentLengthMax = 255;

    static readonly SearchValues<char> legal =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");

    /// <summary>Throws <see cref="StorageFailure.Denied"/> where a store must not accept the key.</summary>
    public static void Check(string key)
    {
        if (key.Length > LengthMax)
        {
            throw Refusal($"object key of {key.Length} characters is longer than {LengthMax}");
        }

        if (!IsLegal(key))
        {
            throw Refusal($"object key '{key}' is not legal");
        }
    }

    /// <summary>Whether <see cref="Check"/> accepts the key.</summary>
    public static bool IsLegal(string key)
    {
        if (key.Length > LengthMax)
        {
            return false;
        }

        foreach (var range in key.AsSpan().Split('/'))
        {
            if (!IsSegment(key.AsSpan(range)))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Throws <see cref="StorageFailure.Denied"/> where no legal key can start with the prefix, unless it is empty.</summary>
    public static void CheckPrefix(string prefix)
    {
        if (prefix.Length > 0)
        {
            Check(prefix.EndsWith('/') ? prefix[..^1] : prefix);
        }
    }

    /// <summary>Whether this can be one segment of a key. What starts with a dot is unfinished, or not ours.</summary>
    public static bool IsSegment(ReadOnlySpan<char> segment) =>
        segment.Length is > 0 and <= SegmentLengthMax && segment[0] != '.' && !segment.ContainsAnyExcept(legal);

    static StorageException Refusal(string message) => new(
        StorageFailure.Denied,
        message,
        "Use names of letters, digits, dot, underscore and hyphen that do not start with a dot.");
}
