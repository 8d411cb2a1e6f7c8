using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Jobs.Doctor;
using Salvor.Storage;
using Salvor.Storage.S3;
using Salvor.Storage.Sftp;
using Salvor.Tests.Support;

namespace Salvor.Tests.Jobs.Doctor;

public sealed class DestinationChecksTests : IDisposable
{
    static readonly DateTimeOffset Now = new(2026, 8, 1, 10, 30, 0, TimeSpan.Zero);

    readonly DoctorRig rig = new();

    public void Dispose() => rig.Dispose();

    [Fact]
    public async Task A_folder_takes_every_call_and_is_left_as_it_was()
    {
        await new FileStore(rig["vaults"]).PutAsync("app/some", new byte[1], default);

        var facts = await GatherAsync();

        Assert.Equal(CheckLevel.Ok, DoctorRig.Find(Judge(facts), "destination", "put, get, list and delete work").Level);
        Assert.Equal(CheckLevel.Ok, DoctorRig.Find(Judge(facts), "destination", "its clock agrees with ours").Level);
        Assert.True(facts.Probe!.CreatesOnce);
        Assert.Equal([rig["vaults/app"]], Directory.GetFileSystemEntries(rig["vaults"]));
    }

    [Fact]
    public async Task A_folder_that_is_not_there_is_told_and_not_made()
    {
        Directory.Delete(rig["vaults"]);

        DoctorRig.AssertFound(
            Judge(await GatherAsync()), CheckLevel.Warn, "destination", "the directory is not there, and will be made", rig["vaults"],
            $"mkdir -p -m 700 {rig["vaults"]}");
        Assert.False(Directory.Exists(rig["vaults"]));
    }

    [Fact]
    public async Task A_file_in_place_of_a_folder_fails()
    {
        Directory.Delete(rig["vaults"]);
        File.WriteAllText(rig["vaults"], "");

        DoctorRig.AssertFound(
            Judge(await GatherAsync()), CheckLevel.Fail, "destination", "it cannot be used", "is not a directory",
            "Give the path of a directory", FailureKind.DestinationUnreachable);
    }

    [Fact]
    public async Task A_disk_that_is_read_only_refuses_put_and_says_so()
    {
        using var mount = TemporaryMount.OfOneMebibyte(rig["vaults"]);
        mount.MakeReadOnly();

        var checks = Judge(await GatherAsync());

        DoctorRig.AssertFound(
            checks, CheckLevel.Fail, "destination", "put is refused", "read-only file system", "Mount it writable",
            FailureKind.DestinationUnreachable);
        DoctorRig.AssertFound(
            checks, CheckLevel.Fail, "destination", "its disk is full", "1 MiB free", "df -h", FailureKind.DestinationUnreachable);
    }

    [Theory]
    [InlineData("put")]
    [InlineData("get")]
    [InlineData("list")]
    public async Task A_call_that_is_refused_is_named(string verb)
    {
        var probe = await ProbeAsync(new OddStore(new MemoryStore()) { Denied = verb });

        DoctorRig.AssertFound(
            Judge(Facts(probe)), CheckLevel.Fail, "destination", $"{verb} is refused", "it may not", "Let it.",
            FailureKind.DestinationUnreachable);
    }

    [Fact]
    public async Task A_destination_that_refuses_to_delete_only_grows_and_that_is_well()
    {
        var store = new MemoryStore();
        var probe = await ProbeAsync(new OddStore(store) { Denied = "delete" });

        var check = DoctorRig.Find(Judge(Facts(probe)), "destination", "put, get and list work; delete is refused: it only grows");

        Assert.Equal(CheckLevel.Ok, check.Level);
        Assert.Contains("the probe object of one byte stays", check.Detail, StringComparison.Ordinal);
        Assert.Single(await store.ListAsync("", null, default).ToListAsync());
    }

    [Fact]
    public async Task A_destination_that_replaces_objects_fails()
    {
        var store = new MemoryStore();
        var probe = await ProbeAsync(new OddStore(store) { Replaces = true });

        DoctorRig.AssertFound(
            Judge(Facts(probe)), CheckLevel.Fail, "destination", "it replaces objects that exist", "two writers would overwrite",
            "salvor bench destination local", FailureKind.DestinationUnreachable);
        Assert.Empty(await store.ListAsync("", null, default).ToListAsync());
    }

    [Fact]
    public async Task What_fails_in_the_middle_leaves_no_object()
    {
        var store = new MemoryStore();

        await Assert.ThrowsAsync<StorageException>(() => ProbeAsync(new OddStore(store) { Broken = "list" }));

        Assert.Empty(await store.ListAsync("", null, default).ToListAsync());
    }

    [Theory]
    [InlineData(600, "its clock is ahead of ours", "by 10m")]
    [InlineData(-600, "its clock is behind ours", "by 10m")]
    public void A_clock_that_is_off_is_told(int seconds, string what, string detail) => DoctorRig.AssertFound(
        Judge(Facts(Probed(Now.AddSeconds(seconds)))), CheckLevel.Warn, "destination", what, detail, "timedatectl set-ntp true");

    [Fact]
    public void A_destination_that_does_not_tell_the_time_is_unknown() => Assert.False(
        DoctorRig.Find(Judge(Facts(Probed(null))), "destination", "whether its clock agrees with ours").Known);

    [Fact]
    public void A_slow_destination_is_told() => DoctorRig.AssertFound(
        Judge(Facts(Probed(Now) with { PutTime = TimeSpan.FromSeconds(3) })), CheckLevel.Warn, "destination", "it is slow",
        "a put of one byte took 3.0 s", "salvor bench destination local");

