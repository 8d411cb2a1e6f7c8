using System.Diagnostics;
using System.Text;
using Salvor.Vault.Keys;

namespace Salvor.Jobs.Keys;

/// <summary>
/// A secret in a configuration that says where it is: <c>file:PATH</c> or <c>cmd:COMMAND</c>. Anything else is the secret itself.
/// </summary>
static class SecretValue
{
    const string FilePrefix = "file:";
    const string CommandPrefix = "cmd:";
    const string SecondsMax = "30";

    /// <summary>Whether the text says where the secret is, and is not the secret itself.</summary>
    public static bool IsReference(string text) =>
        text.StartsWith(FilePrefix, StringComparison.Ordinal) || text.StartsWith(CommandPrefix, StringComparison.Ordinal);

    /// <summary>As a place that is read when it is needed; null where the text is the secret itself.</summary>
    /// <param name="text">What the configuration says.</param>
    /// <param name="fullPath">Makes a path of it absolute.</param>
    public static KeySource? SourceOf(string text, Func<string, string> fullPath) =>
        text.StartsWith(FilePrefix, StringComparison.Ordinal) ? new KeySource.PassphraseFile(fullPath(text[FilePrefix.Length..]))
        : text.StartsWith(CommandPrefix, StringComparison.Ordinal)
            ? new KeySource.PassphraseCommand(new SecretText(text[CommandPrefix.Length..]))
            : null;

    /// <summary>What is there, without the end of its line. No message says anything of it.</summary>
    /// <param name="text">What the configuration says.</param>
    /// <param name="fullPath">Makes a path of it absolute.</param>
    /// <param name="what">What messages call it.</param>
    public static string Read(string text, Func<string, string> fullPath, string what) => SourceOf(text, fullPath) switch
    {
        KeySource.PassphraseFile { Path: var path } => Line(SecretReader.ReadPrivate(path, $"{what}: file {path}"), what),
        KeySource.PassphraseCommand { Command.Value: var command } => Line(Run(command, what), what),
        _ => text,
    };

    static string Line(byte[] bytes, string what)
    {
        var text = Encoding.UTF8.GetString(VaultSecret.WithoutLineEnd(bytes));
        return text.Length == 0 || text.Any(char.IsControl)
            ? throw new KeyException($"{what}: what is there is empty, or more than one line", "Write the secret there, and nothing else.")
            : text;
    }

    /// <summary>What it prints for people goes where our messages go.</summary>
    static byte[] Run(string command, string what)
    {
        var start = new ProcessStartInfo("timeout", ["--foreground", SecondsMax, "/bin/sh", "-c", command])
        {
            UseShellExecute = false, RedirectStandardOutput = true,
        };
        using var process = Process.Start(start)!;
        var buffer = new byte[SecretReader.SecretBytesMax + 1];
        var length = process.StandardOutput.BaseStream.ReadAtLeast(buffer, buffer.Length, throwOnEndOfStream: false);
        if (length == buffer.Length)
        {
            process.Kill(entireProcessTree: true);
            throw new KeyException($"{what}: the command printed more than {SecretReader.SecretBytesMax} bytes", "Check the command.");
        }

        process.WaitForExit();
        return process.ExitCode == 0
            ? buffer[..length]
            : throw new KeyException(
                $"{what}: the command ended with {process.ExitCode}",
                $"Run it by itself to see why; it must print the secret, within {SecondsMax} seconds.");
    }
}
