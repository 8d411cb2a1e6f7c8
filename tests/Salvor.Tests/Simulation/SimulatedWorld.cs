using Salvor.Sqlite;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Restore;

namespace Salvor.Tests.Simulation;

/// <summary>
/// A few hours in the life of a database and those who protect it. Commits come at random moments; the destination is slow, loses calls
/// and loses answers; writers are killed, stopped, and meet rivals; puts arrive after their writer died; the wall clock is moved; the
/// machine loses its power. Then all trouble stops, and what is committed last must become durable.
/// </summary>
sealed class SimulatedWorld
{
    public const uint PageSize = 512;
    public const string Name = "app";
    public const string Path = "/data/app.db";

    static readonly TimeSpan SettledAfterAtMost = TimeSpan.FromMinutes(30);

    readonly Simulator simulator;
    readonly Random random;
    readonly Swarm swarm;
    readonly Weather weather;
    readonly TimeSpan until;
    readonly List<SimulatedWriter> writers = [];
    readonly SimulatedDisk disk = new();
    PageTableCache? cache;
    bool isStarting;
    bool isSettled;
    int latePuts;

    SimulatedWorld(int seed, string folder, bool keepsTrace)
    {
        random = new Random(seed);
        swarm = Swarm.Draw(random);
        Folder = folder;
        until = TimeSpan.FromMinutes(random.Next(5, 180));
        PartBytes = (int)PageSize * random.Next(4, 40);
        Witness = new Witness(Time, keepsTrace);
        simulator = new Simulator(Time, NextRandom());
        weather = new Weather(Time, NextRandom(), until);
        Database = new SimulatedDatabase(NextRandom(), PageSize, swarm.HasGiants);
        Destination = new FaultyStore(Vault, NextFault, _ => weather.Latency(), Time);
    }

    /// <summary>What the destination really holds.</summary>
    public RememberingStore Vault { get; } = new();

    public IObjectStore Destination { get; }

    public SimulatedTime Time { get; } = new();

    public SimulatedDatabase Database { get; }

    public Witness Witness { get; }

    public string Folder { get; }

    /// <summary>Small, so that transactions of a few pages are giants.</summary>
    public int PartBytes { get; }

    /// <summary>What an outbox may hold; 0 where there is none.</summary>
    public long OutboxBytesMax => swarm.OutboxBytesMax;

    /// <summary>The last writer that said that it ended.</summary>
    public uint ReleasedEpoch { get; set; }

    public bool HasClockJumps => swarm.HasClockJumps;

    public bool Compacts => swarm.Compacts;

    /// <summary>Lives through one seed.</summary>
    public static SimulatedWorld Run(int seed, string folder, bool keepsTrace)
    {
        var world = new SimulatedWorld(seed, folder, keepsTrace);
        world.simulator.Run(world.RunAsync);
        return world;
    }

    public Random NextRandom() => new(random.Next());

    public ClaimRecord NewClaim() => new()
    {
        Host = "simulated",
        BootId = "boot",
        Pid = 1,
        StartTicks = 1,
        WriterId = $"{random.Next():x8}",
        Since = Time.GetUtcNow(),
        Version = "1.0",
    };

    /// <summary>The cache of the page table is a file: it outlives the process, and may be older than what it is used with.</summary>
    public void WriteCache(PageTableCache next)
    {
        if (swarm.CacheEvery > 0 && random.Next(swarm.CacheEvery) == 0)
        {
            cache = next;
        }
    }

    public PageTableCache? ReadCache() => cache;

    /// <summary>The log object that was stored with a position, past all trouble.</summary>
    public async Task<LogObject> ReadDirectlyAsync(uint branch, Position position)
    {
        var planner = new RestorePlanner(await VaultReading.OpenAsync(Vault.Memory, Name));
        return await planner.LogOfAsync(await planner.PointAsync(branch, position, default), default);
    }

    async Task RunAsync()
    {
        await MakeVaultAsync();
        StartWriter();
        await Task.WhenAll(CommitAsync(), TroubleAsync());
        weather.IsCalm = true;
        Witness.Note($"calm");
        await SettleAsync();
        isSettled = true;
        writers.ForEach(writer => writer.Process.Kill());
        writers.ForEach(writer => writer.LetGo());
    }

    Fault NextFault(StoreCall call)
    {
        var fault = weather.Next();
        Witness.Note($"{call.Number} {call.Operation} {call.Key} {fault}");
        return fault;
    }

    /// <summary>As a first start makes it, but with an identity from the seed.</summary>
    async Task MakeVaultAsync()
    {
        var id = new byte[16];
        random.NextBytes(id);
        var identity = new VaultIdentity
        {
            Source = Name,
            Kind = "sqlite",
            Path = Path,
            CreatedAt = Time.GetUtcNow(),
            PageSeed = $"{random.NextInt64():x16}",
        };
        using var writer = new ObjectWriter(VaultSecrets.Plain, FrameCompression.Default);
        var (bytes, _) = writer.Finish(
            new ObjectHeader { Kind = ObjectKind.Vault, VaultId = new Guid(id) },
            VaultJson.Write(identity, VaultJson.Default.VaultIdentity));
        await Vault.PutAsync($"{Name}/{VaultKeys.Identity}", bytes, default);
    }

