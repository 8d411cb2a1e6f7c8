using System.CommandLine;
using System.Globalization;
using Salvor.Cli.Demo;
using Salvor.Cli.Terminal;
using Salvor.Text;

namespace Salvor.Cli.Commands;

static class DemoCommand
{
    const int SecondsDefault = 5;
    const int SecondsMax = 600;

    static readonly Option<int?> Seconds = TypedOptions.Number(
        "--seconds", 1, SecondsMax, $"How long to write. [default: {SecondsDefault}]");

    static readonly Option<bool> Keep = new("--keep") { Description = "Leave the folder, to look at it." };

    public static Command Create() => new Command(
        "demo", "Write to a database, replicate it, delete it, restore it, and prove each row: all in a temporary folder.")
    {
        Seconds, Keep,
    }.WithAction(RunAsync);

    static async Task<int> RunAsync(Invocation invocation)
    {
        var folder = Directory.CreateTempSubdirectory("salvor-demo-").FullName;
        try
        {
            await using var run = new DemoRun(invocation, folder);
            var document = await run.RunAsync(TimeSpan.FromSeconds(invocation.Get(Seconds) ?? SecondsDefault));
            Print(invocation, document);
            invocation.PrintJson(document, () => CliJson.Default.DemoDocument);
            return 0;
        }
        finally
        {
            if (invocation.Get(Keep))
            {
                Console.Error.WriteLine($"kept: {folder}");
            }
            else
            {
                Directory.Delete(folder, recursive: true);
            }
        }
    }

    static void Print(Invocation invocation, DemoDocument document)
    {
        invocation.Print(string.Create(
            CultureInfo.InvariantCulture,
            $"lag, commit to durable: p50 {document.LagP50Milliseconds:0.#} ms, p99 {document.LagP99Milliseconds:0.#} ms, ")
            + $"of {document.LagCommits} commits");
        invocation.Print($"  measured {document.LagMeasured}");
        invocation.Print(
            $"sizes: database {SizeText.Format(document.DatabaseBytes)}; vault {SizeText.Format(document.VaultBytes)}, "
                + $"which offers {document.Restores[^1].Position} restore points: the first copy and each commit after it");
        invocation.Print($"{Symbols.Ok} proved: both restored databases are exactly what was written up to their moments");
    }
}
