namespace Salvor.Jobs.Keys;

/// <summary>Where an operator keeps the secret of a source. Two that are equal give the same secret.</summary>
public abstract record KeySource
{
    KeySource()
    {
    }

    /// <summary>A file of random bytes, or an exported key.</summary>
    public sealed record KeyFile(string Path) : KeySource;

    /// <summary>A passphrase that is known already.</summary>
    /// <param name="Origin">What messages call it.</param>
    public sealed record Passphrase(SecretText Text, string Origin) : KeySource;

    /// <summary>The content of a file.</summary>
    public sealed record PassphraseFile(string Path) : KeySource;

    /// <summary>What a command prints. It may itself hold a secret, so it is not printed either.</summary>
    public sealed record PassphraseCommand(SecretText Command) : KeySource;

    /// <summary>What can be read from a file descriptor that this process was started with.</summary>
    public sealed record PassphraseDescriptor(int Descriptor) : KeySource;

    /// <summary>A credential that systemd gives to a service, as a passphrase.</summary>
    public sealed record Credential(string Name) : KeySource;
}

/// <summary>
/// Finds a secret in variables: <c>SALVOR_PASSPHRASE</c>, the same with <c>_FILE</c>, <c>_COMMAND</c> or <c>_FD</c>, and
/// <c>SALVOR_KEY_FILE</c>.
/// </summary>
public static class KeyVariables
{
    /// <summary>The secret that opens a vault.</summary>
    public const string Current = "SALVOR_";

    /// <summary>The secret that is to open it from now on.</summary>
    public const string New = "SALVOR_NEW_";

    /// <summary>All names, so that a child process can be started without them.</summary>
    public static IEnumerable<string> Names(string prefix) =>
        [$"{prefix}PASSPHRASE", $"{prefix}PASSPHRASE_FILE", $"{prefix}PASSPHRASE_COMMAND", $"{prefix}PASSPHRASE_FD", $"{prefix}KEY_FILE"];

    /// <summary>The one that is set, or null. Two are refused: it would be a guess which is meant.</summary>
    public static KeySource? Find(string prefix, Func<string, string?> environment)
    {
        string[] set = [.. Names(prefix).Where(name => environment(name) is { Length: > 0 })];
        if (set.Length > 1)
        {
            throw new SalvorException(
                FailureKind.Usage, $"{set[0]} and {set[1]} are both set", "Set one of them: a vault is opened with one secret.");
        }

        return set.Length == 0 ? null : Source(set[0], set[0][prefix.Length..], environment(set[0])!);
    }

    static KeySource Source(string name, string kind, string value) => kind switch
    {
        "PASSPHRASE" => new KeySource.Passphrase(new SecretText(value), $"the passphrase in variable {name}"),
        "PASSPHRASE_FILE" => new KeySource.PassphraseFile(Path.GetFullPath(value)),
        "PASSPHRASE_COMMAND" => new KeySource.PassphraseCommand(new SecretText(value)),
        "KEY_FILE" => new KeySource.KeyFile(Path.GetFullPath(value)),
        _ => int.TryParse(value, out var descriptor)
            ? new KeySource.PassphraseDescriptor(descriptor)
            : throw new SalvorException(
                FailureKind.Usage,
                $"{name} is not the number of a file descriptor",
                $"Set it to a number, and pass it on: '{name}=3 salvor .. 3< FILE'."),
    };
}
