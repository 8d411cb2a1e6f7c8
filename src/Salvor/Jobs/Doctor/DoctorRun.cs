using System.Collections.Concurrent;
using Salvor.Jobs.Config;
using Salvor.Jobs.Keys;
using Salvor.Platform;
using Salvor.Vault.Format;
using Salvor.Vault.Keys;

namespace Salvor.Jobs.Doctor;

/// <summary>What is to be looked at.</summary>
public sealed record DoctorRequest
{
    /// <summary>A configured source, or one database of it; null for all.</summary>
    public string? Source { get; init; }

    /// <summary>A configured destination; null for all that the sources use.</summary>
    public string? Destination { get; init; }

    /// <summary>What opens the vaults of a source; null where they are plain.</summary>
    public required Func<SourceConfig, Keyring?> KeysOf { get; init; }

    /// <summary>Where restores go.</summary>
    public required string Scratch { get; init; }

    /// <summary>Whether to really try to destroy an object of ours at each destination.</summary>
    public bool Probes { get; init; }
}

/// <summary>
/// Finds out whether a restore would work, and whether a configuration does: gathers facts from everywhere at once, and judges them. Needs
/// no daemon, and changes nothing but for one small object at each destination, which it removes.
/// </summary>
/// <param name="time">The clock.</param>
/// <param name="random">Names the probe objects.</param>
public sealed class DoctorRun(TimeProvider time, Random random)
{
    /// <summary>More databases than that are told of only where something is the matter.</summary>
    const int DatabasesListedMax = 8;

    const int VaultsAtOnce = 4;

    static readonly TimeSpan WaitingTold = TimeSpan.FromSeconds(2);

    readonly ConcurrentDictionary<string, bool> waiting = [];

    /// <summary>How long a destination may take for all that it is asked.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(8);

    /// <summary>Told every other second which destinations have not answered yet.</summary>
    public Action<IReadOnlyCollection<string>>? Waiting { get; init; }

    /// <summary>Looks at a configuration and at all that it names.</summary>
    public async Task<IReadOnlyList<Check>> CheckAsync(SalvorConfig config, DoctorRequest request, CancellationToken cancellationToken)
    {
        var unreadable = new CheckList("source");
        var members = MembersOf(config, request.Source, unreadable);
        var trees = config.Trees.Values.Where(tree => request.Source is null || tree.Name == request.Source).ToList();
        IEnumerable<SourceConfig> sources = [.. members.Select(item => item.Source).Distinct(), .. trees];
        var destinations = DestinationsOf(config, request, sources);
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using var patience = new CancellationTokenSource(Patience, time);
        using var link = patience.Token.Register(deadline.Cancel);
        using var told = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var telling = TellAsync(told.Token);
        try
        {
            var secrets = await SecretsAsync(sources, request, deadline.Token);
            var looking = destinations.Select(item => LookAtAsync(item, members, secrets, request.Probes, deadline.Token)).ToList();
            var local = await Task.Run(() => members.Select(item => Gather(item, request.Scratch)).ToList(), cancellationToken);
            var files = await Task.WhenAll(
                trees.Select(tree => LookAtAsync(config, tree, secrets, request, cancellationToken, deadline.Token)));
            var found = await Task.WhenAll(looking);
            cancellationToken.ThrowIfCancellationRequested();
            var report = new DoctorReport(config, members, local, secrets, found, time.GetUtcNow());
            return
            [
                .. Few([.. report.Config(), .. unreadable.Checks, .. report.Sources(), .. report.Daemons()], members.Count),
                .. files.SelectMany(TreeChecks.Judge),
                .. report.Destinations(),
                .. Few([.. report.Vaults(), .. report.Keys()], members.Count),
                .. MachineChecks.Judge(Machine(members)),
                .. Few(report.Posture(), members.Count),
            ];
        }
        finally
        {
            await told.CancelAsync();
            await telling;
        }
    }

