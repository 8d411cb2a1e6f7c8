using System.Globalization;

namespace Salvor.Files;

/// <summary>Owners that become others, from a file of lines as <c>user app deploy</c> and <c>group 1001 www-data</c>.</summary>
public sealed class OwnerMap
{
    const long BytesMax = 1 << 20;

    readonly Dictionary<(bool IsGroup, string Was), uint> numbers = [];

    /// <summary>One that changes nothing.</summary>
    public static OwnerMap None { get; } = new();

    /// <summary>Reads a file. Throws <see cref="FailureKind.Usage"/> with the line that is wrong.</summary>
    public static OwnerMap Read(string path)
    {
        try
        {
            return new FileInfo(path).Length <= BytesMax
                ? Parse(path, File.ReadAllLines(path))
                : throw new SalvorException(FailureKind.Usage, $"{path} is too large for a map of owners", Hint);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SalvorException(FailureKind.Usage, $"cannot read the map of owners: {e.Message}", Hint, e);
        }
    }

    /// <summary>What an owner becomes; null where it stays. A line with its name counts before one with its number.</summary>
    internal uint? Find(bool isGroup, string name, uint number) =>
        numbers.TryGetValue((isGroup, name), out var named) ? named
        : numbers.TryGetValue((isGroup, number.ToString(CultureInfo.InvariantCulture)), out var numbered) ? numbered
        : null;

    const string Hint = "Write lines such as 'user app deploy' and 'group 1001 www-data': the owner there, and the one here.";

    static OwnerMap Parse(string path, string[] lines)
    {
        var map = new OwnerMap();
        foreach (var (index, line) in lines.Index())
        {
            var words = line.Split('#')[0].Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
            if (words.Length == 0)
            {
                continue;
            }

            if (words is not ["user" or "group", var was, var becomes])
            {
                throw new SalvorException(FailureKind.Usage, $"{path}, line {index + 1}: '{line.Trim()}' maps no owner", Hint);
            }

            var isGroup = words[0] == "group";
            var number = isGroup ? Ownership.GroupOf(becomes) : Ownership.UserOf(becomes);
            if (!map.numbers.TryAdd((isGroup, was), number))
            {
                throw new SalvorException(FailureKind.Usage, $"{path}, line {index + 1}: {words[0]} '{was}' is mapped twice", Hint);
            }
        }

        return map;
    }
}
