using System.Text.Json;
using System.Text.RegularExpressions;
using Salvor.Tests.Support;
using Salvor.Tests.Tidy;
using Salvor.Vault.Wal;

namespace Salvor.Tests.Jobs.Clusters;

/// <summary>What <c>docs/postgres.md</c> says is what happens, with a real server, and the paths and ports of a test.</summary>
public sealed partial class ClusterDocumentTests : IDisposable
{
    static readonly TimeSpan BlockMax = TimeSpan.FromMinutes(3);

    readonly ScratchDirectory scratch = new();

    static CancellationToken Cancel => TestContext.Current.CancellationToken;

    string Folder => scratch["work"];

    public void Dispose() => scratch.Dispose();

    [Fact]
    public async Task Every_block_runs_as_written()
    {
        // What only servers from version 17 on know, where one of them may not be installed, is set by the tests of such backups.
        var blocks = Block().Matches(Checkout.Read("docs/postgres.md")).Select(match => match.Groups["text"].Value)
            .Where(block => !block.StartsWith("ALTER SYSTEM SET summarize_wal", StringComparison.Ordinal)).ToArray();
        string[] begins =
        [
            "destinations:", "salvor daemon", "  pg-settings:", "salvor list", "pg_ctl", "salvor verify", "    drill:", "archive_mode",
            "restore_command",
        ];
        Assert.Equal(begins, blocks.Select((block, i) => i < begins.Length && block.StartsWith(begins[i], StringComparison.Ordinal)
            ? begins[i] : block));
        await using var server = await PostgresServer.CreateAsync(scratch);
        await using var copy = await PostgresServer.AtAsync(scratch, "copy");
        await PrepareAsync();
        string At(int block) => Real(blocks[block], server, copy.Port);

        await server.ConfigureAsync($"unix_socket_directories = '{server.Folder}'", At(7));
        await server.StartAsync();
        await server.SqlAsync("create database app");
        await server.SqlAsync("create table orders as select i from generate_series(1, 1000) i", "app");

        // The first protection: a configuration of five lines, and a daemon.
        await File.WriteAllTextAsync(Path.Combine(Folder, "salvor.yaml"), At(0) + At(2), Cancel);
        var lines = At(1).Split('\n', 2);
        await using var daemon = Start(server, $"exec {lines[0]}");
        await HoldsAsync(server, "salvor status pg", result => result.Stdout.StartsWith("pg  healthy", StringComparison.Ordinal));
        await RunAsync(server, lines[1]);
        await RunAsync(server, "salvor backup pg-settings");

        // A table was dropped.
        await server.SqlAsync("insert into orders values (1001)", "app");
        var moment = await server.SqlAsync("select to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS.US')");
        await server.SqlAsync("drop table orders", "app");
        await StoredAsync(server);
        await RunAsync(server, At(3).Replace("2026-08-01 10:29:59", moment, StringComparison.Ordinal));
        Assert.Equal("1001", await server.SqlAsync("select count(*) from orders", "app"));

        // The same copy is brought to that moment once more, over what it has become.
        string Sql(string sql) => $"psql -XAtq -p {copy.Port} -d app -c '{sql}'";
        await RunAsync(server, $"pg_ctl -D {Folder}/srv/restored -l {Folder}/log -o '-p {copy.Port}' -w start; {Sql("drop table orders")}");
        await RunAsync(server, At(4).Replace("2026-08-01 10:29:59", moment, StringComparison.Ordinal));
        Assert.Equal("1001\n", (await RunAsync(server, Sql("select count(*) from orders"))).Stdout);
        await RunAsync(server, $"pg_ctl -D {Folder}/srv/restored -m fast -w stop");

        // Proofs.
        await StoredAsync(server);
        Assert.Contains("recovered to ", (await RunAsync(server, At(5))).Stdout, StringComparison.Ordinal);
        var drilled = OneLine().Replace(At(0), "  pg:\n    type: postgres\n    ${connection}\n    to: [local]") + At(6);
        await File.WriteAllTextAsync(Path.Combine(Folder, "drilled.yaml"), drilled, Cancel);
        await RunAsync(server, "salvor drill pg --config drilled.yaml");

        // The server archives, and a copy asks for what it archived.
        var last = await server.SqlAsync("select pg_walfile_name(pg_switch_wal())");
        await Eventually.HoldsAsync(
            async () => string.CompareOrdinal(await server.SqlAsync("select last_archived_wal from pg_stat_archiver"), last) >= 0,
            () => server.Log, Eventually.StartMax);
        daemon.Send(Signal.Terminate);
        await daemon.ExitAsync(BlockMax);
        await server.StopAsync();
        await RunAsync(server, $"salvor restore pg --output {copy.Data}");
        Directory.Delete(Path.Combine(copy.Data, "salvor_recovery"), recursive: true);
        await File.AppendAllTextAsync(Path.Combine(copy.Data, "postgresql.auto.conf"), At(8), Cancel);
        await copy.StartAsync();
        await Eventually.HoldsAsync(
            async () => await copy.SqlAsync("select pg_is_in_recovery()") == "f", () => copy.Log, Eventually.StartMax);
        Assert.Contains("restored log file", copy.Log, StringComparison.Ordinal);
        Assert.Equal("1001", await copy.SqlAsync("select count(*) from orders", "app"));
    }

