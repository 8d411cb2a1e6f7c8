using System.Text;
using Salvor.Jobs.Recovery;
using Salvor.Platform;

namespace Salvor.Jobs.Config;

/// <summary>Finds and reads the configuration file. Every failure is <see cref="FailureKind.Usage"/> and says where.</summary>
public static class ConfigFile
{
    /// <summary>The environment variable that names the file where <c>--config</c> does not.</summary>
    public const string EnvironmentVariable = "SALVOR_CONFIG";

    /// <summary>Where the file is looked for last.</summary>
    public const string DefaultPath = "/etc/salvor/salvor.yaml";

    /// <summary>More than anyone writes by hand, and little enough to parse in an instant.</summary>
    public const int SizeBytesMax = 1 << 20;

    const string MissingHint =
        $$"""
        Create {{DefaultPath}}, or name another file with --config:
            destinations:
              local: { type: file, path: /var/backups/salvor }
            sources:
              app: { type: sqlite, path: /var/lib/app/app.db, to: [local] }
        For one database without a file, run 'salvor replicate DB DEST'.
        """;

    /// <summary>The file's path: <paramref name="explicitPath"/> (<c>--config</c>), else the environment's, else the default.</summary>
    public static string Locate(string? explicitPath, Func<string, string?> environment) =>
        Locate(explicitPath, environment, DefaultPath);

    internal static string Locate(string? explicitPath, Func<string, string?> environment, string defaultPath)
    {
        // A file that was named and is absent is an error of its own: never another file in its place.
        if (explicitPath is not null)
        {
            return explicitPath;
        }

        if (environment(EnvironmentVariable) is { Length: > 0 } named)
        {
            return named;
        }

        return File.Exists(defaultPath)
            ? defaultPath
            : throw new SalvorException(
                FailureKind.Usage,
                $"no configuration: neither --config nor ${EnvironmentVariable} names a file, and {defaultPath} does not exist",
                MissingHint);
    }

    /// <summary>Reads a file, with the variables of this process.</summary>
    public static SalvorConfig Load(string path) => Load(path, Environment.GetEnvironmentVariable);

    /// <summary>Reads a file.</summary>
    public static SalvorConfig Load(string path, Func<string, string?> environment) => Parse(ReadText(path), path, environment);

    /// <summary>
    /// As <see cref="Load(string)"/>, without what destinations, keys and metrics are opened with: no secret of the file need be known.
    /// Destinations have a name and nothing else.
    /// </summary>
    public static SalvorConfig LoadLocal(string path) =>
        Sound(Check(ReadText(path), new ConfigDocument(path, Environment.GetEnvironmentVariable) { LocalOnly = true }));

    /// <summary>
    /// The text of a configuration without its secrets, for a recovery kit; the variables that it takes them from, and what was left out.
    /// </summary>
    public static (string Text, IReadOnlyList<string> Variables, IReadOnlyList<string> LeftOut) WithoutSecrets(string path)
    {
        var document = new ConfigDocument(path, Environment.GetEnvironmentVariable);
        return KitConfig.Write(YamlText.Read(ReadText(path), document), Path.GetDirectoryName(Path.GetFullPath(path))!);
    }

    /// <summary>Reads a text. Relative paths in it are relative to the folder of <paramref name="fileName"/>.</summary>
    public static SalvorConfig Parse(string text, string fileName, Func<string, string?> environment) =>
        Sound(Check(text, fileName, environment));

    /// <summary>All that is wrong with a file, not only the first.</summary>
    public static (SalvorConfig? Config, IReadOnlyList<SalvorException> Problems) Check(string path, Func<string, string?> environment) =>
        Check(ReadText(path), path, environment);

    /// <summary>The same of a text.</summary>
    public static (SalvorConfig? Config, IReadOnlyList<SalvorException> Problems) Check(
        string text, string fileName, Func<string, string?> environment) => Check(text, new ConfigDocument(fileName, environment));

    static (SalvorConfig? Config, IReadOnlyList<SalvorException> Problems) Check(string text, ConfigDocument document)
    {
        var config = document.Attempt<SalvorConfig?>(() => new ConfigReader(document).Read(YamlText.Read(text, document)), null);
        return (document.Problems.Count == 0 ? config : null, document.Problems);
    }

    /// <summary>One that has problems is none, whoever reads it.</summary>
    static SalvorConfig Sound((SalvorConfig? Config, IReadOnlyList<SalvorException> Problems) read) =>
        read.Problems.Count == 0 ? read.Config! : throw read.Problems[0];

    /// <summary>
    /// The warning that others than its owner can read a file that has secrets in it; null where there is nothing to say.
    /// </summary>
    public static string? ExposureOf(SalvorConfig config)
    {
        const uint OthersRead = 0b000_100_100;
        return config.PlainSecrets.Count > 0 && FileStat.Of(config.FileName) is { } stat && (stat.Permissions & OthersRead) != 0
            ? $"{config.FileName}:{config.PlainSecrets[0]} is a secret, and others can read the file. "
                + $"hint: Run 'chmod 600 {config.FileName}', or write it as ${{NAME}}, file:PATH or cmd:COMMAND."
            : null;
    }

    internal static string ReadText(string path)
    {
        var content = ReadBytes(path);
        if (RecoveryKit.IsKit(content))
        {
            content = RecoveryKit.ReadConfig(content, path, SizeBytesMax);
        }

        if (content.Length > SizeBytesMax)
        {
            throw Unreadable(path, "is larger than 1MiB", "Check that it is a Salvor configuration.");
        }

        try
        {
            // Some editors put a byte order mark in front, which would become part of the first key.
            return new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(content).TrimStart('\ufeff');
        }
        catch (DecoderFallbackException e)
        {
            throw Unreadable(path, "is not UTF-8 text", "Save it as UTF-8.", e);
        }
    }

    /// <summary>At most one byte more than is allowed: the path may be a pipe that never ends.</summary>
    static byte[] ReadBytes(string path)
    {
        try
        {
            using var file = File.OpenRead(path);
            var content = new byte[SizeBytesMax + 1];
            return content[..file.ReadAtLeast(content, content.Length, throwOnEndOfStream: false)];
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw Unreadable(path, "does not exist", "Name the file with --config, or create it.", e);
        }
        catch (UnauthorizedAccessException e)
        {
            var what = Directory.Exists(path) ? "is a directory" : "cannot be read: permission denied";
            throw Unreadable(path, what, "Name a file that this user may read with --config.", e);
        }
        catch (Exception e) when (e is IOException or ArgumentException)
        {
            throw Unreadable(path, $"cannot be read: {e.Message}", "Name a file that this user may read with --config.", e);
        }
    }

    static SalvorException Unreadable(string path, string what, string hint, Exception? inner = null) =>
        new(FailureKind.Usage, $"configuration {path} {what}", hint, inner);
}
