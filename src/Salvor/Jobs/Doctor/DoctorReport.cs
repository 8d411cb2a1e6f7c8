using Salvor.Jobs.Config;
using Salvor.Vault.Format;
using Salvor.Vault.Keys;

namespace Salvor.Jobs.Doctor;

/// <summary>What this machine knows of a database.</summary>
sealed record SourceReport(SourceFacts Database, DaemonFacts Daemon);

/// <summary>What is known of a destination and of the vaults there.</summary>
sealed record DestinationReport(DestinationFacts Place, IReadOnlyList<VaultFacts> Vaults);

/// <summary>Puts the facts together, area by area, and has them judged.</summary>
/// <param name="config">The configuration.</param>
/// <param name="members">The databases.</param>
/// <param name="sources">What is known of each, in the same order.</param>
/// <param name="secrets">What opens the vaults of each source, and why it cannot be had.</param>
/// <param name="destinations">What is known of each destination.</param>
/// <param name="now">The time now.</param>
sealed class DoctorReport(
    SalvorConfig config, IReadOnlyList<(SqliteSourceConfig Source, SourceMember Member)> members, IReadOnlyList<SourceReport> sources,
    IReadOnlyDictionary<string, (Keyring? Keys, SalvorException? Failure)> secrets, IReadOnlyList<DestinationReport> destinations,
    DateTimeOffset now)
{
    readonly ILookup<string, VaultFacts> vaults = destinations.SelectMany(item => item.Vaults).ToLookup(vault => vault.Source);

    public IEnumerable<Check> Config() => ConfigChecks.Judge(ConfigFacts.Gather(config, members));

    public IEnumerable<Check> Sources() => sources.SelectMany(item => SourceChecks.Judge(
        item.Database with { VaultBytes = vaults[item.Database.Name].Select(vault => vault.DatabaseBytes).DefaultIfEmpty(0).Max() }));

    public IEnumerable<Check> Daemons() => sources.SelectMany(item => DaemonChecks.Judge(item.Daemon, now));

    /// <summary>Each with all that it is to hold at least: a copy of every database that goes there.</summary>
    public IEnumerable<Check> Destinations() => destinations.SelectMany(item => DestinationChecks.Judge(
        item.Place,
        members.Zip(sources).Where(pair => pair.First.Source.To.Contains(item.Place.Config.Name))
            .Sum(pair => pair.Second.Database.SizeBytes)));

    public IEnumerable<Check> Vaults() => sources.SelectMany(item =>
    {
        IReadOnlyList<VaultFacts> copies = [.. vaults[item.Database.Name]];
        return copies
            .SelectMany(copy => VaultChecks.Judge(
                copy, item.Database, item.Daemon.Last, copies.Any(other => other != copy && other.Exists), now))
            .Concat(VaultChecks.JudgeCopies(item.Database.Name, copies));
    });

    public IEnumerable<Check> Keys() => members.SelectMany(item => secrets[item.Source.Name].Failure is { } failure
        ? KeyChecks.JudgeSecret(item.Member.Name, failure)
        : KeyChecks.Judge(
            item.Member.Name, item.Source.Encryption?.Key, [.. vaults[item.Member.Name]],
            item.Source.To.Select(name => config.Destinations[name]).OfType<FileDestinationConfig>(), Place.DeviceOf));

    public IReadOnlyList<Check> Posture() =>
        [.. members.Zip(sources).SelectMany(pair => PostureChecks.Judge(PostureOf(pair.First.Source, pair.Second), now))];

    PostureFacts PostureOf(SqliteSourceConfig source, SourceReport report) => new()
    {
        Source = report.Database.Name,
        Copies =
        [
            .. destinations.Where(item => item.Vaults.Any(
                vault => vault.Source == report.Database.Name && vault is { Newest: not null, Failure: null })).Select(item => item.Place),
        ],
        Device = Place.DeviceOf(report.Database.Path),
        Daemon = report.Daemon,
        IsEncrypted = source.Encryption is not null,
        IsCompressed = source.Compression.Codec != Codec.None,
    };
}
