using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Compaction;
using Salvor.Vault.Format;
using Salvor.Vault.Pruning;
using Salvor.Vault.Restore;
using Salvor.Vault.Verify;

namespace Salvor.Tests.Vault.Pruning;

/// <summary>A vault over years of virtual time: writers, merges, snapshots, backups, prunes that die anywhere, and undeletes.</summary>
sealed class PrunedWorld
{
    static readonly TimeSpan Grace = TimeSpan.FromDays(2);

    readonly MemoryStore store;
    readonly Random random;
    readonly VaultModel model;
    readonly WorldTime time = new();
    readonly LogMerger merger;
    readonly List<BackupRecord> backups = [];

    PrunedWorld(MemoryStore store, Random random, VaultModel model)
    {
        (this.store, this.random, this.model) = (store, random, model);
        merger = new LogMerger(model.Vault, epoch: 1, time);
    }

    /// <summary>Short, so that a simulation sees all of it.</summary>
    public static PrunePolicy Policy { get; } = new(
        new Ladder(TimeSpan.FromDays(1), TimeSpan.FromDays(7), TimeSpan.FromDays(30), TimeSpan.FromDays(120)));

    public long Deleted { get; private set; }

    public static async Task<PrunedWorld> CreateAsync(MemoryStore store, Random random)
    {
        var model = await VaultModel.CreateAsync(store, random, pageSize: 512);
        await model.BeginAsync();
        return new PrunedWorld(store, random, model);
    }

    public async Task StepAsync()
    {
        model.Advance(random.Next(4) switch
        {
            0 => TimeSpan.FromSeconds(random.Next(1, 50)),
            1 => TimeSpan.FromMinutes(random.Next(1, 50)),
            2 => TimeSpan.FromHours(random.Next(1, 40)),
            _ => TimeSpan.FromDays(random.Next(1, 30)),
        });
        time.Now = model.Now;
        await (random.Next(14) switch
        {
            < 4 => CommitAsync(),
            4 => model.CommitInPartsAsync(parts: 2),
            5 => model.ResyncAsync(),
            6 => model.LeaveOverAsync(),
            7 => model.MakeSnapshotAsync(),
            8 => BackUpAsync(),
            9 => ForkAsync(),
            10 => merger.RunAsync(default),
            11 => UndeleteAsync(),
            _ => PruneAsync(),
        });
        time.Now = model.Now;
    }

    /// <summary>Lets every grace end, and prunes until nothing is left to do.</summary>
    public async Task SettleAsync()
    {
        for (var i = 0; i < 4; i++)
        {
            model.Advance(Grace * 2);
            time.Now = model.Now;
            await PruneAsync(store);
        }

        var pruner = await OpenAsync(store);
        Assert.True((await pruner.PlanAsync(Policy, null, default)).IsEmpty, "a prune of what was just pruned has something to do");
    }

    /// <summary>What the ladder keeps, and all backups, restore exactly; what else is offered restores exactly too.</summary>
    public async Task ExpectKeptAsync(int restores)
    {
        var catalog = await VaultReading.OpenAsync(store);
        var planner = new RestorePlanner(catalog);
        var (required, others) = Required();
        foreach (var point in required)
        {
            await planner.PlanAsync(point.Branch, point.Position, default);
        }

        foreach (var point in Some(required, restores))
        {
            Assert.Equal(point.Content, await VaultReading.RestoreAsync(store, point.Branch, point.Position));
        }

        foreach (var point in Some(others, restores))
        {
            if (await planner.FindAsync(point.Branch, point.Position, default) is not null)
            {
                Assert.Equal(point.Content, await VaultReading.RestoreAsync(store, point.Branch, point.Position));
            }
        }

        foreach (var span in await RestoreSpans.FindAsync(catalog, default))
        {
            foreach (var (position, moment) in ((Position, DateTimeOffset)[])[(span.First, span.From), (span.Last, span.To)])
            {
                var point = model.Branches[(int)span.Branch - 1].Points.Single(item => item.Position == position);
                Assert.Equal(point.Time, moment);
                await planner.PlanAsync(span.Branch, position, default);
            }
        }
    }

    /// <summary>A verification finds nothing, and the writer goes on.</summary>
    public async Task ExpectSoundAsync()
    {
        var report = await new VaultVerifier((await VaultAccess.FindAsync(store, "app", default))!, new VerifyOptions()).RunAsync(default);
        Assert.Equal([], report.Findings.Select(finding => $"{finding.Key}: {finding.What}"));
        var state = await Salvor.Sqlite.VaultState.LoadAsync(await VaultReading.OpenAsync(store), cache: null, default);
        Assert.Equal(model.Tip, state.Tip);
    }

