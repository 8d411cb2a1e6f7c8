using System.Collections.Concurrent;
using System.Diagnostics;
using Microsoft.Win32.SafeHandles;
using Salvor.Platform;
using Salvor.Vault.Keys;

namespace Salvor.Jobs.Keys;

/// <summary>Reads a secret from where an operator keeps it. No message says anything of what was read.</summary>
public static class SecretReader
{
    /// <summary>No passphrase and no key file is longer; and a wrong path must not fill the memory.</summary>
    internal const int SecretBytesMax = 64 << 10;

    const string CredentialsVariable = "CREDENTIALS_DIRECTORY";

    /// <summary>What descriptors gave, by their numbers.</summary>
    static readonly ConcurrentDictionary<int, byte[]> given = [];

    /// <summary>A keyring that reads this source when it is first needed.</summary>
    public static Keyring KeyringOf(KeySource source, bool isSaved)
    {
        if (source is not KeySource.PassphraseDescriptor)
        {
            return new Keyring(cancel => ReadAsync(source, cancel), isSaved);
        }

        // It can be read once, and its number then belongs to whatever is opened next.
        var once = new Lazy<Task<VaultSecret>>(() => ReadAsync(source, CancellationToken.None));
        return new Keyring(_ => once.Value, isSaved);
    }

    public static async Task<VaultSecret> ReadAsync(KeySource source, CancellationToken cancellationToken)
    {
        switch (source)
        {
            case KeySource.KeyFile file:
                return VaultSecret.KeyFile(ReadPrivate(file.Path, $"key file {file.Path}"), $"key file {file.Path}");
            case KeySource.PassphraseFile file:
                return Passphrase(ReadPrivate(file.Path, $"passphrase file {file.Path}"), $"the passphrase in file {file.Path}");
            case KeySource.Passphrase known:
                return VaultSecret.Passphrase(System.Text.Encoding.UTF8.GetBytes(known.Text.Value), known.Origin);
            case KeySource.PassphraseCommand command:
                return Passphrase(await RunAsync(command.Command.Value, cancellationToken), "the passphrase that the command printed");
            case KeySource.PassphraseDescriptor { Descriptor: var descriptor }:
                return Passphrase(
                    await ReadDescriptorAsync(descriptor, cancellationToken), $"the passphrase on file descriptor {descriptor}");
            case KeySource.Credential { Name: var name }:
                return Passphrase(ReadCredential(name), $"credential {name}");
            default:
                throw new InvalidOperationException($"no way to read {source.GetType().Name}");
        }
    }

    /// <summary>The first line's worth of a file that only its owner may read, as text.</summary>
    public static SecretText ReadText(string path, string what) =>
        new(System.Text.Encoding.UTF8.GetString(VaultSecret.WithoutLineEnd(ReadPrivate(path, what))));

    static VaultSecret Passphrase(byte[] text, string origin) => VaultSecret.Passphrase(VaultSecret.WithoutLineEnd(text), origin);

    /// <summary>A file that only its owner may read.</summary>
    internal static byte[] ReadPrivate(string path, string what)
    {
        using var file = Open(path, what);
        var stat = FileStat.Of(file, path);
        const uint Others = 0b000_111_111;
        if (stat.Kind == FileKind.Regular && (stat.Permissions & Others) != 0)
        {
            throw new KeyException(
                $"{what} has mode {Convert.ToString(stat.Permissions, 8).PadLeft(4, '0')}, so others than its owner may use it",
                $"Run 'chmod 600 {path}'. If somebody else may have read it, 'salvor key rotate' makes it worthless.");
        }

        return ReadAll(file, what);
    }

    /// <summary>systemd guards its folder itself, and may open the files to others by lists that the mode does not show.</summary>
    static byte[] ReadCredential(string name)
    {
        var folder = Environment.GetEnvironmentVariable(CredentialsVariable);
        if (folder is not { Length: > 0 })
        {
            throw new KeyException(
                $"credential {name} is configured, and {CredentialsVariable} is not set",
                $"Add 'LoadCredentialEncrypted={name}' to the unit, and start Salvor by systemd.");
        }

        using var file = Open(Path.Combine(folder, name), $"credential {name}");
        return ReadAll(file, $"credential {name}");
    }

    static SafeFileHandle Open(string path, string what)
    {
        try
        {
            return File.OpenHandle(path);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new KeyException($"{what} does not exist", "Check the path, or bring the file back from where its copy is kept.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new KeyException($"{what} cannot be read", "It must belong to the user that Salvor runs as, with mode 0600.");
        }
    }

    static byte[] ReadAll(SafeFileHandle file, string what)
    {
        using var stream = new FileStream(file, FileAccess.Read, bufferSize: 0);
        var buffer = new byte[SecretBytesMax + 1];
        var length = stream.ReadAtLeast(buffer, buffer.Length, throwOnEndOfStream: false);
        return Checked(buffer.AsSpan(0, length), what);
    }

    static byte[] Checked(ReadOnlySpan<byte> content, string what) => content.Length <= SecretBytesMax
        ? content.ToArray()
        : throw new KeyException($"{what} has more than {SecretBytesMax} bytes, which no key has", "Check the path.");

    /// <summary>A descriptor gives what it has once, and its number is somebody else's afterwards: what it gave is kept.</summary>
    static async Task<byte[]> ReadDescriptorAsync(int descriptor, CancellationToken cancellationToken)
    {
        if (given.TryGetValue(descriptor, out var known))
        {
            return known;
        }

        var name = $"/proc/self/fd/{descriptor}";
        var target = new FileInfo(name).LinkTarget;

        // Numbers that nobody passed on belong to the runtime by now.
        if (descriptor is 1 or 2 or < 0 || target is null || target.StartsWith("anon_inode", StringComparison.Ordinal))
        {
            throw new KeyException(
                $"file descriptor {descriptor} is not open for reading", $"Pass it on: 'salvor .. {Math.Max(descriptor, 3)}< FILE'.");
        }

        try
        {
            using var stream = new FileStream(new SafeFileHandle(descriptor, ownsHandle: true), FileAccess.Read, bufferSize: 0);
            var buffer = new byte[SecretBytesMax + 1];
            var length = await stream.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancellationToken);
            return given[descriptor] = Checked(buffer.AsSpan(0, length), $"file descriptor {descriptor}");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new KeyException($"file descriptor {descriptor} cannot be read", "Pass it on opened for reading.");
        }
    }

    static async Task<byte[]> RunAsync(string command, CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo("/bin/sh", ["-c", command]) { UseShellExecute = false, RedirectStandardOutput = true };
        using var process = Process.Start(start)!;
        try
        {
            var buffer = new byte[SecretBytesMax + 1];
            var length = await process.StandardOutput.BaseStream.ReadAtLeastAsync(
                buffer, buffer.Length, throwOnEndOfStream: false, cancellationToken);
            var text = Checked(buffer.AsSpan(0, length), "what the passphrase command printed");
            await process.WaitForExitAsync(cancellationToken);
            return process.ExitCode == 0
                ? text
                : throw new KeyException(
                    $"the passphrase command ended with {process.ExitCode}", "Run it by itself to see why; it must print the passphrase.");
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill(entireProcessTree: true);
            }
        }
    }
}
