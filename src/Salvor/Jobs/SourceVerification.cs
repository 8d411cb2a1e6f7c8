using Salvor.Jobs.Clusters;
using Salvor.Postgres.Restore;
using Salvor.Sqlite.Restore;
using Salvor.Sqlite.Verify;
using Salvor.Text;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Restore;
using Salvor.Vault.Trees;
using Salvor.Vault.Verify;
using Salvor.Vault.Wal;

namespace Salvor.Jobs;

/// <summary>How a source is verified.</summary>
public sealed record VerifyRequest
{
    /// <summary>What is read of each copy.</summary>
    public VerifyOptions Options { get; init; } = new();

    /// <summary>Restores, too.</summary>
    public DeepOptions? Deep { get; init; }

    /// <summary>Which point a deep verification restores.</summary>
    public RestoreRequest Point { get; init; } = new(null, null, null);

    /// <summary>A role of a cluster that may log in, as which its recovered server is asked.</summary>
    public string Role { get; init; } = "postgres";

    /// <summary>Where clusters are recovered: a folder that others cannot write to; null: one in the folder for temporary files.</summary>
    public string? ScratchRoot { get; init; }

    /// <summary>What it is called in the answer.</summary>
    public string Kind =>
        Deep is not null ? "deep" : Options.Quick ? "quick" : Options.Sample != Sample.All ? "sample" : "shallow";
}

/// <summary>Verifies a source: each copy by itself, and a restore where that is asked for, which takes the best of all copies.</summary>
public sealed class SourceVerification(string source, IReadOnlyList<SourceCopy> copies, TimeProvider time)
{
    readonly List<VerifyReport> reports = [];
    SalvorException? lack;
    long fetchedBytes;

    /// <summary>Verifies once. Throws where nothing was ever backed up.</summary>
    public async Task<VerifyRecord> RunAsync(VerifyRequest request, CancellationToken cancellationToken)
    {
        var started = time.GetUtcNow();
        if (copies.All(copy => copy.Vault is null && copy.Failure is null))
        {
            throw new SalvorException(
                FailureKind.NotRestorable,
                $"nothing is backed up yet of source {source}",
                "Start 'salvor daemon', then try again.");
        }

        foreach (var copy in copies)
        {
            reports.Add(await VerifyAsync(copy, request.Options, cancellationToken));
        }

        var windows = copies.Any(copy => copy.Vault is { Identity.IsPostgres: true }) ? await WindowsAsync(cancellationToken) : null;
        var restore = request.Deep is { } deep && copies.Any(copy => copy.Vault is not null)
            ? await RestoreAsync(deep, request, cancellationToken)
            : null;
        var best = reports.MaxBy(report => report.Newest)!;
        return new VerifyRecord
        {
            Source = source,
            Kind = (lack is null ? request : request with { Deep = null }).Kind,
            StartedAt = started,
            FinishedAt = time.GetUtcNow(),
            Ok = reports.All(report => report.FindingCount == 0),
            EveryObject = !request.Options.Quick && request.Options.Sample == Sample.All,
            Branch = restore?.Branch ?? best.Branch,
            Position = restore?.Position ?? best.Newest.Value,
            Objects = reports.Sum(report => report.Objects),
            Bytes = reports.Sum(report => report.Bytes) + (restore?.FetchedBytes ?? fetchedBytes),
            RestorePoints = best.RestorePoints,
            Destinations = [.. reports.Select(Body)],
            Restore = restore,
            Windows = windows,
            NotRecovered = lack?.Message ?? "",
            NotRecoveredHint = lack?.Hint ?? "",
        };
    }

    static async Task<VerifyReport> VerifyAsync(SourceCopy copy, VerifyOptions options, CancellationToken cancellationToken)
    {
        if (copy.Vault is null)
        {
            return Broken(copy, copy.Failure);
        }

        try
        {
            return await new VaultVerifier(copy.Vault, options).RunAsync(cancellationToken);
        }
        catch (SalvorException e) when (e.Kind is FailureKind.DestinationUnreachable or FailureKind.Integrity)
        {
            return Broken(copy, e);
        }
    }

