using System.CommandLine;
using Salvor.Cli.Terminal;
using Salvor.Sqlite.Native;
using Salvor.Text;

namespace Salvor.Cli.Demo;

/// <summary>The app of the demo, a process of its own: commits at a steady rate and keeps a ledger, until it is stopped.</summary>
static class DemoWriter
{
    public const string Verb = "demo-writer";
    public const int CommitsPerSecond = 500;

    static readonly TimeSpan BusyTimeout = TimeSpan.FromSeconds(10);

    static readonly Argument<string> Database = new("DB");
    static readonly Argument<string> Ledger = new("LEDGER");
    static readonly Argument<string> TimeMax = new("TIME") { Description = "Ends by itself after this long." };

    public static Command Create() => new Command(Verb, "The app of 'salvor demo'.")
    {
        Database, Ledger, TimeMax,
    }.Hide().WithAction(RunAsync);

    static Command Hide(this Command command)
    {
        command.Hidden = true;
        return command;
    }

    static async Task<int> RunAsync(Invocation invocation)
    {
        using var connection = new SqliteConnection(invocation.Get(Database), LibSqlite.OpenReadWrite | LibSqlite.OpenCreate);
        connection.SetBusyTimeout(BusyTimeout);
        connection.Execute("PRAGMA journal_mode = WAL");
        connection.Execute("PRAGMA synchronous = NORMAL");
        foreach (var statement in DemoContent.Schema.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            connection.Execute(statement);
        }

        await using var ledger = new FileStream(
            invocation.Get(Ledger), FileMode.CreateNew, FileAccess.Write, FileShare.Read, bufferSize: 0);
        var timeMax = DurationText.Parse(invocation.Get(TimeMax));
        var started = invocation.Time.GetTimestamp();
        for (var k = 1; !invocation.Cancellation.IsCancellationRequested && invocation.Time.GetElapsedTime(started) < timeMax; k++)
        {
            ledger.Write(DemoLedger.Line(Commit(connection, k, invocation.Time)));
            var early = TimeSpan.FromSeconds((double)k / CommitsPerSecond) - invocation.Time.GetElapsedTime(started);
            if (early > TimeSpan.Zero)
            {
                await Task.Delay(early, invocation.Time, invocation.Cancellation).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }

        return 0;
    }

    static DemoCommit Commit(SqliteConnection connection, int k, TimeProvider time)
    {
        var began = time.GetUtcNow();
        connection.Execute("BEGIN IMMEDIATE");
        foreach (var statement in DemoContent.Statements(k))
        {
            connection.Execute(statement);
        }

        connection.Execute("COMMIT");
        return new DemoCommit(k, began, time.GetUtcNow());
    }
}