    /// <summary>A block with what is of this machine in place of what it names.</summary>
    string Real(string block, PostgresServer server, int port) => block
        .Replace("/var/run/postgresql", server.Folder, StringComparison.Ordinal)
        .Replace("/etc/salvor/salvor.yaml", $"{Folder}/salvor.yaml", StringComparison.Ordinal)
        .Replace("/etc/postgresql", $"{Folder}/etc", StringComparison.Ordinal)
        .Replace("/srv/", $"{Folder}/srv/", StringComparison.Ordinal)
        .Replace("'salvor wal-", $"'{Folder}/salvor wal-", StringComparison.Ordinal)
        .Replace("5433", $"{port}", StringComparison.Ordinal);

    async Task PrepareAsync()
    {
        scratch.Subdirectory("work");
        foreach (var name in (string[])["srv", "srv/backups", "etc"])
        {
            Directory.CreateDirectory(Path.Combine(Folder, name));
        }

        await File.WriteAllTextAsync(Path.Combine(Folder, "etc/postgresql.conf"), "# settings\n", Cancel);
        var salvor = Path.Combine(Folder, "salvor");
        await File.WriteAllTextAsync(salvor, $"#!/bin/sh\nexec {string.Join(' ', SalvorProcess.CommandLine)} \"$@\"\n", Cancel);
        File.SetUnixFileMode(salvor, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        await PostgresServer.OwnAsync(Folder);
    }

    /// <summary>A shell of the user of the server, who finds Salvor, the programs of PostgreSQL and that server.</summary>
    ChildProcess Start(PostgresServer server, string script)
    {
        string[] user = Environment.IsPrivilegedProcess ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] : [];
        string[] command =
        [
            .. user, "env", $"HOME={Folder}", $"PATH={Folder}:{PostgresServer.Programs}:{Environment.GetEnvironmentVariable("PATH")}",
            $"PGHOST={server.Folder}", $"PGPORT={server.Port}", "PGUSER=postgres", $"SALVOR_CONFIG={Folder}/salvor.yaml", "sh", "-euc",
            script,
        ];
        return ChildProcess.Start(command[0], command[1..], Folder);
    }

    async Task<ProcessResult> RunAsync(PostgresServer server, string script)
    {
        await using var shell = Start(server, script);
        var result = await shell.ExitAsync(BlockMax);
        Assert.True(result.ExitCode == 0, $"{script}\n{result}");
        return result;
    }

    async Task HoldsAsync(PostgresServer server, string script, Predicate<ProcessResult> isMeant)
    {
        ProcessResult? last = null;
        await Eventually.HoldsAsync(
            async () =>
            {
                await using var shell = Start(server, script);
                return isMeant(last = await shell.ExitAsync(BlockMax));
            },
            () => $"{last}", BlockMax);
    }

    /// <summary>Until all that the server has is in the vault.</summary>
    async Task StoredAsync(PostgresServer server)
    {
        Assert.True(Lsn.TryParse(await server.SqlAsync("select pg_current_wal_flush_lsn()"), out var end));
        await HoldsAsync(server, "salvor status pg --json", result =>
        {
            using var status = JsonDocument.Parse(result.Stdout);
            var published = status.RootElement.GetProperty("sources")[0].GetProperty("follow").GetProperty("published").GetString();
            return Lsn.TryParse(published, out var at) && at >= end;
        });
    }

    [GeneratedRegex(@"^```(yaml)?\n(?<text>[\s\S]*?)^```\n", RegexOptions.Multiline)]
    private static partial Regex Block();

    [GeneratedRegex(@"^  pg: \{ type: postgres, (?<connection>connection: ""[^""]*""), to: \[local\] \}", RegexOptions.Multiline)]
    private static partial Regex OneLine();
}
