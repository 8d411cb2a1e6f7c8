using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Salvor.Platform;
using Salvor.Tests.Support;

namespace Salvor.Tests.Cli;

/// <summary>A rehearsed restore, as an operator and a timer see it.</summary>
public sealed class DrillTests : IAsyncDisposable
{
    const string Checks = "checks: [ { sql: SELECT count(*) FROM t, expect: \">= 2\" }, "
        + "{ command: \"sqlite3 {path} 'PRAGMA integrity_check;'\", expect: ok } ]";

    readonly CliRig _rig = new();

    public ValueTask DisposeAsync() => _rig.DisposeAsync();

    [Fact]
    public async Task A_drill_that_passes_leaves_a_record_a_history_and_nothing_else()
    {
        await BackUpAsync($"every: off, rto: 10m, rpo: 1d, max_age: 25h, max_shrink: 20%, {Checks}");

        // What a drill left that was killed.
        Directory.CreateDirectory(_rig["app/.salvor/drill-app"]);
        File.WriteAllText(_rig["app/.salvor/drill-app/app.db"], "half");

        var drill = await DrillAsync(0, "--report", "r.html", "--report", "r.md", "--report", "r.json");

        Assert.Matches("\nBackup verify: PASS \\(archive=app-[0-9]+, age=0h\\)\n$", drill.Stdout);
        Assert.Contains("sql: SELECT count(*) FROM t: 2\n", drill.Stdout, StringComparison.Ordinal);
        Assert.Equal(["app.db.drill.json", "app.db.drills.jsonl", "drill-app.lock"], Left());
        Assert.StartsWith("<!DOCTYPE html>", File.ReadAllText(_rig["r.html"]), StringComparison.Ordinal);
        Assert.StartsWith("# Restore drill of app: PASS\n", File.ReadAllText(_rig["r.md"]), StringComparison.Ordinal);
        Assert.True(JsonElement.Parse(File.ReadAllText(_rig["r.json"])).GetProperty("ok").GetBoolean());
        var passed = Record().GetProperty("last_passed_at").GetString();
        Assert.Equal(Record().GetProperty("finished_at").GetString(), passed);
        string[] phases = [.. Record().GetProperty("phases").EnumerateArray().Select(phase => phase.GetProperty("name").GetString()!)];
        Assert.Equal(["fetch", "apply", "check", "smoke"], phases);
        Assert.Equal(0, Record().GetProperty("rpo_seconds").GetDouble());

        // A table that shrinks is named again and again, until somebody says that it is right.
        await Tool.SqlAsync(_rig.Database, "DELETE FROM t WHERE x = 1; INSERT INTO t VALUES (3); DELETE FROM t WHERE x = 3;");
        Assert.Equal(0, (await _rig.ConfiguredAsync("backup")).ExitCode);
        for (var attempt = 0; attempt < 2; attempt++)
        {
            var shrunk = await DrillAsync(1);
            Assert.Contains("rows: table t went from 2 to 1 row(s)", shrunk.Stderr, StringComparison.Ordinal);
        }

        Assert.Equal(passed, Record().GetProperty("last_passed_at").GetString());
        var history = await _rig.ConfiguredAsync("drill", "--history", "--json");
        Assert.Equal(["FAIL", "FAIL", "PASS"], JsonElement.Parse(history.Stdout).GetProperty("drills").EnumerateArray()
            .Select(item => item.GetProperty("result").GetString()!));
        JsonTests.AssertDocument("drill-history", history);
    }

