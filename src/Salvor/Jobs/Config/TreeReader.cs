using Salvor.Files;
using Salvor.Vault;
using Salvor.Vault.Format;

namespace Salvor.Jobs.Config;

/// <summary>Reads a source of files.</summary>
static class TreeReader
{
    const string PathExample = "[/srv/app/uploads]";
    const string PatternExample = "[\"*.tmp\", /srv/app/cache/]";

    /// <param name="document">The file.</param>
    /// <param name="name">The name of the source.</param>
    /// <param name="owner">What messages call it.</param>
    /// <param name="source">Its keys, which are known.</param>
    /// <param name="to">Its destinations.</param>
    public static TreeSourceConfig Read(
        ConfigDocument document, string name, string owner, ConfigMapping source, IReadOnlyList<string> to)
    {
        var paths = source.OptionalTexts("paths", PathExample) ?? throw source.Missing("paths", PathExample);
        var exclude = source.OptionalTexts("exclude", PatternExample) ?? [];
        foreach (var (node, pattern) in exclude)
        {
            if (PathPatterns.Problem(pattern) is { } problem)
            {
                throw document.Error(
                    node, $"pattern \"{pattern}\" of {owner} {problem}", "Write a name like '*.tmp', or a path like '/srv/app/cache/'.");
            }
        }

        var verify = document.Attempt(() => VerifyReader.Read(document, source, owner), new());
        var schedule = document.Attempt(() => ScheduleReader.Read(document, source, name, owner), null);
        string[] patterns = [.. exclude.Select(item => item.Text)];
        return new()
        {
            Name = name,
            To = to,
            Options = new TreeOptions
            {
                Paths = [.. paths.Select(item => document.FullPath(item.Node, item.Text))],
                Exclude = PathPatterns.Parse(patterns),
                ExcludeIfPresent = [.. (source.OptionalTexts("exclude_if_present", "[.nobackup]") ?? []).Select(item => item.Text)],
                ExcludeCaches = source.Choice("exclude_caches", false, ("true", true), ("false", false)),
                OneFileSystem = source.Choice("one_file_system", false, ("true", true), ("false", false)),
            },
            Exclude = patterns,
            Schedule = schedule,
            Verify = verify,
            Compression = document.Attempt(() => CompressionReader.Read(document, source, owner), FrameCompression.Default),
            BackupsMax = source.OptionalCount("max_backups", 30, SqliteSourceConfig.BackupsMaxMax),
            RetentionDays = source.OptionalCount("retention_days", 90, BackupRequest.RetentionDaysMax),
            Prune = document.Attempt(() => PruneReader.Read(document, source, owner), new()),
            Limits = LimitsReader.Read(source, schedule, verify.Every),
            StateDirectory = source.OptionalPath("state_dir", "/var/lib/salvor"),
            Encryption = !document.LocalOnly && source.Value("encryption") is { } encryption
                ? document.Attempt<EncryptionConfig?>(() => EncryptionReader.Read(document, encryption, owner), null)
                : null,
        };
    }
}
