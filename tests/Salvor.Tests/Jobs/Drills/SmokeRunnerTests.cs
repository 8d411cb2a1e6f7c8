using System.Net;
using System.Net.Sockets;
using System.Text;
using Salvor.Jobs.Drills;
using Salvor.Jobs.Keys;
using Salvor.Tests.Support;

namespace Salvor.Tests.Jobs.Drills;

public sealed class SmokeRunnerTests : IDisposable
{
    static readonly TimeSpan Long = TimeSpan.FromMinutes(5);
    readonly ScratchDirectory _scratch = new();

    public void Dispose() => _scratch.Dispose();

    [Fact]
    public async Task A_statement_has_to_give_the_one_value_that_is_expected()
    {
        await CreateAsync();

        Assert.Equal((CheckOutcome.Pass, "3"), await AskAsync("SELECT count(*) FROM t", ">= 3"));
        Assert.Equal((CheckOutcome.Fail, "3"), await AskAsync("SELECT count(*) FROM t", "> 3"));
        Assert.Equal((CheckOutcome.Pass, "1"), await AskAsync("SELECT 1;", null));
        Assert.Equal((CheckOutcome.Fail, "no row"), await AskAsync("SELECT x FROM t WHERE x > 99", null));
        Assert.Equal((CheckOutcome.Fail, "1, and more rows"), await AskAsync("SELECT x FROM t", "1"));
        Assert.Equal((CheckOutcome.Pass, "NULL"), await AskAsync("SELECT max(x) FROM t WHERE x > 99", "NULL"));
        Assert.Equal((CheckOutcome.Fail, "no such table: users"), await AskAsync("SELECT * FROM users", null));
        Assert.Equal((CheckOutcome.Fail, "more than one statement: SELECT 2"), await AskAsync("SELECT 1; SELECT 2", "1"));
        var (outcome, found) = await AskAsync("DELETE FROM t", null);
        Assert.Equal((CheckOutcome.Fail, "attempt to write a readonly database"), (outcome, found));
    }

    [Fact]
    public async Task A_statement_that_does_not_end_is_stopped()
    {
        await CreateAsync();
        const string Endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c";

        var check = await RunAsync(new SmokeCheck.Sql("endless", TimeSpan.FromMilliseconds(50), new SecretText(Endless), null));

        Assert.Equal((CheckOutcome.Fail, "not done after 50ms"), (check.Outcome, check.Found));
    }

    [Fact]
    public async Task A_command_gets_the_restored_file_and_is_judged_by_how_it_ends_and_what_it_prints()
    {
        await CreateAsync();

        var sound = await ExecuteAsync("sqlite3 {path} 'PRAGMA integrity_check;'", "ok");
        Assert.Equal((CheckOutcome.Pass, "ok", ""), (sound.Outcome, sound.Found, sound.Output));
        var other = await ExecuteAsync("echo bad", "ok");
        Assert.Equal((CheckOutcome.Fail, "bad", "bad"), (other.Outcome, other.Found, other.Output));
        var failed = await ExecuteAsync("echo told >&2; exit 3", null);
        Assert.Equal((CheckOutcome.Fail, "exit code 3", "told"), (failed.Outcome, failed.Found, failed.Output));
        var much = await ExecuteAsync("seq 1 100000; exit 1", null);
        Assert.EndsWith("99999\n100000", much.Output, StringComparison.Ordinal);
        Assert.InRange(much.Output.Length, 4_000, 5_000);
        var endless = await RunAsync(new SmokeCheck.Command(
            "endless", TimeSpan.FromMilliseconds(300), new SecretText("sleep 600 & sleep 600"), null));
        Assert.Equal((CheckOutcome.Fail, "not done after 300ms"), (endless.Outcome, endless.Found));
    }

    [Fact]
    public async Task A_page_is_judged_by_its_status_and_text_and_a_redirection_is_another_page()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var url = $"http://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}/health";
        _ = AnswerAsync(listener, 11, "200 OK", "500 Broken", "302 Found\r\nLocation: /login", "200 OK");

