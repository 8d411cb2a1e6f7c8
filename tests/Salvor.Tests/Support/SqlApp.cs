using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace Salvor.Tests.Support;

/// <summary>
/// An app in a process of its own that does exactly what the test tells it, one statement after the other; see <c>Tools/app.py</c>. The
/// test's own process must not touch a database that it protects itself: closing any handle on it would drop the locks of the protection.
/// </summary>
sealed class SqlApp : IAsyncDisposable
{
    const string MainConnection = "main";

    readonly Process process;

    SqlApp(Process process) => this.process = process;

    public int Pid => process.Id;

    public static SqlApp Start(
        string database, TimeSpan? busyTimeout = null, IReadOnlyDictionary<string, string>? environment = null)
    {
        var timeout = (busyTimeout ?? TimeSpan.FromSeconds(10)).TotalSeconds.ToString(CultureInfo.InvariantCulture);
        var start = new ProcessStartInfo(Tool.Python, [Tool.WithoutSite, Tool.PathOf("app.py"), database, timeout])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        foreach (var (name, value) in environment ?? new Dictionary<string, string>())
        {
            start.Environment[name] = value;
        }

        return new SqlApp(Process.Start(start)!);
    }

    /// <summary>Runs a statement and returns its rows, each as text with bars between the columns.</summary>
    public async Task<IReadOnlyList<string>> DoAsync(string sql, int repeat = 1, string connection = MainConnection)
    {
        var answer = await AskAsync(sql, repeat, connection);
        Assert.False(answer.TryGetProperty("error", out var error), $"'{sql}' failed: {error}");
        return [.. answer.GetProperty("rows").EnumerateArray().Select(row => string.Join('|', row.EnumerateArray()))];
    }

    /// <summary>The first row.</summary>
    public async Task<string> ReadAsync(string sql, string connection = MainConnection) => (await DoAsync(sql, 1, connection))[0];

    /// <summary>Runs a statement that is expected to fail and returns SQLite's message.</summary>
    public async Task<string> FailAsync(string sql, string connection = MainConnection)
    {
        var answer = await AskAsync(sql, 1, connection);
        Assert.True(answer.TryGetProperty("error", out var error), $"'{sql}' did not fail");
        return error.GetString()!;
    }

    /// <summary>Runs a statement and says how long the app had to wait for it.</summary>
    public async Task<TimeSpan> TimeAsync(string sql, string connection = MainConnection)
    {
        var answer = await AskAsync(sql, 1, connection);
        Assert.False(answer.TryGetProperty("error", out var error), $"'{sql}' failed: {error}");
        return TimeSpan.FromSeconds(answer.GetProperty("seconds").GetDouble());
    }

    /// <summary>Closes a connection as an app does that ends in order.</summary>
    public Task CloseAsync(string connection = MainConnection) => DoAsync("close", 1, connection);

    public async Task KillAsync()
    {
        process.Kill();
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        if (!process.HasExited)
        {
            process.Kill();
            await process.WaitForExitAsync(CancellationToken.None);
        }

        process.Dispose();
    }

    async Task<JsonElement> AskAsync(string sql, int repeat, string connection)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WriteString("connection", connection);
            writer.WriteString("sql", sql);
            writer.WriteNumber("repeat", repeat);
            writer.WriteEndObject();
        }

        await process.StandardInput.WriteLineAsync(System.Text.Encoding.UTF8.GetString(buffer.ToArray()));
        await process.StandardInput.FlushAsync(TestContext.Current.CancellationToken);
        var line = await process.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken);
        Assert.True(line is not null, $"the app ended instead of answering '{sql}'");
        return JsonElement.Parse(line);
    }
}
