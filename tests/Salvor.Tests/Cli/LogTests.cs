using System.Text.Json;
using Microsoft.Extensions.Logging;
using Salvor.Cli.Terminal;
using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Platform;
using Salvor.Sqlite;
using Salvor.Tests.Support;

namespace Salvor.Tests.Cli;

public sealed class LogTests : IAsyncDisposable
{
    readonly CliRig _rig = new();

    public ValueTask DisposeAsync() => _rig.DisposeAsync();

    [Fact]
    public void A_line_of_text_has_a_time_a_level_and_the_message() =>
        Assert.Equal(
            "2026-08-01T10:30:00Z warning app: it is slow; trying again. hint: Wait.\n",
            Printed(LogFormat.Text, isJournal: false, log => log.DestinationFailed("app", "it is slow", "Wait.")));

    [Fact]
    public void A_line_for_the_journal_has_a_priority_and_no_time()
    {
        Assert.Equal("<4>d did not answer; the claims there lapse by themselves\n", Printed(log => log.ClaimsLapse("d")));
        Assert.Equal("<3>app: it could not be verified: gone\n", Printed(log => log.VerifyFailed("app", "gone")));
        Assert.Equal("<6>reloaded a.yaml\n", Printed(log => log.Reloaded("a.yaml")));

        static string Printed(Action<ILogger> act) => LogTests.Printed(LogFormat.Text, isJournal: true, act);
    }

    [Fact]
    public void A_line_of_JSON_has_the_number_the_run_and_what_the_message_is_made_of()
    {
        var line = Document(log => log.BranchBegun("app", "it was \"replaced\"\nby hand", 2, 17));

        Assert.Equal(
            """
            {"time":"2026-08-01T10:30:00Z","level":"warning","event_id":1012,"event":"BranchBegun","run":"0000002a",
            """.Trim(),
            line[..line.IndexOf("\"message\"", StringComparison.Ordinal)]);
        var fields = JsonDocument.Parse(line).RootElement;
        Assert.StartsWith("app: it was \"replaced\"\nby hand; branch 2 begins", fields.GetProperty("message").GetString());
        Assert.Equal("app", fields.GetProperty("source").GetString());
        Assert.Equal(2, fields.GetProperty("branch").GetInt32());
        Assert.Equal(17, fields.GetProperty("position").GetInt32());
        Assert.False(fields.TryGetProperty("{OriginalFormat}", out _) || fields.TryGetProperty("exception", out _));
    }

    [Fact]
    public void Where_an_unexpected_error_came_from_is_a_field_of_the_same_line()
    {
        var fields = JsonDocument.Parse(Document(log => log.FileEventFailed(new InvalidOperationException("odd")))).RootElement;

        Assert.Equal("error", fields.GetProperty("level").GetString());
        Assert.Contains("InvalidOperationException: odd", fields.GetProperty("exception").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_less_than_the_level_is_not_told() =>
        Assert.Equal("", Printed(LogFormat.Json, isJournal: false, log => log.NotInHead("app", "asleep")));

    [Fact]
    public async Task Standard_error_is_the_journal_only_where_it_is_the_file_that_systemd_named()
    {
        await _rig.CreateDatabaseAsync();
        var other = _rig["other"];
        await File.WriteAllTextAsync(other, "");
        var stat = await ChildProcess.RunAsync("stat", ["-c", "%d:%i", _rig.Database]);

        Assert.True(JournalStream.Is(stat.Stdout.Trim(), FileIdentity.Of(_rig.Database)));
        Assert.False(JournalStream.Is(stat.Stdout.Trim(), FileIdentity.Of(other)));
        Assert.False(JournalStream.Is(stat.Stdout.Trim(), file: null));
    }

    [Fact]
    public async Task Everything_that_a_command_says_is_JSON_where_that_is_asked_for()
    {
        await _rig.CreateDatabaseAsync();
        await using var salvor = SalvorProcess.Start(
            "replicate", _rig.Database, _rig["vaults"], "--log-format", "json", "--exec", "sleep 0.1");
        var ended = await salvor.ExitAsync();
        var failed = await SalvorProcess.RunApartAsync("daemon", "--config", _rig["none.yaml"], "--log-format", "json");

        var told = Assert.Single(ended.Stderr.Trim().Split('\n'));
        Assert.Equal("Told", JsonDocument.Parse(told).RootElement.GetProperty("event").GetString());
        Assert.Contains("replicating ", JsonDocument.Parse(told).RootElement.GetProperty("message").GetString(), StringComparison.Ordinal);
        var error = JsonDocument.Parse(Assert.Single(failed.Stderr.Trim().Split('\n'))).RootElement;
        Assert.Equal((3002, "usage", 2), (
            error.GetProperty("event_id").GetInt32(), error.GetProperty("kind").GetString(), error.GetProperty("exit_code").GetInt32()));
    }

    static string Document(Action<ILogger> act) => Printed(LogFormat.Json, isJournal: false, act).TrimEnd('\n');

    static string Printed(LogFormat format, bool isJournal, Action<ILogger> act)
    {
        using var output = new StringWriter();
        act(new ErrorStreamLog(output, new ManualTime(), LogLevel.Information, format, $"{42:x8}", isJournal));
        return output.ToString();
    }
}
