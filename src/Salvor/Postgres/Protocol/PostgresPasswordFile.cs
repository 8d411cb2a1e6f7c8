using System.Globalization;
using System.Text;

namespace Salvor.Postgres.Protocol;

/// <summary>
/// The passwords of a user: lines <c>host:port:database:user:password</c>, where <c>*</c> stands for anything and a backslash takes the
/// next character as it is.
/// </summary>
static class PostgresPasswordFile
{
    const UnixFileMode NotForOthers = (UnixFileMode)0b000_111_111;

    /// <summary>Why the file is not made use of; null where it is, or is not there.</summary>
    public static string? Problem(string path)
    {
        try
        {
            return File.Exists(path) && (File.GetUnixFileMode(path) & NotForOthers) != 0
                ? $"password file {path} is ignored, because others than its owner have access to it"
                : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return $"password file {path} cannot be read: {e.Message}";
        }
    }

    /// <summary>The first password that fits; null where none does or the file is not made use of.</summary>
    public static SecretText? Find(string path, string host, int port, string database, string user)
    {
        if (Problem(path) is not null)
        {
            return null;
        }

        string[] wanted = [host, port.ToString(CultureInfo.InvariantCulture), database, user];
        foreach (var line in PostgresEnvironment.ReadLines(path) ?? [])
        {
            if (!line.StartsWith('#') && Fields(line) is [_, _, _, _, var password]
                && wanted.Zip(Raw(line)).All(pair => pair.Second.Raw == "*" || pair.Second.Value == pair.First))
            {
                return new SecretText(password);
            }
        }

        return null;
    }

    static List<string> Fields(string line) => [.. Raw(line).Select(field => field.Value)];

    /// <summary>The fields with and without their backslashes; the last goes up to the end of the line.</summary>
    static IEnumerable<(string Raw, string Value)> Raw(string line)
    {
        var (start, value, count) = (0, new StringBuilder(), 0);
        for (var i = 0; i < line.Length; i++)
        {
            if (line[i] == ':' && count < 4)
            {
                yield return (line[start..i], value.ToString());
                value.Clear();
                (start, count) = (i + 1, count + 1);
            }
            else
            {
                i += line[i] == '\\' && i + 1 < line.Length ? 1 : 0;
                value.Append(line[i]);
            }
        }

        yield return (line[start..], value.ToString());
    }
}
