namespace Salvor.Storage.S3;

/// <summary>What other tools for Amazon's services read too: variables, and the files below <c>~/.aws</c>.</summary>
/// <param name="variable">The value of a variable, or null.</param>
sealed class AwsEnvironment(Func<string, string?> variable)
{
    const int FileBytesMax = 1 << 20;

    /// <summary>That of this process.</summary>
    public static AwsEnvironment Current { get; } = new(Environment.GetEnvironmentVariable);

    /// <summary>Null where it is not set or empty.</summary>
    public string? Variable(string name) => variable(name) is { Length: > 0 } value ? value : null;

    /// <summary>Keys in two variables, and what goes with them in a third; null where neither is set. One alone is an error.</summary>
    public AwsCredentials? Credentials(string idName, string secretName, string? tokenName)
    {
        var (id, secret) = (Variable(idName), Variable(secretName));
        if (id is null && secret is null)
        {
            return null;
        }

        if (id is null || secret is null)
        {
            var (present, absent) = id is null ? (secretName, idName) : (idName, secretName);
            throw new StorageException(StorageFailure.Denied, $"variable {present} is set, and {absent} is not", "Set both or none.");
        }

        return new AwsCredentials(id, secret, tokenName is null ? null : Variable(tokenName), $"variable {idName}");
    }

    public string? Region(string? profile) =>
        Variable("AWS_REGION") ?? Variable("AWS_DEFAULT_REGION") ?? Setting(NameOf(profile), "region");

    public string? Endpoint(string? profile) =>
        Variable("AWS_ENDPOINT_URL_S3") ?? Variable("AWS_ENDPOINT_URL") ?? Setting(NameOf(profile), "endpoint_url");

    /// <summary>The profile that counts.</summary>
    public string NameOf(string? profile) => profile ?? Variable("AWS_PROFILE") ?? "default";

    /// <summary>The settings of a profile, those for credentials before those of the configuration; empty where there is none.</summary>
    public IReadOnlyDictionary<string, string> Profile(string name)
    {
        var settings = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        foreach (var (key, value) in ReadSection(CredentialsPath, name).Concat(
            ReadSection(ConfigPath, name == "default" ? name : $"profile {name}")))
        {
            settings.TryAdd(key, value);
        }

        return settings;
    }

    public string CredentialsPath => Variable("AWS_SHARED_CREDENTIALS_FILE") ?? Path.Combine(Folder, "credentials");

    string ConfigPath => Variable("AWS_CONFIG_FILE") ?? Path.Combine(Folder, "config");

    string Folder => Path.Combine(Variable("HOME") ?? "/", ".aws");

    string? Setting(string profile, string key) => Profile(profile).GetValueOrDefault(key);

    /// <summary>The lines <c>key = value</c> below <c>[section]</c>. What is indented belongs to the key above.</summary>
    static IEnumerable<(string Key, string Value)> ReadSection(string path, string section)
    {
        var isInside = false;
        foreach (var line in ReadLines(path))
        {
            if (line.StartsWith('['))
            {
                var end = line.IndexOf(']', StringComparison.Ordinal);
                isInside = end > 0 && line[1..end].Trim() == section;
            }
            else if (isInside && line.Length > 0 && !char.IsWhiteSpace(line[0]) && line[0] is not ('#' or ';')
                && line.IndexOf('=', StringComparison.Ordinal) is > 0 and var equals)
            {
                yield return (line[..equals].Trim(), line[(equals + 1)..].Trim());
            }
        }
    }

    static string[] ReadLines(string path)
    {
        try
        {
            var file = new FileInfo(path);
            return file.Exists && file.Length <= FileBytesMax ? System.IO.File.ReadAllLines(path) : [];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new StorageException(
                StorageFailure.Denied, $"cannot read {path}: {e.Message}", "Give the user that runs salvor read access to it.", e);
        }
    }
}
