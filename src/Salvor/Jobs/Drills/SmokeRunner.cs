using System.Text;
using Salvor.Platform;
using Salvor.Sqlite.Native;
using Salvor.Text;

namespace Salvor.Jobs.Drills;

/// <summary>What the checks of an operator are asked of.</summary>
/// <param name="Path">The restored file or folder.</param>
sealed record SmokeSubject(string Path)
{
    /// <summary>Asks a statement, and returns the first column of its first rows, two of them at most; a NULL is "NULL".</summary>
    public Func<SmokeCheck.Sql, CancellationToken, Task<IReadOnlyList<string>>> AskAsync { get; init; } =
        (check, _) => throw new InvalidOperationException($"nothing to ask {check.Name}");

    /// <summary>What commands are run by: a shell, and what has to stand before that.</summary>
    public IReadOnlyList<string> Shell { get; init; } = ["/bin/sh"];

    /// <summary>A database of SQLite.</summary>
    public static SmokeSubject Database(string path) => new(path)
    {
        AskAsync = (check, cancellationToken) => Task.Run<IReadOnlyList<string>>(
            () => RestoredDatabase.Query(path, check.Statement.Value, RowsMax, cancellationToken), cancellationToken),
    };

    /// <summary>A second row shows that there are more.</summary>
    public const int RowsMax = 2;
}

/// <summary>Carries out what an operator wants to know of what was restored.</summary>
/// <param name="subject">That.</param>
/// <param name="time">The clock.</param>
sealed class SmokeRunner(SmokeSubject subject, TimeProvider time)
{
    const int FoundCharsMax = 200;
    const int PageBytesMax = 1 << 20;

    /// <summary>Whatever happens is an outcome; only a stop from outside is thrown.</summary>
    public async Task<DrillCheck> RunAsync(SmokeCheck check, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        using var limit = new CancellationTokenSource(check.Limit, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, limit.Token);
        var (outcome, expected, found, output) = (CheckOutcome.Fail, "", "", "");
        try
        {
            (outcome, expected, found, output) = check switch
            {
                SmokeCheck.Sql sql => await AskAsync(sql, both.Token),
                SmokeCheck.Command command => await ExecuteAsync(command, both.Token),
                SmokeCheck.Exists file => Look(file),
                SmokeCheck.Url url => await FetchAsync(url, both.Token),
                _ => throw new InvalidOperationException($"no way to make a {check.Kind} check"),
            };
        }
        catch (Exception e) when ((e is OperationCanceledException or SqliteException { IsInterrupted: true } or HttpRequestException
                or IOException)
            && limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            found = $"not done after {DurationText.Format(check.Limit)}";
        }
        catch (SqliteException e) when (!cancellationToken.IsCancellationRequested)
        {
            found = e.Message;
        }
        catch (Exception e) when (e is HttpRequestException or SalvorException or IOException)
        {
            found = e.Message;
        }

        cancellationToken.ThrowIfCancellationRequested();
        return new DrillCheck(check.Name, check.Kind, outcome, expected, found, Seconds(time.GetElapsedTime(started))) { Output = output };
    }

    public static double Seconds(TimeSpan elapsed) => Math.Round(elapsed.TotalSeconds, 3);

    async Task<(CheckOutcome Outcome, string Expected, string Found, string Output)> AskAsync(
        SmokeCheck.Sql check, CancellationToken cancellationToken)
    {
        var rows = await subject.AskAsync(check, cancellationToken);
        var isGood = check.Expect is null ? rows.Count > 0 : rows is [var only] && check.Expect.IsMet(only);
        var found = rows.Count switch { 0 => "no row", 1 => Short(rows[0]), _ => $"{Short(rows[0])}, and more rows" };
        return (isGood ? CheckOutcome.Pass : CheckOutcome.Fail, check.Expect?.Text ?? "a row", found, "");
    }

    (CheckOutcome Outcome, string Expected, string Found, string Output) Look(SmokeCheck.Exists check)
    {
        const string Expected = "a file with content";
        return RestoredEntry.Find(subject.Path, check.Path) switch
        {
            ({ Type: EntryStat.Regular, SizeBytes: > 0 } file, _) => (CheckOutcome.Pass, Expected, SizeText.Format(file.SizeBytes), ""),
            ({ Type: EntryStat.Regular }, _) => (CheckOutcome.Fail, Expected, "an empty file", ""),
            ({ Type: EntryStat.Directory }, _) => (CheckOutcome.Pass, Expected, "a directory", ""),
            ({ }, _) => (CheckOutcome.Fail, Expected, "neither a file nor a directory", ""),
            (null, { } target) => (CheckOutcome.Fail, Expected, $"a link to {target}, which is not among what was restored", ""),
            _ => (CheckOutcome.Fail, Expected, "nothing", ""),
        };
    }

    async Task<(CheckOutcome Outcome, string Expected, string Found, string Output)> ExecuteAsync(
        SmokeCheck.Command check, CancellationToken cancellationToken)
    {
        var line = check.Line.Value.Replace("{path}", Recovery.Shell.Quote(subject.Path), StringComparison.Ordinal);
        var end = await ProgramEnd.RunAsync(new ProgramStart([.. subject.Shell, "-c", line]), cancellationToken);
        var isMet = check.Expect is null || check.Expect.IsMet(end.Printed);
        var isGood = end.ExitCode == 0 && isMet;
        var found = end.ExitCode != 0 ? $"exit code {end.ExitCode}" : check.Expect is null ? "exit code 0" : Short(end.Printed);
        return (
            isGood ? CheckOutcome.Pass : CheckOutcome.Fail, check.Expect?.Text ?? "exit code 0", found,
            isGood ? "" : Last($"{end.Printed}{end.Told}".TrimEnd()));
    }

    static async Task<(CheckOutcome Outcome, string Expected, string Found, string Output)> FetchAsync(
        SmokeCheck.Url check, CancellationToken cancellationToken)
    {
        // A page to log in at is not the page that was asked for.
        using var handler = new SocketsHttpHandler { AllowAutoRedirect = false };
        using var client = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
        using var response = await client.GetAsync(
            new Uri(check.Address.Value), HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
        var buffer = new byte[PageBytesMax];
        var length = await body.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancellationToken);
        var text = Encoding.UTF8.GetString(buffer, 0, length);
        var (hasStatus, status) = ((int)response.StatusCode == check.Status, (int)response.StatusCode);
        var hasText = check.Contains is null || text.Contains(check.Contains, StringComparison.Ordinal);
        var isGood = hasStatus && hasText;
        return (
            isGood ? CheckOutcome.Pass : CheckOutcome.Fail,
            $"status {check.Status}{(check.Contains is null ? "" : $" with \"{check.Contains}\"")}",
            $"status {status}{(hasText ? "" : " without that text")}",
            isGood ? "" : Last(text));
    }

    static string Last(string text) => text.Length <= OutputTail.CharsMax ? text : $"... {text[^OutputTail.CharsMax..]}";

    static string Short(string text)
    {
        var line = text.Trim().ReplaceLineEndings(" ");
        return line.Length <= FoundCharsMax ? line : $"{line[..FoundCharsMax]} ...";
    }
}
