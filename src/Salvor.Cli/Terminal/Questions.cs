namespace Salvor.Cli.Terminal;

/// <summary>
/// Asks on standard error and reads from standard input, a terminal or a pipe: an empty line takes what is in brackets. Where nobody is to
/// be asked, what is in brackets is taken, and what has no such answer is an error that names its option.
/// </summary>
sealed class Questions(bool asks, TextReader input, TextWriter output, bool isColored, bool echoes)
{
    /// <summary>Whether anybody is asked.</summary>
    public bool Asks => asks;

    /// <summary>On this terminal.</summary>
    public static Questions OnTerminal(bool asks) => new(
        asks, Console.In, Console.Error,
        isColored: ErrorTerminal.IsColored,
        echoes: Console.IsInputRedirected);

    /// <summary>A line for whoever is asked.</summary>
    public void Say(string line = "")
    {
        if (asks)
        {
            output.WriteLine(line);
        }
    }

    /// <summary>An answer that can be read. One that cannot is asked for again.</summary>
    /// <param name="question">Without a question mark and brackets.</param>
    /// <param name="otherwise">The answer of an empty line; null where there is none.</param>
    /// <param name="option">What says it without a question.</param>
    /// <param name="read">Throws <see cref="SalvorException"/> where the answer will not do.</param>
    public T Ask<T>(string question, string? otherwise, string option, Func<string, T> read)
    {
        if (!asks)
        {
            return read(otherwise ?? throw new SalvorException(
                FailureKind.Usage, $"{question.ToLowerInvariant()}: that is not said", $"Say it with '{option}', or leave '--yes' out."));
        }

        while (true)
        {
            output.Write(Bold(question) + (otherwise is null ? ": " : $" [{otherwise}]: "));
            output.Flush();
            var line = input.ReadLine()?.Trim();
            if (echoes || line is null)
            {
                // A terminal shows what is typed, and a pipe does not.
                output.WriteLine(line);
            }

            if (line is null)
            {
                throw Ended(question, option);
            }

            var answer = line.Length > 0 ? line : otherwise;
            if (answer is null)
            {
                continue;
            }

            try
            {
                return read(answer);
            }
            catch (SalvorException e) when (e.Kind == FailureKind.Usage)
            {
                output.WriteLine($"  {e.Message}\n  {e.Hint}");
            }
        }
    }

    /// <summary>Yes or no.</summary>
    public bool YesNo(string question, bool otherwise, string option) => Ask(
        question, otherwise ? "Y/n" : "y/N", option, answer => answer switch
        {
            "y" or "Y" or "yes" => true,
            "n" or "N" or "no" => false,
            "Y/n" => true,
            "y/N" => false,
            _ => throw new SalvorException(FailureKind.Usage, $"\"{answer}\" is neither yes nor no", "Answer y or n."),
        });

    string Bold(string text) => isColored ? $"\e[1m{text}\e[0m" : text;

    static SalvorException Ended(string question, string option) => new(
        FailureKind.Usage,
        $"the answers ended before \"{question}\"; nothing was written",
        $"Say it with '{option}', or start again: nothing is done before the last question.");
}