        Assert.Equal((CheckOutcome.Pass, "status 200"), await FetchAsync(url, 200, "fine"));
        Assert.Equal((CheckOutcome.Fail, "status 500"), await FetchAsync(url, 200, null));
        Assert.Equal((CheckOutcome.Fail, "status 302"), await FetchAsync(url, 200, null));
        Assert.Equal((CheckOutcome.Fail, "status 200 without that text"), await FetchAsync(url, 200, "great"));
        listener.Stop();
        var (outcome, found) = await FetchAsync(url, 200, null);
        Assert.Equal(CheckOutcome.Fail, outcome);
        Assert.Contains("refused", found, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task A_page_that_is_cut_off_is_a_check_that_failed()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        _ = AnswerAsync(listener, 99, "200 OK");

        var (outcome, found) = await FetchAsync($"http://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}/health", 200, "fine");

        Assert.Equal(CheckOutcome.Fail, outcome);
        Assert.StartsWith("The response ended prematurely", found, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_is_looked_for_among_those_that_were_restored_and_links_lead_nowhere_else()
    {
        var live = _scratch["live"];
        Directory.CreateDirectory($"{live}/sub");
        File.WriteAllText($"{live}/lost", "on the live disk");
        var restored = _scratch["a b.db"];
        var app = restored + live;
        Directory.CreateDirectory($"{app}/sub");
        File.WriteAllText($"{app}/file", "content");
        File.WriteAllText($"{app}/empty", "");
        File.CreateSymbolicLink($"{app}/good", $"{live}/file");
        File.CreateSymbolicLink($"{app}/sub/near", "../file");
        File.CreateSymbolicLink($"{app}/above", $"../../../../../../../../../../..{live}/lost");
        File.CreateSymbolicLink($"{app}/bad", $"{live}/lost");
        Directory.CreateSymbolicLink($"{app}/folder", $"{live}/sub");
        Directory.CreateSymbolicLink($"{app}/outside", live);
        File.CreateSymbolicLink($"{app}/round", "round");
        File.CreateSymbolicLink($"{app}/long", new string('x', 300));

        Assert.Equal((CheckOutcome.Pass, "7 B"), await LookAsync($"{live}/file"));
        Assert.Equal((CheckOutcome.Pass, "7 B"), await LookAsync($"{live}/good"));
        Assert.Equal((CheckOutcome.Pass, "7 B"), await LookAsync($"{live}/folder/near"));
        Assert.Equal((CheckOutcome.Pass, "a directory"), await LookAsync($"{live}/folder/"));
        Assert.Equal((CheckOutcome.Fail, "an empty file"), await LookAsync($"{live}/empty"));
        Assert.Equal((CheckOutcome.Fail, "nothing"), await LookAsync($"{live}/lost"));
        Assert.Equal((CheckOutcome.Fail, "nothing"), await LookAsync($"{live}/file/more"));
        Assert.Equal(
            (CheckOutcome.Fail, $"a link to {live}/lost, which is not among what was restored"), await LookAsync($"{live}/bad"));
        Assert.Equal(CheckOutcome.Fail, (await LookAsync($"{live}/above")).Outcome);
        Assert.Equal(CheckOutcome.Fail, (await LookAsync($"{live}/outside/lost")).Outcome);
        Assert.Equal(CheckOutcome.Fail, (await LookAsync($"{live}/round")).Outcome);
        Assert.Equal(CheckOutcome.Fail, (await LookAsync($"{live}/long")).Outcome);
    }

    async Task<(CheckOutcome Outcome, string Found)> LookAsync(string file)
    {
        var check = await RunAsync(new SmokeCheck.Exists("check", Long, file));
        return (check.Outcome, check.Found);
    }

    static async Task AnswerAsync(TcpListener listener, int length, params string[] answers)
    {
        foreach (var answer in answers)
        {
            using var client = await listener.AcceptTcpClientAsync();
            await using var stream = client.GetStream();
            _ = await stream.ReadAsync(new byte[4096]);
            await stream.WriteAsync(Encoding.ASCII.GetBytes(
                $"HTTP/1.1 {answer}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\nall is fine"));
        }
    }

    Task CreateAsync() => Tool.SqlAsync(_scratch["a b.db"], "CREATE TABLE t(x); INSERT INTO t VALUES (1), (2), (3);");

    async Task<(CheckOutcome Outcome, string Found)> AskAsync(string sql, string? expect)
    {
        var check = await RunAsync(
            new SmokeCheck.Sql("check", Long, new SecretText(sql), expect is null ? null : Expectation.TryParse(expect)));
        return (check.Outcome, check.Found);
    }

    Task<DrillCheck> ExecuteAsync(string line, string? expect) => RunAsync(
        new SmokeCheck.Command("check", Long, new SecretText(line), expect is null ? null : Expectation.TryParse(expect)));

    async Task<(CheckOutcome Outcome, string Found)> FetchAsync(string url, int status, string? contains)
    {
        var check = await RunAsync(new SmokeCheck.Url("check", Long, new SecretText(url), status, contains));
        return (check.Outcome, check.Found);
    }

    Task<DrillCheck> RunAsync(SmokeCheck check) =>
        new SmokeRunner(SmokeSubject.Database(_scratch["a b.db"]), TimeProvider.System)
            .RunAsync(check, TestContext.Current.CancellationToken);
}
