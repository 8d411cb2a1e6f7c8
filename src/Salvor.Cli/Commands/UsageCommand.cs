using System.CommandLine;
using System.Globalization;
using Salvor.Cli.Terminal;
using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Platform;
using Salvor.Text;
using Salvor.Vault.Usage;

namespace Salvor.Cli.Commands;

static class UsageCommand
{
    const decimal GigabyteBytes = 1_000_000_000;

    static readonly VaultOptions Vault = new();

    static readonly Option<string?> Destination = new("--dest")
    {
        Description = "Only the vaults at this destination.", HelpName = "NAME",
    };

    public static Command Create()
    {
        var command = new Command("usage", "Print what the vaults take, how that grows, and what is near its limit.") { Destination };
        Vault.AddTo(command);
        return command.WithAction(RunAsync);
    }

    static async Task<int> RunAsync(Invocation invocation)
    {
        var places = await VaultPlace.FindAllAsync(Vault, invocation);
        if (invocation.Get(Destination) is { } wanted)
        {
            string[] names = [.. places.Select(place => place.DestinationName).Distinct()];
            places = [.. places.Where(place => place.DestinationName == wanted)];
            if (places.Count == 0)
            {
                throw new SalvorException(
                    FailureKind.Usage,
                    $"nothing is backed up at a destination '{wanted}'",
                    $"{Suggestion.Sentence(wanted, names)}There are vaults at {Suggestion.Enumerate(names)}.");
            }
        }

        var now = invocation.Time.GetUtcNow();
        var usages = new List<(VaultPlace Place, VaultUsage Usage)>();
        foreach (var place in places)
        {
            usages.Add((place, await UsageMeter.MeasureAsync(place.Vault, now, invocation.Cancellation)));
        }

        var document = new UsageDocument(
            [.. usages.Select(item => BodyOf(item.Place, item.Usage))],
            [.. usages.GroupBy(item => item.Place.DestinationName).Select(group => BodyOf([.. group]))],
            new UsageTotals(
                usages.Sum(item => item.Usage.Total.Bytes),
                usages.Sum(item => item.Usage.Total.Objects),
                Sum(usages.Select(item => Cost(item.Place.Destination, item.Usage.Total.Bytes)))));
        Print(invocation, document);
        invocation.PrintJson(document, () => CliJson.Default.UsageDocument);
        return 0;
    }

    static VaultUsageBody BodyOf(VaultPlace place, VaultUsage usage) => new(
        place.Vault.Identity.Source,
        place.Vault.Location,
        place.DestinationName,
        usage.Total.Bytes,
        usage.Total.Objects,
        [.. usage.Kinds.Select(item => new KindUsageBody(item.Key.ToString().ToLowerInvariant(), item.Value.Bytes, item.Value.Objects))],
        usage.DatabaseBytes,
        Round(usage.DedupRatio),
        Round(usage.CompressionRatio),
        BodyOf(usage.Growth),
        (place.Source as SqliteSourceConfig)?.TotalSizeMax,
        (place.Source as SqliteSourceConfig)?.TotalSizeMax is { } cap ? Round(usage.Growth.DaysTo(cap - usage.Total.Bytes)) : null,
        Cost(place.Destination, usage.Total.Bytes));

    static DestinationUsageBody BodyOf(IReadOnlyList<(VaultPlace Place, VaultUsage Usage)> all)
    {
        var place = all[0].Place;
        var total = all.Select(item => item.Usage.Total).Aggregate((one, other) => one + other);
        var growth = all.Select(item => item.Usage.Growth).Aggregate((one, other) => one + other);
        var free = DiskSpace.FreeBytes(place.Vault.Store.Location);
        return new DestinationUsageBody(
            place.DestinationName, place.Vault.Store.Location, total.Bytes, total.Objects, BodyOf(growth), free,
            free is { } left ? Round(growth.DaysTo(left)) : null, Cost(place.Destination, total.Bytes));
    }

    static GrowthBody BodyOf(Growth growth) => new(growth.Day, growth.Week, growth.Month);

    static double? Cost(DestinationConfig? destination, long bytes) =>
        destination?.PricePerGbMonth is { } price ? (double)Math.Round(price * bytes / GigabyteBytes, 4) : null;

    static double? Sum(IEnumerable<double?> costs) => costs.Any(cost => cost is not null) ? costs.Sum() : null;

    static double? Round(double? value) => value is { } known ? Math.Round(known, 2) : null;

    static void Print(Invocation invocation, UsageDocument document)
    {
        foreach (var vault in document.Vaults)
        {
            invocation.Print($"{vault.Source} at {vault.Location}: {SizeText.Format(vault.Bytes)} in {vault.Objects} objects");
            invocation.Print($"  {string.Join(", ", vault.Kinds.Where(kind => kind.Objects > 0).Select(
                kind => $"{kind.Kind} {SizeText.Format(kind.Bytes)} in {kind.Objects}"))}");
            invocation.Print(
                $"  database {SizeText.Format(vault.DatabaseBytes)}{Ratio("deduplicated", vault.DedupRatio)}"
                    + Ratio("compressed", vault.CompressionRatio));
            invocation.Print($"  {GrowthText(vault.GrowthPerDay)}");
            if (vault.MaxTotalSize is { } cap)
            {
                var used = string.Create(CultureInfo.InvariantCulture, $"{100.0 * vault.Bytes / cap:0}% of it used");
                invocation.Print($"  limit {SizeText.Format(cap)}, {used}{Days(", reached", vault.DaysToMaxTotalSize)}");
            }
        }

        foreach (var destination in document.Destinations)
        {
            invocation.Print(
                $"destination {destination.Destination}: {SizeText.Format(destination.Bytes)} in {destination.Objects} objects"
                    + (destination.CostPerMonth is { } cost ? $", {Money(cost)} a month" : ""));
            invocation.Print($"  {GrowthText(destination.GrowthPerDay)}");
            if (destination.FreeBytes is { } free)
            {
                invocation.Print($"  {SizeText.Format(free)} free on its disk{Days(", full", destination.DaysToFull)}");
            }
        }

        if (document.Destinations.Count > 1)
        {
            invocation.Print(
                $"total: {SizeText.Format(document.Total.Bytes)} in {document.Total.Objects} objects"
                    + (document.Total.CostPerMonth is { } cost ? $", {Money(cost)} a month" : ""));
        }
    }

    static string GrowthText(GrowthBody growth) => growth.Days1 is null
        ? "growth is known after a day"
        : $"grew by {SizeText.Format(growth.Days1.Value)} in the last day"
            + (growth.Days7 is { } week ? $", {SizeText.Format(week)} a day in the last 7" : "")
            + (growth.Days30 is { } month ? $", {SizeText.Format(month)} a day in the last 30" : "");

    static string Ratio(string what, double? ratio) =>
        ratio is { } known ? string.Create(CultureInfo.InvariantCulture, $", {what} {known:0.0}:1") : "";

    static string Days(string what, double? days) =>
        days is { } known ? string.Create(CultureInfo.InvariantCulture, $"{what} in {known:0} day(s)") : "";

    static string Money(double cost) => cost.ToString("0.00##", CultureInfo.InvariantCulture);
}