    [Fact]
    public async Task A_message_is_not_sent_on_to_where_its_server_points()
    {
        await BackUpAsync("every: off");
        await using var elsewhere = new HookServer();
        await using var pointing = new HookServer { Answer = _ => 302, Head = $"Location: {elsewhere.Url}/\r\n" };

        var stale = await DrillAsync(10, "--max-age", "1ms", "--webhook", $"{pointing.Url}/secret");

        Assert.Single(pointing.Hooks);
        Assert.Empty(elsewhere.Hooks);
        Assert.Contains("answered 302. hint: It sends on to another place, which is not followed", stale.Stderr, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_wrong_decides_the_exit_code_and_is_posted()
    {
        await BackUpAsync($"every: off, {Checks}");
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var posted = TakePostAsync(listener);
        var url = $"http://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}/secret";

        var stale = await DrillAsync(10, "--max-age", "1ms", "--webhook", url, "--json");
        JsonTests.AssertDocument("drill", stale);
        Assert.StartsWith("BACKUP VERIFY STALE: app on ", JsonElement.Parse(await posted).GetProperty("text").GetString());
        listener.Stop();

        await Tool.SqlAsync(_rig.Database, "DELETE FROM t WHERE x = 1");
        Assert.Equal(0, (await _rig.ConfiguredAsync("backup")).ExitCode);
        var failed = await DrillAsync(1, "--webhook", url, "--keep");
        Assert.Contains("salvor: app: sql \"SELECT count(*) FROM t\": 1, expected >= 2\n", failed.Stderr, StringComparison.Ordinal);
        Assert.Matches(@"warning: the message did not arrive: 127\.0\.0\.1:\d+ is not reached: .+\. hint: ", failed.Stderr);
        Assert.DoesNotContain("secret", failed.Stderr, StringComparison.Ordinal);
        var kept = failed.Stdout.Split('\n').Single(line => line.StartsWith("  kept: ", StringComparison.Ordinal))["  kept: ".Length..];
        Assert.Equal("2", await CliRig.RowsAsync(kept));

        foreach (var path in Directory.GetFiles(_rig["vaults/app/log"], "*", SearchOption.AllDirectories))
        {
            var bytes = await File.ReadAllBytesAsync(path);
            bytes[bytes.Length / 2] ^= 1;
            await File.WriteAllBytesAsync(path, bytes);
        }

        Assert.Contains(" is damaged: ", (await DrillAsync(5)).Stderr, StringComparison.Ordinal);
        Directory.Delete(_rig["vaults"], recursive: true);
        var gone = await DrillAsync(6);
        Assert.Contains("nothing is backed up yet of source app", gone.Stderr, StringComparison.Ordinal);
        Assert.EndsWith("Backup verify: FAIL (archive=none, age=unknown)\n", gone.Stdout, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_older_point_is_drilled_without_a_word_about_the_newest()
    {
        await BackUpAsync("every: off");
        var first = JsonElement.Parse((await _rig.ConfiguredAsync("list", "--json")).Stdout)
            .GetProperty("spans")[0].GetProperty("from").GetString()!;

        var older = await DrillAsync(0, "--timestamp", first, "--destination", "local");

        Assert.DoesNotContain("freshness", older.Stdout, StringComparison.Ordinal);
        Assert.False(File.Exists(_rig["app/.salvor/app.db.drill.json"]));
        Assert.True(File.Exists(_rig["app/.salvor/app.db.drills.jsonl"]));
        using (LockFile.Acquire(_rig["app/.salvor/drill-app.lock"], LockHolder.Current(DateTimeOffset.UnixEpoch, null, "1")))
        {
            await DrillAsync(7);
        }

        CliRig.AssertError(
            await _rig.ConfiguredAsync("drill", "--destination", "lokal"), 2, "source app does not go to a destination lokal",
            "Did you mean \"local\"? It goes to local.");
        CliRig.AssertError(
            await _rig.ConfiguredAsync("drill", "--report", "r.pdf"), 2, $"the report {_rig["r.pdf"]} has no known ending",
            "End its name with .md, .html, .json.");
    }

    [Fact]
    public async Task The_daemon_drills_by_itself()
    {
        await BackUpAsync("every: 1s, checks: [ { sql: SELECT count(*) FROM t, expect: 2 } ]");
        var daemon = await _rig.DaemonAsync("app", "healthy");

        await Eventually.HoldsAsync(
            () => File.Exists(_rig["app/.salvor/app.db.drill.json"]), () => daemon.Stderr, Eventually.StartMax);

        Assert.Equal("PASS", Record().GetProperty("result").GetString());
        await CliRig.StopAsync(daemon);
    }

    async Task BackUpAsync(string drill)
    {
        await _rig.CreateDatabaseAsync();
        await _rig.CommitAsync(2);
        Configure(drill);
        Assert.Equal(0, (await _rig.ConfiguredAsync("backup")).ExitCode);
    }

    void Configure(string drill) =>
        _rig.Configure($"app: {{ type: sqlite, path: ./app/app.db, to: [local], verify: off, drill: {{ {drill} }} }}");

    async Task<ProcessResult> DrillAsync(int exitCode, params string[] more)
    {
        var result = await _rig.ConfiguredAsync(["drill", .. more]);
        Assert.True(result.ExitCode == exitCode, $"not {exitCode}: {result}");
        return result;
    }

    JsonElement Record() => JsonElement.Parse(File.ReadAllText(_rig["app/.salvor/app.db.drill.json"]));

    string[] Left() => [.. Directory.GetFileSystemEntries(_rig["app/.salvor"], "*drill*").Select(path => Path.GetFileName(path)).Order()];

    /// <summary>The body of one request.</summary>
    static async Task<string> TakePostAsync(TcpListener listener)
    {
        using var client = await listener.AcceptTcpClientAsync();
        await using var stream = client.GetStream();
        var (text, buffer) = ("", new byte[4096]);
        while (!text.EndsWith('}'))
        {
            text += Encoding.UTF8.GetString(buffer, 0, await stream.ReadAsync(buffer));
        }

        await stream.WriteAsync("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"u8.ToArray());
        return text[text.IndexOf('{', StringComparison.Ordinal)..];
    }
}