    /// <summary>After all graces, what is stored follows what the ladder keeps, and not how much was ever written.</summary>
    public async Task ExpectSmallAsync()
    {
        var catalog = await VaultReading.OpenAsync(store);
        var use = await PackUse.ReadAsync(catalog, new HashSet<SnapshotRef>(), default);
        Assert.All(use.Packs.Keys, pack => Assert.True(use.Chunks(pack) > 0, $"nothing needs pack {pack}"));
        var kept = Required().Required.Count;
        Assert.InRange(catalog.Snapshots.Count, 1, kept + model.Branches.Count);
        foreach (var log in catalog.Branches.Select(branch => catalog.Logs(branch.Number)))
        {
            // What was merged or rewritten is not kept beside what it was made into.
            Assert.Equal(log.Chain, log.Entries);
        }

        // What lies between a kept point and its snapshot is joined too, about one object a month; fences and images come on top.
        Assert.InRange(catalog.Branches.Sum(branch => catalog.Logs(branch.Number).Chain.Count), 1, 4 * kept);
    }

    (List<ModelPoint> Required, List<ModelPoint> Others) Required()
    {
        var required = new List<ModelPoint>();
        var others = new List<ModelPoint>();
        foreach (var branch in model.Branches)
        {
            HashSet<Position> named =
            [
                .. model.Branches.Where(item => item.Parent == branch).Select(item => item.Fork),
                .. backups.Where(backup => backup.Branch == branch.Number).Select(backup => new Position(backup.Position)),
            ];
            var points = branch.Points.Select(point => new LadderPoint(point.Position, Micros.Of(point.Time))).ToList();
            var verdicts = LadderVerdicts.Find(Policy.Keep, points, named, time.Now);
            required.AddRange(branch.Points.Where((_, i) => verdicts[i].IsKept));
            others.AddRange(branch.Points.Where((_, i) => !verdicts[i].IsKept));
        }

        return (required, others);
    }

    IEnumerable<ModelPoint> Some(List<ModelPoint> points, int count) =>
        count >= points.Count ? points : Enumerable.Range(0, count).Select(_ => points[random.Next(points.Count)]);

    async Task CommitAsync()
    {
        for (var i = random.Next(1, 20); i > 0; i--)
        {
            await model.CommitAsync(transactions: random.Next(1, 3));
            model.Advance(TimeSpan.FromSeconds(random.Next(1, 90)));
        }
    }

    async Task BackUpAsync()
    {
        await model.MakeSnapshotAsync();
        var point = model.Current.Points.LastOrDefault();
        if (point is null)
        {
            return;
        }

        backups.Add(await Backups.PutAsync(
            model.Vault,
            new BackupRecord
            {
                Id = 0,
                Branch = point.Branch,
                Position = point.Position.Value,
                Time = point.Time,
                Label = "",
                Mode = "incremental",
                CreatedAt = point.Time,
                Host = "model",
                SizeBytes = point.Content.Length,
                Checksum = "",
                AddedBytes = 0,
            },
            default));
    }

    async Task ForkAsync()
    {
        if (model.Branches.Count < 4)
        {
            var required = Required().Required;
            await model.ForkAsync(required[random.Next(required.Count)], image: random.Next(3) == 0);

            // A branch that has nothing yet cannot be backed up.
            await model.CommitAsync(transactions: 1);
        }
    }

    async Task UndeleteAsync()
    {
        var open = (await Condemnations.LoadAsync(model.Vault, default)).All.Where(item => item.Outcome is null).ToList();
        if (open.Count > 0)
        {
            await (await OpenAsync(store)).UndeleteAsync(open[random.Next(open.Count)].Number, default);
        }
    }

    /// <summary>One that dies at any of its calls, or two at once, or one in peace.</summary>
    async Task PruneAsync()
    {
        var dies = random.Next(1, 400);
        var fault = random.Next(2) == 0 ? Fault.Before : Fault.After;
        var faulty = new FaultyStore(store, call => call.Number == dies ? fault : call.Number > dies ? Fault.Before : Fault.None);
        await (random.Next(3) switch
        {
            0 => PruneAsync(store),
            1 => Task.WhenAll(PruneAsync(store), PruneAsync(store)),
            _ => DieAsync(),
        });

        async Task DieAsync()
        {
            try
            {
                await PruneAsync(faulty);
            }
            catch (StorageException)
            {
                // The next one goes on.
            }
        }
    }

    async Task PruneAsync(IObjectStore at)
    {
        var pruner = await OpenAsync(at);
        Deleted += (await pruner.DeleteAsync(dryRun: false, default)).Objects;
        await pruner.CondemnAsync(Policy, proven: null, Grace, default);
    }

    async Task<Pruner> OpenAsync(IObjectStore at) => new((await VaultAccess.FindAsync(at, "app", default))!, time);
}
