using System.CommandLine;
using System.Globalization;
using Salvor.Cli.Terminal;
using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Storage;
using Salvor.Text;

namespace Salvor.Cli.Commands;

static class BenchCommand
{
    const long SizeDefault = 64 << 20;
    const long SizeMax = 16L << 30;

    static readonly string[] Verbs = ["put", "get", "list", "delete"];

    static readonly Argument<string> Destination = new("DEST")
    {
        Description = "The name of a configured destination, or a path or URL.",
    };

    static readonly Option<string?> Size = new("--size")
    {
        Description = $"How much to write and read for the throughput (default: {SizeText.Format(SizeDefault)}).", HelpName = "SIZE",
    };

    static readonly Option<bool> Quick = new("--quick") { Description = "Only which calls are allowed, and how long they take." };

    static readonly Option<bool> Probe = new("--probe")
    {
        Description = "Only try whether copies there can be destroyed: delete, hide, overwrite and unlock an object of its own.",
    };

    public static Command Create() => new("bench", "Try a destination, and measure it.")
    {
        new Command(
            "destination", "Try every promise that backups rest on at a destination, and measure how fast it is.")
        {
            Destination, Size, Quick, Probe,
        }.WithAction(RunAsync),
    };

    static async Task<int> RunAsync(Invocation invocation)
    {
        var size = SizeDefault;
        if (invocation.Get(Size) is { } text && (!SizeText.TryParse(text, out size) || size is < 1 or > SizeMax))
        {
            throw new SalvorException(FailureKind.Usage, $"'--size {text}' is not a size up to {SizeText.Format(SizeMax)}", SizeText.Hint);
        }

        var destination = Find(invocation);
        if (invocation.Get(Probe))
        {
            return await ProbeAsync(invocation, destination);
        }

        var store = Destinations.OpenForWriting(destination);
        invocation.Print($"{destination.Name} at {store.Location}");
        var bench = new DestinationBench(store, invocation.Time, invocation.Random);
        var refused = await bench.FindRefusedAsync(invocation.Cancellation);
        if (refused.Count == Verbs.Length)
        {
            // Not a matter of permissions for one call or another: the bucket, the key or the whole place is wrong.
            throw refused[0].Failure;
        }

        Print(invocation, refused);
        if (refused.Any(item => item.Verb != "delete"))
        {
            throw new SalvorException(
                FailureKind.DestinationUnreachable,
                $"{store.Location} {Allowed(refused)}",
                refused[0].Failure.Hint);
        }

        var canDelete = refused.Count == 0;
        var promises = invocation.Get(Quick) || !canDelete
            ? []
            : await bench.TryPromisesAsync(promise => PrintBroken(invocation, promise), invocation.Cancellation);
        if (promises.Count > 0)
        {
            invocation.Print($"{(promises.All(item => item.Broken is null) ? Symbols.Ok : "[broken]")} "
                + $"{promises.Count(item => item.Broken is null)} of {promises.Count} promises that backups rest on are kept");
        }

        var latency = await bench.MeasureLatencyAsync(canDelete, invocation.Cancellation);
        foreach (var item in latency)
        {
            invocation.Print($"  {item.Call,-6} p50 {Milliseconds(item.P50)} ms, slowest {Milliseconds(item.Max)} ms of {item.Count}");
        }

        (Throughput Write, Throughput Read)? speed = invocation.Get(Quick)
            ? null
            : await bench.MeasureThroughputAsync(size, canDelete, invocation.Cancellation);
        if (speed is { } both)
        {
            invocation.Print($"  write  {Speed(both.Write)}\n  read   {Speed(both.Read)}");
        }

        invocation.PrintJson(
            new BenchDestinationDocument(
                destination.Name, store.Location, [.. refused.Select(item => item.Verb)],
                [.. promises.Select(item => new PromiseBody(item.Name, item.Broken is null, item.Broken ?? ""))],
                [.. latency.Select(item => new CallTimesBody(
                    item.Call, item.Count, Math.Round(item.P50.TotalMilliseconds, 3), Math.Round(item.Max.TotalMilliseconds, 3)))],
                speed is null ? null : Math.Round(speed.Value.Write.BytesPerSecond),
                speed is null ? null : Math.Round(speed.Value.Read.BytesPerSecond)),
            () => CliJson.Default.BenchDestinationDocument);
        return promises.All(item => item.Broken is null) ? 0 : (int)FailureKind.DestinationUnreachable;
    }

