using Salvor.Jobs.Config;
using Salvor.Jobs.Drills;
using Salvor.Jobs.Keys;
using Salvor.Sqlite;

namespace Salvor.Jobs.Recovery;

/// <summary>
/// What a runbook says of a source; from the configuration and the local state alone, so that it can be made at any time.
/// </summary>
public sealed record RunbookFacts
{
    public required string Source { get; init; }

    public required string DatabasePath { get; init; }

    /// <summary>The paths of a source of files, absolute; empty for a database.</summary>
    public IReadOnlyList<string> Paths { get; init; } = [];

    /// <summary>Of a source that is what a command prints, the program; null for others.</summary>
    public string? Printed { get; init; }

    /// <summary>Of a cluster of PostgreSQL, where its server is; null for others.</summary>
    public string? Cluster { get; init; }

    /// <summary>The configuration, absolute.</summary>
    public required string ConfigPath { get; init; }

    public required IReadOnlyList<DestinationConfig> Destinations { get; init; }

    /// <summary>The folder in which restores are made, absolute.</summary>
    public required string ScratchPath { get; init; }

    /// <summary>Where the key is, in words; null where the vault is plain.</summary>
    public string? KeyPlace { get; init; }

    /// <summary>The services that use the database, in the order in which they start.</summary>
    public IReadOnlyList<string> Services { get; init; } = [];

    /// <summary>What is asked of a restored database, see <see cref="SmokeCheck.Name"/>.</summary>
    public IReadOnlyList<string> Checks { get; init; } = [];

    /// <summary>The last drill; null where there was none.</summary>
    public DrillRecord? LastDrill { get; init; }

    public required string Version { get; init; }

    public required DateTimeOffset MadeAt { get; init; }

    /// <summary>Those of a configured database, or of files.</summary>
    public static RunbookFacts Of(
        SalvorConfig config, string configPath, ConfiguredVault vault, IReadOnlyList<string> services, DateTimeOffset now)
    {
        var source = vault.Config;
        IReadOnlyList<string> paths = source is FilesSourceConfig files ? files.Options.Paths : [];
        return new RunbookFacts
        {
            Source = vault.Name,
            DatabasePath = vault.Path,
            Paths = paths,
            Printed = (source as CommandSourceConfig)?.Subject,
            Cluster = (source as PostgresSourceConfig)?.Subject,
            ConfigPath = configPath,
            Destinations = [.. source.To.Select(name => config.Destinations[name])],

            // Beside what was lost: there it has had the room, and its owner may write.
            ScratchPath = config.Restore.Scratch
                ?? Path.Combine(
                    Path.GetDirectoryName(
                        paths.Count > 0 ? paths[0] : source is SqliteSourceConfig ? vault.Path : configPath) ?? "/",
                    "restored"),
            KeyPlace = source.Encryption is { } encryption ? PlaceOf(encryption.Key) : null,
            Services = services,
            Checks = [.. source.Drill.Checks.Select(check => $"{check.Kind}: {check.Name}")],
            LastDrill = DrillFile.Read(LocalState.DrillPath(vault.State, vault.Path)),
            Version = LocalState.Version,
            MadeAt = now,
        };
    }

    /// <summary>Where a secret is, and nothing of it.</summary>
    public static string PlaceOf(KeySource key) => key switch
    {
        KeySource.KeyFile file => $"key file {file.Path}",
        KeySource.PassphraseFile file => $"a passphrase, in file {file.Path}",
        KeySource.Credential credential => $"a passphrase, as systemd's credential {credential.Name}",
        KeySource.PassphraseCommand => "a passphrase, which the configured command prints",
        KeySource.PassphraseDescriptor descriptor => $"a passphrase, on file descriptor {descriptor.Descriptor}",
        _ => "a passphrase, from the configuration or a variable that it names",
    };
}
