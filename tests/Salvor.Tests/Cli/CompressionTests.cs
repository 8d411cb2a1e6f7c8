using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault.Format;

namespace Salvor.Tests.Cli;

public sealed class CompressionTests : IAsyncDisposable
{
    readonly CliRig _rig = new();

    public ValueTask DisposeAsync() => _rig.DisposeAsync();

    [Fact]
    public async Task A_backup_says_how_what_it_stores_is_compressed_also_to_who_replicates()
    {
        await CreateAsync();
        await _rig.ReplicateAsync("--compression", "none");
        Assert.Equal([Codec.None], await CodecsAsync("packs/"));
        await ChangeAsync();
        await _rig.ExpectAsync(0, "backup", _rig.Database, "--compression", "gzip:9", "--verify");
        await ChangeAsync();
        await _rig.ExpectAsync(0, "backup", _rig.Database, "--verify");

        Assert.Equal([Codec.Gzip], (await CodecsAsync("packs/")).Except([Codec.None]));
        Assert.Equal([Codec.None], await CodecsAsync("log/"));
    }

    [Fact]
    public async Task The_configuration_says_it_for_a_source_and_a_backup_for_itself()
    {
        await CreateAsync();
        _rig.Configure(CliRig.Source("app", "./app/app.db").Replace("to:", "compression: { codec: lz4 }, to:"));
        var first = await _rig.ConfiguredAsync("backup", "app", "--verify");
        Assert.True(first.ExitCode == 0, $"{first}");
        Assert.Equal([Codec.Lz4], (await CodecsAsync("")).Except([Codec.None]));

        await ChangeAsync();
        var second = await _rig.ConfiguredAsync("backup", "app", "--compression", "zstd:3", "--verify");
        Assert.True(second.ExitCode == 0, $"{second}");
        Assert.Equal([Codec.Zstd, Codec.Lz4], (await CodecsAsync("packs/")).Except([Codec.None]));
    }

    [Theory]
    [InlineData("replicate", "app/app.db", "vaults")]
    [InlineData("backup", "app/app.db")]
    public async Task A_codec_that_there_is_not_is_named(params string[] command)
    {
        await _rig.CreateDatabaseAsync();

        CliRig.AssertError(
            await _rig.RunAsync([.. command, "--compression", "gzipp"]),
            2,
            "'--compression gzipp': \"gzipp\" is not a codec",
            "Did you mean \"gzip\"? Known are zstd, lz4, gzip and none, with a level as in zstd:3.");
        CliRig.AssertError(
            await _rig.RunAsync([.. command, "--compression", "lz4:3"]),
            2,
            "'--compression lz4:3': lz4 has no levels",
            "Leave the level out, or use another codec, as in zstd:3.");
        Assert.False(Directory.Exists(_rig["vaults"]));
    }

    [Fact]
    public async Task Without_the_library_lz4_is_refused_by_name_and_everything_else_works()
    {
        await CreateAsync();
        await CliRig.StopAsync(await _rig.ReplicateAsync("--compression", "lz4"));

        var (message, hint) = (
            "liblz4.so.1 is not installed, and frames compressed with lz4 need it",
            "Install it: 'apt-get install liblz4-1', or what your system calls it. All other codecs do without.");
        CliRig.AssertError(await WithoutLz4Async("restore", "--from", "vaults", "--output", "x.db"), 1, message, hint);
        CliRig.AssertError(await WithoutLz4Async("replicate", "app/app.db", "other", "--compression", "lz4"), 1, message, hint);
        Assert.False(Directory.Exists(_rig["other"]));
        _rig.Configure(CliRig.Source("app", "./app/app.db"));
        File.Delete(_rig["x.db"]);
        Directory.Delete(_rig["vaults"], recursive: true);
        File.Delete(_rig["app/.salvor/app.db.vault.json"]);
        var backup = await WithoutLz4Async("backup", "app", "--verify", "--config", "salvor.yaml");
        Assert.True(backup.ExitCode == 0, $"{backup}");
    }

    /// <summary>In a namespace of its own in which nothing is where the library was.</summary>
    async Task<ProcessResult> WithoutLz4Async(params string[] arguments)
    {
        const string Script = """
            for library in $(find /usr/lib /lib -name 'liblz4.so.1*' 2> /dev/null); do mount --bind /dev/null "$library"; done
            cd "$1"; shift; exec "$@"
            """;
        string[] command = ["bash", "-c", Script, "bash", _rig.Folder, .. SalvorProcess.CommandLine, .. arguments];
        await using var process = ChildProcess.Start("unshare", ["--map-root-user", "--mount", .. command]);
        return await process.ExitAsync();
    }

    /// <summary>What compresses by any codec, and is not all in the tree's top.</summary>
    Task CreateAsync() => Tool.SqlAsync(
        _rig.Database,
        """
        PRAGMA journal_mode = WAL;
        CREATE TABLE t(x, y);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) INSERT INTO t SELECT i, 'row ' || i FROM n;
        """);

    Task ChangeAsync() => Tool.SqlAsync(_rig.Database, "UPDATE t SET y = y || ' again'");

    Task<IEnumerable<Codec>> CodecsAsync(string prefix) => Compressions.FoundAsync(new FileStore(_rig["vaults"]), $"app/{prefix}");
}