    [Fact]
    public void A_disk_with_less_room_than_the_databases_is_told() => DoctorRig.AssertFound(
        DestinationChecks.Judge(Facts(Probed(Now)) with { FreeBytes = 1 << 30 }, databaseBytes: 2L << 30), CheckLevel.Warn, "destination",
        "its disk is nearly full", "1 GiB free for databases of 2 GiB", "df -h");

    [Fact]
    public void Plain_http_to_another_machine_is_told()
    {
        var options = new S3Options { Bucket = "acme", Endpoint = "http://backup.example", AllowInsecure = true };
        var facts = Facts(Probed(Now)) with { Config = new S3DestinationConfig { Name = "far", Options = options } };

        DoctorRig.AssertFound(
            Judge(facts), CheckLevel.Warn, "destination", "everything travels in clear", "http://backup.example is plain http",
            "Use https");
        Assert.True(facts.IsRemote);
        Assert.Null((facts with
        {
            Config = new S3DestinationConfig { Name = "near", Options = options with { Endpoint = "http://127.0.0.1:9000" } },
        }).PlainHttp);
    }

    [Fact]
    public void A_server_of_sftp_that_is_allowed_to_be_weak_is_told() => DoctorRig.AssertFound(
        Judge(Facts(Probed(Now)) with
        {
            Config = new SftpDestinationConfig { Name = "nas", Options = new SftpOptions { Host = "nas", Path = "/x", AllowWeak = true } },
        }),
        CheckLevel.Warn, "destination", "the server may break two promises", "survives a loss of power", "remove 'allow_weak'");

    [Fact]
    public async Task Nobody_waits_for_a_destination_that_does_not_answer()
    {
        using var late = new CancellationTokenSource();
        await late.CancelAsync();

        var facts = await DestinationFacts.GatherAsync(
            Folder(), TimeProvider.System, new Random(1), TimeSpan.FromSeconds(8), late.Token);

        DoctorRig.AssertFound(
            Judge(facts), CheckLevel.Fail, "destination", "it cannot be used",
            $"destination local ({rig["vaults"]}) did not answer within 8 s", "Check the network between",
            FailureKind.DestinationUnreachable);
    }

    [Fact]
    public async Task A_probe_says_whether_copies_can_be_destroyed()
    {
        Directory.CreateDirectory(rig["vaults"]);
        var facts = await (await GatherAsync()).TamperAsync(TimeProvider.System, new Random(1), TestContext.Current.CancellationToken);
        DoctorRig.AssertFound(
            Judge(facts), CheckLevel.Warn, "destination", "copies can be deleted by whoever has these credentials",
            "nothing there withstands a deletion", "docs/immutability.md");

        TamperStep[] steps = [new("delete its version", false, "was allowed")];
        var broken = facts with { Tamper = new TamperReport("s3://acme", true, false, "copies can be deleted", steps) };
        DoctorRig.AssertFound(
            Judge(broken), CheckLevel.Fail, "destination", "copies can be deleted", "delete its version: was allowed",
            "docs/immutability.md", FailureKind.Failure);

        var held = facts with { Tamper = new TamperReport("s3://acme", true, true, "nobody can delete", []) };
        Assert.Contains(Judge(held), check => check is { Level: CheckLevel.Ok, What: "nobody can delete" });

        var late = facts with { Tamper = null, TamperFailure = new SalvorException(FailureKind.TimedOut, "it took too long", "Try it.") };
        Assert.Contains(Judge(late), check => check is { Level: CheckLevel.Warn, Known: false, What: "whether copies can be destroyed" });
    }

    static Task<ProbeResult> ProbeAsync(IObjectStore store) =>
        DestinationProbe.RunAsync(store, DestinationProbe.NewKey(new Random(1)), TimeProvider.System, default);

    static ProbeResult Probed(DateTimeOffset? storedAt) => new()
    {
        Refused = [], CreatesOnce = true, StoredAt = storedAt, PutAt = (Now, Now),
    };

    static IReadOnlyList<Check> Judge(DestinationFacts facts) => DestinationChecks.Judge(facts, databaseBytes: 0);

    FileDestinationConfig Folder() => new() { Name = "local", Path = rig["vaults"] };

    DestinationFacts Facts(ProbeResult probe) => new() { Config = Folder(), Probe = probe };

    Task<DestinationFacts> GatherAsync() => DestinationFacts.GatherAsync(
        Folder(), TimeProvider.System, new Random(1), TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken);

    sealed class OddStore(IObjectStore inner) : ForwardingStore(inner), IObjectStore
    {
        readonly IObjectStore inner = inner;

        public string Denied { get; init; } = "";

        public string Broken { get; init; } = "";

        public bool Replaces { get; init; }

        public override async Task<PutResult> PutAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
        {
            Expect("put");
            if (!Replaces)
            {
                return await base.PutAsync(key, content, cancellationToken);
            }

            await ReplaceAsync(key, content, cancellationToken);
            return PutResult.Created;
        }

        Task<int> IObjectStore.ReadAsync(string key, long offset, Memory<byte> buffer, CancellationToken cancellationToken)
        {
            Expect("get");
            return inner.ReadAsync(key, offset, buffer, cancellationToken);
        }

        public override IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, string? after, CancellationToken cancellationToken)
        {
            Expect("list");
            return base.ListAsync(prefix, after, cancellationToken);
        }

        public override Task DeleteAsync(string key, CancellationToken cancellationToken)
        {
            Expect("delete");
            return base.DeleteAsync(key, cancellationToken);
        }

        void Expect(string verb)
        {
            if (verb == Denied || verb == Broken)
            {
                throw new StorageException(
                    verb == Denied ? StorageFailure.Denied : StorageFailure.Unreachable, "it may not", "Let it.");
            }
        }
    }
}