    /// <summary>A copy that cannot be looked at is one damage.</summary>
    static VerifyReport Broken(SourceCopy copy, SalvorException? failure)
    {
        var damage = failure as DamagedObjectException;
        return new VerifyReport
        {
            Destination = copy.Location,
            Objects = 0,
            ObjectsRead = 0,
            Bytes = 0,
            RestorePoints = 0,
            Newest = Position.None,
            Branch = 0,
            Findings =
            [
                new Finding(
                    copy.Location, damage?.Key ?? "vault", damage is null ? FindingLayer.Listing : FindingLayer.Envelope,
                    damage?.What ?? failure?.Message ?? "there is no copy here", LostPoints.Everything),
            ],
            FindingCount = 1,
        };
    }

    async Task<VerifiedRestore?> RestoreAsync(DeepOptions deep, VerifyRequest request, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        var vault = Join();
        try
        {
            if (vault.Identity.IsPostgres)
            {
                return await RecoverAsync(vault, request, cancellationToken);
            }

            if (vault.Identity.IsTree)
            {
                return await ReadTreeAsync(vault, request.Point, started, cancellationToken);
            }

            var result = await FreshListing.UseAsync(
                vault, catalog => RestoreAsync(catalog, deep, request.Point, cancellationToken), cancellationToken);
            return new VerifiedRestore(
                result.Point.Branch, result.Point.Position.Value, result.Point.Time, result.SizeBytes, result.FetchedBytes,
                result.FromImage, result.Check == IntegrityCheckDepth.Full ? "integrity_check" : "quick_check",
                Math.Round(time.GetElapsedTime(started).TotalSeconds, 3), result.Discarded);
        }
        catch (DamagedObjectException e)
        {
            AddFinding(vault.Location, e, "this restore point cannot be restored");
            return null;
        }
        catch (SalvorException e) when (e.Kind == FailureKind.Integrity)
        {
            Add(new Finding(vault.Location, "", FindingLayer.Database, e.Message, "the newest restore point is not sound"));
            return null;
        }
    }

    VaultAccess Join() =>
        SourceCopies.Join(copies, _ => { }, (bad, e) => AddFinding(bad.Location, e, "another copy was read in its place"))!;

    /// <summary>What a cluster can be recovered to, from the best of all copies; none where the log that says so cannot be read.</summary>
    async Task<IReadOnlyList<string>> WindowsAsync(CancellationToken cancellationToken)
    {
        const string Unknown = "what the cluster can be recovered to is not known";
        var vault = Join();
        try
        {
            var listed = await VaultCatalog.LoadAsync(vault, cancellationToken);
            var backups = await ClusterBackup.AllAsync(
                listed, e => AddFinding(vault.Location, e, "no recovery begins with this backup"), cancellationToken);
            var log = await WalCatalog.LoadAsync(vault, cancellationToken);
            return [.. (await RecoveryWindows.FindAsync(log, backups, cancellationToken)).Select(window => $"{window}")];
        }
        catch (DamagedObjectException e)
        {
            AddFinding(vault.Location, e, Unknown);
        }
        catch (SalvorException e) when (e.Kind is FailureKind.Integrity or FailureKind.NotRestorable or FailureKind.DestinationUnreachable)
        {
            Add(new Finding(vault.Location, "vault", FindingLayer.Recovery, e.Message, Unknown));
        }

        return [];
    }

    /// <summary>Null where no server is here that could recover it, and where it cannot be recovered.</summary>
    async Task<VerifiedRestore?> RecoverAsync(VaultAccess vault, VerifyRequest request, CancellationToken cancellationToken)
    {
        if (request.Point is { Position: not null } or { Branch: not null })
        {
            throw new SalvorException(
                FailureKind.Usage, $"source {source} is a cluster of PostgreSQL, which has no positions and branches",
                "'--timestamp' and '--backup-id' name what is recovered; without them it is all.");
        }

        var catalog = await VaultCatalog.LoadAsync(vault, cancellationToken);
        ClusterRecovery.ExpectBackup(catalog);
        try
        {
            (var proof, fetchedBytes, lack) = await new ClusterProof(catalog, request, time).RunAsync(
                e => AddFinding(vault.Location, e, "no recovery begins with this backup"), cancellationToken);
            return proof;
        }
        catch (SalvorException e) when (
            e is not DamagedObjectException && e.Kind is FailureKind.Integrity or FailureKind.NotRestorable)
        {
            Add(new Finding(
                vault.Location, "", FindingLayer.Recovery, e.Message, "the cluster does not come back with all that was committed"));
            return null;
        }
    }