    /// <summary>What the application does: bursts and pauses.</summary>
    async Task CommitAsync()
    {
        var burst = 0;
        for (var commits = random.Next(20, 150); commits > 0 && Time.Elapsed < until; commits--)
        {
            burst = burst > 0 ? burst - 1 : random.Next(3) == 0 ? random.Next(30) : 0;
            await Task.Delay(
                burst > 0 ? TimeSpan.FromMilliseconds(random.Next(6)) : (until - Time.Elapsed) * random.NextDouble() / (1 + (commits / 4)),
                Time);
            Database.Commit();
            Witness.Note($"commit {Database.State.Version}");
            if (random.Next(6) == 0)
            {
                Database.Checkpoint();
                Witness.Note($"checkpoint, {Database.Frames.Count} frames");
            }
        }
    }

    async Task TroubleAsync()
    {
        for (var i = random.Next(2, 10); i > 0 && Time.Elapsed < until; i--)
        {
            await Task.Delay((until - Time.Elapsed) * random.NextDouble() / i, Time);
            switch (random.Next(10))
            {
                case < 5 when writers.Count > 0:
                    Kill(writers[random.Next(writers.Count)]);
                    break;
                case < 6 when writers.Count > 0:
                    Witness.Note($"stop");
                    writers[random.Next(writers.Count)].Stop();
                    break;
                case < 7 when swarm.HasRivals && writers.Count == 1:
                    Witness.Note($"rival");
                    StartWriter();
                    break;
                case < 8 when swarm.HasPowerLoss:
                    Witness.Note($"power loss");
                    writers.ToList().ForEach(Kill);
                    Database.LosePower();
                    break;
                default:
                    MoveClock();
                    break;
            }
        }
    }

    void MoveClock()
    {
        if (swarm.HasClockJumps)
        {
            Time.WallOffset = random.Next(3) == 0 ? TimeSpan.Zero : TimeSpan.FromSeconds(random.Next(-7200, 7200));
            Witness.Note($"clock {Time.WallOffset}");
        }
    }

    void StartWriter()
    {
        // A rival is on another machine, with a disk of its own.
        var writer = new SimulatedWriter(this, new SimulatedProcess(simulator), writers.Count == 0 ? disk : new SimulatedDisk());
        writers.Add(writer);
        if (writers.Count > 1)
        {
            writers.ForEach(item => item.HadRival = true);
        }

        _ = WatchAsync(writer, latePuts);
    }

    /// <summary>A writer may end where it was asked to, or where another one took over; nothing else may end it.</summary>
    async Task WatchAsync(SimulatedWriter writer, int latePutsBefore)
    {
        try
        {
            await writer.Process.Start(writer.RunAsync);
            Witness.Note($"stopped");
        }
        catch (SalvorException e) when (e.Kind == FailureKind.Locked && (writer.HadRival || latePuts > latePutsBefore))
        {
            Witness.Note($"locked: {e.Message}");
        }
        catch (Exception e)
        {
            simulator.Fail(e);
        }

        End(writer);
    }

    void Kill(SimulatedWriter writer)
    {
        Witness.Note($"kill");
        if (swarm.HasLatePuts)
        {
            writer.Store.UnderWay.ForEach(put => _ = ArriveAsync(put.Key, put.Content));
        }

        End(writer);
    }

    void End(SimulatedWriter writer)
    {
        writer.Process.Kill();
        writer.LetGo();
        writers.Remove(writer);
        if (writers.Count == 0 && !isStarting)
        {
            isStarting = true;
            _ = StartLaterAsync();
        }
    }

    /// <summary>A put that was under way when its process died: it may take effect, at once or much later.</summary>
    async Task ArriveAsync(string key, byte[] content)
    {
        var late = random.Next(3);
        if (late == 0)
        {
            return;
        }

        if (late == 2)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(random.Next(60_000)), Time);
        }

        var result = await Vault.PutAsync(key, content, default);
        latePuts++;
        Witness.Note($"{key} arrived: {result}");
    }

    async Task StartLaterAsync()
    {
        await Task.Delay(TimeSpan.FromMilliseconds(random.Next(random.Next(3) == 0 ? 120_000 : 3000)), Time);
        isStarting = false;
        if (!isSettled)
        {
            StartWriter();
        }
    }

    /// <summary>Without trouble, one writer remains and makes all durable. Rivals notice each other at the next commit.</summary>
    async Task SettleAsync()
    {
        for (var since = Time.Elapsed; writers is not [{ IsCaughtUp: true }]; await Task.Delay(TimeSpan.FromSeconds(5), Time))
        {
            if (writers.Count > 1)
            {
                Database.Commit();
                Witness.Note($"commit {Database.State.Version}");
            }

            if (Time.Elapsed - since > SettledAfterAtMost)
            {
                throw new SimulationException("all is well for half an hour, and what is committed is not durable");
            }
        }
    }

    /// <summary>Which kinds of trouble a seed has.</summary>
    sealed record Swarm(
        bool HasGiants, bool HasRivals, bool HasPowerLoss, bool HasClockJumps, bool HasLatePuts, int CacheEvery, bool Compacts,
        long OutboxBytesMax)
    {
        public static Swarm Draw(Random random) => new(
            HasGiants: random.Next(2) == 0,
            HasRivals: random.Next(2) == 0,
            HasPowerLoss: random.Next(3) == 0,
            HasClockJumps: random.Next(3) == 0,
            HasLatePuts: random.Next(3) == 0,
            CacheEvery: random.Next(2) == 0 ? 0 : random.Next(1, 20),
            Compacts: random.Next(3) > 0,
            OutboxBytesMax: random.Next(4) switch { 0 => 0, 1 => random.Next(200_000), _ => 1 << 30 });
    }
}
