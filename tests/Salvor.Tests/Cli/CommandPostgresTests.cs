using System.Text.Json;
using Salvor.Tests.Support;

namespace Salvor.Tests.Cli;

/// <summary>A PostgreSQL server whose dumps are a source of <c>type: command</c>, and another one that gets them.</summary>
public sealed class CommandPostgresTests : IAsyncDisposable
{
    const string Fill =
        "CREATE TABLE notes(id int PRIMARY KEY, text text); "
            + "INSERT INTO notes SELECT i, md5(i::text) || ' ä\t\\' FROM generate_series(1, 20000) i; CREATE INDEX ON notes(text); "
            + "CREATE VIEW few AS SELECT * FROM notes WHERE id < 10; SELECT lo_from_bytea(4711, 'large'::bytea);";

    readonly CliRig _rig = new();
    readonly ScratchDirectory _scratch = new();

    public CommandPostgresTests() => Directory.CreateDirectory(_rig["vaults"]);

    public async ValueTask DisposeAsync()
    {
        await _rig.DisposeAsync();
        _scratch.Dispose();
    }

    [Fact]
    public async Task What_pg_dumpall_prints_is_brought_back_into_another_server()
    {
        await using var server = await PostgresServer.StartAsync(_scratch, "one");
        await using var other = await PostgresServer.StartAsync(_scratch, "other");
        await FillAsync(server);
        Configure(server, "pg_dumpall", "");
        var first = await _rig.ConfiguredAsync("backup", "--label", "first", "--verify", "--json");
        var before = await DumpAsync(server);
        await server.SqlAsync("UPDATE notes SET text = 'changed' WHERE id = 10000", "app");
        var second = await _rig.ConfiguredAsync("backup", "--json");
        var restored = await RestoreAsync(["--snapshot", "first", "--pipe", "--", "psql", "-Xq", .. At(other), "-d", "postgres"]);

        Assert.True(first.ExitCode == 0, $"{first}");
        Assert.True(restored.ExitCode == 0, $"{restored}");
        Assert.Contains("CREATE TABLE public.notes", before, StringComparison.Ordinal);
        Assert.Equal(before, await DumpAsync(other));
        Assert.Equal("large", await other.SqlAsync("SELECT convert_from(lo_get(4711), 'UTF8')", "app"));
        Assert.Equal("f", await other.SqlAsync("SELECT rolsuper FROM pg_roles WHERE rolname = 'keeper'"));
        Assert.True(AddedBy(second) < AddedBy(first) / 4, $"{second}");
    }

    [Fact]
    public async Task What_pg_dump_prints_is_brought_back_by_pg_restore_also_from_a_healed_copy_after_a_prune()
    {
        await using var server = await PostgresServer.StartAsync(_scratch, "one");
        await using var other = await PostgresServer.StartAsync(_scratch, "other");
        await FillAsync(server);
        Directory.CreateDirectory(_rig["offsite"]);
        Configure(server, "pg_dump", "-Fc, --create, -d, app, ", "max_backups: 1, ");
        await _rig.ConfiguredAsync("backup");
        await server.SqlAsync("DELETE FROM notes WHERE id % 2 = 0", "app");
        await _rig.ConfiguredAsync("backup");
        foreach (var pack in Directory.GetFiles(_rig["vaults/db/packs"]))
        {
            File.Delete(pack);
        }

        var damaged = await _rig.ConfiguredAsync("verify");
        var repaired = await _rig.ConfiguredAsync("repair", "db");
        var pruned = await _rig.ConfiguredAsync("prune", "--json");
        var verified = await _rig.ConfiguredAsync("verify", "--deep");
        var gone = await _rig.ConfiguredAsync("restore", "db", "--snapshot", "1", "--output", _rig["out"]);
        await other.SqlAsync("CREATE ROLE keeper LOGIN");
        Directory.Delete(_rig["offsite"], recursive: true);
        Directory.CreateDirectory(_rig["offsite"]);
        var restored = await RestoreAsync(["--pipe", "--", "pg_restore", .. At(other), "-d", "postgres", "--create"]);

        Assert.Equal(5, damaged.ExitCode);
        Assert.True(repaired.ExitCode == 0, $"{repaired}");
        Assert.True(JsonElement.Parse(pruned.Stdout).GetProperty("vaults")[0].GetProperty("condemned_objects").GetInt32() > 0, $"{pruned}");
        Assert.True(verified.ExitCode == 0, $"{verified}");
        CliRig.AssertError(gone, 6, $"vault {_rig["vaults"]}/db has no backup 1", "Its newest is 2; 'salvor list' shows all.");
        Assert.True(restored.ExitCode == 0, $"{restored}");
        Assert.Equal("10000", await other.SqlAsync("SELECT count(*) FROM notes", "app"));
        Assert.Equal(await DumpAsync(server), await DumpAsync(other));
    }

    static async Task FillAsync(PostgresServer server)
    {
        await server.SqlAsync("CREATE ROLE keeper LOGIN");
        await server.SqlAsync("CREATE DATABASE app OWNER keeper");
        await server.SqlAsync(Fill, "app");
    }

    /// <summary>What the database is, in the words of PostgreSQL's own program, but for a token that is another one each time.</summary>
    static async Task<string> DumpAsync(PostgresServer server)
    {
        var result = await PostgresServer.RunAsync("pg_dump", [.. At(server), "-d", "app", "--create"]);
        Assert.True(result.ExitCode == 0, $"{result}");
        return string.Join('\n', result.Stdout.Split('\n').Where(line => !line.StartsWith('\\')));
    }

    static string[] At(PostgresServer server) => ["-h", server.Folder, "-p", $"{server.Port}", "-U", "postgres"];

    void Configure(PostgresServer server, string program, string arguments, string more = "")
    {
        var command = $"[{PostgresServer.Programs}/{program}, {arguments}{string.Join(", ", At(server).Select(item => $"'{item}'"))}]";
        var offsite = Directory.Exists(_rig["offsite"]);
        _rig.Configure($"db: {{ type: command, command: {command}, {more}state_dir: ./state, to: [local{(offsite ? ", offsite" : "")}] }}");
        if (offsite)
        {
            var text = File.ReadAllText(_rig["salvor.yaml"]);
            File.WriteAllText(
                _rig["salvor.yaml"],
                text.Replace("sources:", "  offsite: { type: file, path: ./offsite }\nsources:", StringComparison.Ordinal));
        }
    }

    Task<ProcessResult> RestoreAsync(string[] arguments) => _rig.RunWithAsync(
        ["env", $"PATH={PostgresServer.Programs}:{Environment.GetEnvironmentVariable("PATH")}"],
        ["restore", "db", "--config", _rig["salvor.yaml"], .. arguments]);

    static long AddedBy(ProcessResult backup) => JsonElement.Parse(backup.Stdout).GetProperty("added_bytes").GetInt64();
}
