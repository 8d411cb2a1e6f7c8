using System.Text;
using Salvor.Cli.Terminal;

namespace Salvor.Tests.Support;

/// <summary>
/// The command line in this process, for commands of which only the outcome matters: a process of its own spends most of its time on
/// compiling what is compiled here already. What it prints is told from what others print at the same time.
/// </summary>
static class SalvorHere
{
    static readonly TimeSpan ExitWait = TimeSpan.FromMinutes(3);
    static readonly AsyncLocal<Output?> Current = new();

    static SalvorHere()
    {
        Console.SetOut(new Routed(Console.Out, output => output.Stdout));
        Console.SetError(new Routed(Console.Error, output => output.Stderr));
    }

    public static async Task<ProcessResult> RunAsync(IEnumerable<string> arguments)
    {
        string[] all = [.. arguments];
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        var output = new Output(new(), new());
        var running = Task.Run(() =>
        {
            Current.Value = output;
            return CommandLine.RunAsync(all, TimeProvider.System, new Random(), limit.Token);
        });
        try
        {
            var code = await running.WaitAsync(ExitWait, TestContext.Current.CancellationToken);
            ChildProcess.AwaitStarts();
            return new(code, output.Stdout.ToString(), output.Stderr.ToString());
        }
        catch (TimeoutException)
        {
            await limit.CancelAsync();
            throw new TimeoutException(
                $"'salvor {string.Join(' ', all)}' did not end within {ExitWait.TotalSeconds} s\nstdout: {output.Stdout}\n"
                    + $"stderr: {output.Stderr}");
        }
    }

    sealed record Output(StringWriter Stdout, StringWriter Stderr);

    sealed class Routed(TextWriter other, Func<Output, StringWriter> choose) : TextWriter
    {
        public override Encoding Encoding => other.Encoding;

        public override void Write(char value) => Write([value]);

        public override void Write(ReadOnlySpan<char> buffer)
        {
            if (Current.Value is { } output)
            {
                var target = choose(output);
                lock (target)
                {
                    target.Write(buffer);
                }
            }
            else
            {
                lock (other)
                {
                    other.Write(buffer);
                }
            }
        }

        public override void Write(char[] buffer, int index, int count) => Write(buffer.AsSpan(index, count));

        public override void Write(string? value) => Write(value.AsSpan());

        public override void WriteLine(string? value) => Write($"{value}{NewLine}");
    }
}
