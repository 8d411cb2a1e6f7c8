namespace Salvor.Postgres.Protocol;

/// <summary>What every client of PostgreSQL reads beside its settings: variables, and files of the user.</summary>
/// <param name="variable">The value of a variable, or null.</param>
public sealed class PostgresEnvironment(Func<string, string?> variable)
{
    const int FileBytesMax = 1 << 20;

    /// <summary>That of this process.</summary>
    public static PostgresEnvironment Current { get; } = new(Environment.GetEnvironmentVariable);

    /// <summary>Who runs this, which is the user of the database where no other is named.</summary>
    public static string User => Environment.UserName;

    /// <summary>Null where it is not set or empty.</summary>
    public string? Variable(string name) => variable(name) is { Length: > 0 } value ? value : null;

    /// <summary>A file below the user's home.</summary>
    internal string InHome(string name) => Path.Combine(Variable("HOME") ?? "/", name);

    /// <summary>The lines of a small file; null where there is none, or none that may be read.</summary>
    internal static string[]? ReadLines(string path)
    {
        try
        {
            var file = new FileInfo(path);
            return file is { Exists: true, Length: <= FileBytesMax } ? File.ReadAllLines(path) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