    /// <summary>All of a backup of files is read as a restore reads it; only the writing is left out.</summary>
    async Task<VerifiedRestore> ReadTreeAsync(
        VaultAccess vault, RestoreRequest request, long started, CancellationToken cancellationToken)
    {
        var catalog = await VaultCatalog.LoadAsync(vault, cancellationToken);
        var record = await TreeBackups.FindAsync(
            catalog, request.BackupId is { } id ? $"{id}" : request.Time is { } until ? InstantText.Format(until) : null,
            cancellationToken);
        var fetched = await (await TreeBackups.OpenAsync(vault, record, cancellationToken)).ReadAllAsync(cancellationToken);
        return new VerifiedRestore(
            record.Branch, record.Position, record.Time, record.SizeBytes, fetched, FromImage: false, "the check of every chunk",
            Math.Round(time.GetElapsedTime(started).TotalSeconds, 3), DiscardedImage: "");
    }

    async Task<DeepResult> RestoreAsync(
        VaultCatalog catalog, DeepOptions deep, RestoreRequest request, CancellationToken cancellationToken)
    {
        var planner = new RestorePlanner(catalog);
        request = await RestoreTargets.OfBackupAsync(catalog, request, cancellationToken);
        var point = await RestoreTargets.ResolveAsync(catalog, planner, request, cancellationToken);
        var isNewest = request is { Position: null, Time: null };
        var options = isNewest ? deep : deep with { KeepImage = false };
        return await new DeepVerifier(catalog, options, time).RunAsync(request.Branch ?? planner.NewestBranch, point, cancellationToken);
    }

    void AddFinding(string location, DamagedObjectException e, string consequence) =>
        Add(new Finding(location, e.Key, FindingLayer.Frame, e.What, consequence));

    /// <summary>What the copy's own verification named already is told once.</summary>
    void Add(Finding finding)
    {
        var index = Math.Max(0, reports.FindIndex(report => report.Destination == finding.Destination));
        var report = reports[index];
        if (finding.Key.Length == 0 || report.Findings.All(item => item.Key != finding.Key))
        {
            reports[index] = report with { Findings = [.. report.Findings, finding], FindingCount = report.FindingCount + 1 };
        }
    }

    VerifiedDestination Body(VerifyReport report) => new(
        report.Destination, report.FindingCount == 0, report.Objects, report.Bytes, report.RestorePoints, report.Newest.Value,
        report.FindingCount,
        [.. report.Findings.Select(item => new VerifiedFinding(
            item.Key, item.Layer.ToString().ToLowerInvariant(), item.What, item.Consequence, Hint(item)))])
    {
        Gaps = [.. report.WalGaps.Select(gap => $"{gap}")],
    };

    string Hint(Finding finding) =>
        finding.Layer == FindingLayer.Recovery
            ? $"Make a base backup now with 'salvor backup {source}', and verify again. Where that fails too, run 'pg_amcheck --all' on "
                + "the server itself."
        : finding.Layer == FindingLayer.Database
            ? "The source was like this at that moment: run 'PRAGMA integrity_check' on it, and restore an earlier point."
        : finding.IsKept
            ? $"Run 'salvor repair {source}' before that is deleted too, and find out who did it: restores see through it meanwhile."
        : copies.Count > 1
            ? $"Run 'salvor repair {source}': it takes the good bytes from another destination."
        : finding.Key.StartsWith(VaultKeys.Packs, StringComparison.Ordinal) && copies[0].Vault is { Identity.IsTree: true }
            ? $"The next 'salvor backup {source}' stores again what the source has of it still. For the rest add a second destination."
        : "There is no other copy to heal it from: 'salvor list' shows what can be restored still. Add a second destination.";
}