    /// <summary>Looks at a vault alone, on a machine that has nothing else of it: reads, and writes nothing.</summary>
    /// <param name="from">A path or URL.</param>
    /// <param name="source">The source; null where there is only one.</param>
    /// <param name="keys">What opens it; null where it is expected to be plain.</param>
    /// <param name="scratch">Where a restore goes.</param>
    public async Task<IReadOnlyList<Check>> CheckVaultAsync(
        string from, string? source, Keyring? keys, string scratch, CancellationToken cancellationToken)
    {
        var destination = DestinationUrl.Parse(from);
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using var patience = new CancellationTokenSource(Patience, time);
        using var link = patience.Token.Register(deadline.Cancel);
        var place = new DestinationFacts { Config = destination, IsReadOnly = true };
        var facts = new VaultFacts { Source = source ?? "", Destination = destination.Name, Location = destination.Location };
        try
        {
            facts = await Task.Run(() => FindAsync(from, source, keys, facts, deadline.Token), deadline.Token).WaitAsync(deadline.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            place = place with { Failure = DestinationFacts.Late(destination, Patience, last: null) };
            facts = facts with { IsLate = true };
        }

        if (facts is { Vault: null, Failure.Kind: FailureKind.DestinationUnreachable })
        {
            place = place with { Failure = facts.Failure };
        }

        var room = new CheckList("source", facts.Source);
        SourceChecks.JudgeRoom(
            room, FolderFacts.Of(scratch), SourceChecks.Needed(facts.DatabaseBytes), CheckLevel.Fail, "a restore into scratch");
        return
        [
            .. DestinationChecks.Judge(place, databaseBytes: 0),
            .. place.Failure is null ? VaultChecks.Judge(facts, source: null, last: null, isElsewhere: false, time.GetUtcNow()) : [],
            .. KeyChecks.Judge(facts.Source, key: null, [facts], [], Place.DeviceOf),
            .. facts.DatabaseBytes > 0 ? room.Checks : [],
            .. MachineChecks.Judge(MachineFacts.Gather() with
            {
                UsesPassphrase = facts.Slots.Count > 0 && facts.Slots.All(slot => slot.Record.Kind == "passphrase"),
            }),
        ];
    }

    /// <summary>What can be said where the configuration cannot be read.</summary>
    public static IReadOnlyList<Check> CheckMachine(SalvorException failure)
    {
        var list = new CheckList("config");
        list.Fail("the configuration cannot be used", failure);
        return [.. list.Checks, .. MachineChecks.Judge(MachineFacts.Gather())];
    }

    static async Task<VaultFacts> FindAsync(string from, string? source, Keyring? keys, VaultFacts facts, CancellationToken deadline)
    {
        try
        {
            var vault = await Destinations.FindVaultAsync(from, source, keys, deadline);
            return await VaultFacts.LookAsync(
                facts with { Vault = vault, Source = vault.Identity.Source, Location = vault.Location }, deadline);
        }
        catch (SalvorException e) when (e is KeyException || e.Kind != FailureKind.Usage)
        {
            return facts with { Failure = e };
        }
    }

    static IReadOnlyList<(SqliteSourceConfig Source, SourceMember Member)> MembersOf(
        SalvorConfig config, string? name, CheckList unreadable)
    {
        IEnumerable<SqliteSourceConfig> sources = name is null ? config.Sources.Values
            : config.Sources.TryGetValue(name, out var whole) ? [whole]
            : [];
        return name is not null && !config.Sources.ContainsKey(name) && !config.Trees.ContainsKey(name)
            ? [ConfiguredSources.Find(config, name)]
            : [.. sources.SelectMany(source => Members(source).Select(member => (source, member)))];

        IEnumerable<SourceMember> Members(SqliteSourceConfig source)
        {
            var what = $"databases of {source.Name} cannot be looked for";
            var found = ConfiguredSources.Members(source, e => unreadable.Fail(what, e)).ToList();
            if (found.Count == 0 && unreadable.Checks.Count == 0)
            {
                unreadable.Warn(
                    $"{source.Name} has no database yet", string.Join(", ", source.Paths?.Patterns ?? []),
                    "Correct 'paths', or start the app.");
            }

            return found;
        }
    }

    static IReadOnlyList<DestinationConfig> DestinationsOf(
        SalvorConfig config, DoctorRequest request, IEnumerable<SourceConfig> sources)
    {
        if (request.Destination is { } wanted)
        {
            return config.Destinations.TryGetValue(wanted, out var one)
                ? [one]
                : throw new SalvorException(
                    FailureKind.Usage,
                    $"{config.FileName} has no destination '{wanted}'",
                    $"{Text.Suggestion.Sentence(wanted, config.Destinations.Keys)}Its destinations are "
                        + $"{Text.Suggestion.Enumerate([.. config.Destinations.Keys])}.");
        }

        return request.Source is null
            ? [.. config.Destinations.Values]
            : [.. sources.SelectMany(source => source.To).Distinct().Select(name => config.Destinations[name])];
    }

    /// <summary>What opens each source, read once: the failure of that is told once too.</summary>
    static async Task<IReadOnlyDictionary<string, (Keyring? Keys, SalvorException? Failure)>> SecretsAsync(
        IEnumerable<SourceConfig> sources, DoctorRequest request, CancellationToken deadline)
    {
        var secrets = new Dictionary<string, (Keyring?, SalvorException?)>();
        foreach (var source in sources)
        {
            var keys = request.KeysOf(source);
            secrets[source.Name] = (keys, null);
            try
            {
                await (keys?.SecretAsync(deadline) ?? Task.FromResult<VaultSecret>(null!)).WaitAsync(deadline);
            }
            catch (SalvorException e)
            {
                secrets[source.Name] = (keys, e);
            }
            catch (OperationCanceledException) when (deadline.IsCancellationRequested)
            {
                secrets[source.Name] = (keys, new KeyException(
                    $"what gives the key of {source.Name} did not come to an end", "Run the passphrase command by itself to see why."));
            }
        }

        return secrets;
    }

    /// <summary>A source that is backed up as a tree, its server where it has one, and what there is of it elsewhere.</summary>
    async Task<TreeFacts> LookAtAsync(
        SalvorConfig config, TreeSourceConfig tree, IReadOnlyDictionary<string, (Keyring? Keys, SalvorException? Failure)> secrets,
        DoctorRequest request, CancellationToken cancellationToken, CancellationToken deadline)
    {
        var asking = tree is PostgresSourceConfig cluster ? ClusterFacts.GatherAsync(cluster, time, deadline) : null;
        var facts = await Task.Run(() => TreeFacts.Gather(config, tree, request.Scratch, time, cancellationToken), cancellationToken);
        facts = secrets[tree.Name].Failure is { } failure
            ? facts with { Vaults = [.. tree.To.Select(name => (name, (int?)null, (SalvorException?)failure))] }
            : await facts.WithVaultsAsync(config, secrets[tree.Name].Keys, request.Destination, deadline);
        return asking is null ? facts : facts with { Cluster = await asking };
    }

    SourceReport Gather((SqliteSourceConfig Source, SourceMember Member) item, string scratch)
    {
        var state = ConfiguredSources.OptionsOf(item.Source, item.Member).StateDirectory;
        return new SourceReport(
            SourceFacts.Gather(item.Source, item.Member, scratch),
            DaemonFacts.Gather(item.Member.Name, item.Member.Path, state, time.GetUtcNow()) with
            {
                VerifyEvery = item.Source.Verify.Every,
            });
    }

    /// <summary>One destination, and each vault there. What does not answer in time is told to be late.</summary>
    async Task<DestinationReport> LookAtAsync(
        DestinationConfig destination, IReadOnlyList<(SqliteSourceConfig Source, SourceMember Member)> members,
        IReadOnlyDictionary<string, (Keyring? Keys, SalvorException? Failure)> secrets, bool probes, CancellationToken deadline)
    {
        waiting[destination.Name] = true;
        var facts = await DestinationFacts.GatherAsync(destination, time, new Random(random.Next()), Patience, deadline);
        if (probes && facts.Refusal is null)
        {
            facts = await facts.TamperAsync(time, new Random(random.Next()), deadline);
        }

        var here = members.Where(item => item.Source.To.Contains(destination.Name) && secrets[item.Source.Name].Failure is null).ToList();
        var vaults = here.Select(item => new VaultFacts
        {
            Source = item.Member.Name, Destination = destination.Name, Location = destination.Location, IsLate = true,
        }).ToArray();
        try
        {
            var store = Destinations.Open(destination);
            var options = new ParallelOptions { MaxDegreeOfParallelism = VaultsAtOnce, CancellationToken = deadline };
            await Parallel.ForAsync(0, facts.Refusal is null ? here.Count : 0, options, LookAsync).WaitAsync(deadline);

            async ValueTask LookAsync(int index, CancellationToken cancel) => vaults[index] = await VaultFacts.GatherAsync(
                store, destination.Name, here[index].Member.Name, secrets[here[index].Source.Name].Keys, cancel);
        }
        catch (OperationCanceledException) when (deadline.IsCancellationRequested)
        {
            // Those that were looked at are judged, the others are told to be late.
        }

        waiting.TryRemove(destination.Name, out _);
        return new DestinationReport(facts, facts.Refusal is null ? [.. vaults] : []);
    }

    static MachineFacts Machine(IReadOnlyList<(SqliteSourceConfig Source, SourceMember Member)> members) => MachineFacts.Gather() with
    {
        Databases = members.Count,
        Folders = members.Select(item => Path.GetDirectoryName(item.Member.Path)).Distinct().Count(),
        UsesPassphrase = members.Any(item => item.Source.Encryption?.Key is not (null or KeySource.KeyFile)),
        UsesLz4 = members.Any(item => item.Source.Compression.Codec == Codec.Lz4),
    };

    /// <summary>Of many databases, what is well of each is not told one by one.</summary>
    static IEnumerable<Check> Few(IReadOnlyList<Check> checks, int databases)
    {
        if (databases <= DatabasesListedMax)
        {
            return checks;
        }

        var silent =
            from check in checks
            where check.Subject.Length > 0
            group check by (check.Area, check.Subject) into subject
            where subject.All(check => check.Level == CheckLevel.Ok)
            group subject by subject.Key.Area into area
            select new Check(CheckLevel.Ok, area.Key, "", $"{area.Count()} of {databases} databases have nothing to report");
        return checks.Where(check => check.Level != CheckLevel.Ok || check.Subject.Length == 0).Concat(silent);
    }

    async Task TellAsync(CancellationToken stopped)
    {
        try
        {
            while (true)
            {
                await Task.Delay(WaitingTold, time, stopped);
                if (!waiting.IsEmpty)
                {
                    Waiting?.Invoke([.. waiting.Keys.Order(StringComparer.Ordinal)]);
                }
            }
        }
        catch (OperationCanceledException) when (stopped.IsCancellationRequested)
        {
            // All have answered, or nobody waits any more.
        }
    }
}