    static async Task<int> ProbeAsync(Invocation invocation, DestinationConfig destination)
    {
        invocation.Print($"{destination.Name} at {destination.Location}");
        var report = await TamperProbe.RunAsync(destination, invocation.Time, invocation.Random, invocation.Cancellation);
        foreach (var step in report.Steps)
        {
            invocation.Print($"  {(step.IsHeld ? Symbols.Ok : "[broken]")} {step.Name}: {step.Said}");
        }

        invocation.Print($"{(report.IsProtected ? Symbols.Ok : "[unprotected]")} {report.Summary}");
        invocation.PrintJson(
            new TamperDocument(
                destination.Name, report.Location, report.IsLockAsked, report.IsProtected, report.Summary,
                [.. report.Steps.Select(step => new TamperStepBody(step.Name, step.IsHeld, step.Said))]),
            () => CliJson.Default.TamperDocument);
        return report.IsLockAsked && !report.IsProtected ? (int)FailureKind.Failure : 0;
    }

    /// <summary>One that is configured; else what is spelled as a place.</summary>
    static DestinationConfig Find(Invocation invocation)
    {
        var name = invocation.Get(Destination);
        if (name.Contains('/', StringComparison.Ordinal) || Directory.Exists(name))
        {
            return DestinationUrl.Parse(name);
        }

        var config = invocation.LoadConfig();
        return config.Destinations.TryGetValue(name, out var known)
            ? known
            : throw new SalvorException(
                FailureKind.Usage,
                $"{config.FileName} has no destination '{name}'",
                $"{Suggestion.Sentence(name, config.Destinations.Keys)}Its destinations are "
                    + $"{Suggestion.Enumerate([.. config.Destinations.Keys])}; a folder is spelled with a slash.");
    }

    static void Print(Invocation invocation, IReadOnlyList<(string Verb, StorageException Failure)> refused)
    {
        invocation.Print($"{(refused.Count == 0 ? Symbols.Ok : "[refused]")} {Allowed(refused)}");
        foreach (var (verb, failure) in refused)
        {
            invocation.Print($"  {verb}: {failure.Message}");
        }

        if (refused is [("delete", _)])
        {
            invocation.Print("  Without delete nothing is ever lost to whoever holds these credentials, and 'prune' needs others.");
            invocation.Print("  The promises are not tried, because what that leaves could not be removed.");
        }
    }

    static string Allowed(IReadOnlyList<(string Verb, StorageException Failure)> refused)
    {
        string[] may = [.. Verbs.Except(refused.Select(item => item.Verb))];
        string[] not = [.. refused.Select(item => item.Verb)];
        return not.Length == 0 ? $"may {Suggestion.Enumerate(may)}"
            : may.Length == 0 ? $"may not {Suggestion.Enumerate(not)}"
            : $"may {Suggestion.Enumerate(may)}, may not {Suggestion.Enumerate(not)}";
    }

    static void PrintBroken(Invocation invocation, PromiseResult promise)
    {
        if (promise.Broken is { } how)
        {
            invocation.Print($"[broken] {promise.Name}: {how}");
        }
    }

    static string Speed(Throughput throughput) => string.Create(
        CultureInfo.InvariantCulture,
        $"{throughput.BytesPerSecond / 1e6:0.0} MB/s ({SizeText.Format(throughput.Bytes)}, {throughput.AtOnce} at once)");

    static string Milliseconds(TimeSpan time) => time.TotalMilliseconds.ToString("0.0", CultureInfo.InvariantCulture);
}
