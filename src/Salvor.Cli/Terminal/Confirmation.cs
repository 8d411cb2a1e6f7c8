namespace Salvor.Cli.Terminal;

/// <summary>Asks before something is done that somebody may not want.</summary>
static class Confirmation
{
    /// <summary>Returns when the answer is yes. Throws where it is not, and where nobody can be asked.</summary>
    /// <param name="action">What is to be done, as a verb and its object.</param>
    /// <param name="hint">What to do where nobody can be asked.</param>
    /// <param name="otherwise">How things are where the answer is no.</param>
    public static void Ask(string action, string hint, string otherwise)
    {
        if (Console.IsInputRedirected)
        {
            throw new SalvorException(FailureKind.Usage, $"nobody can be asked whether to {action}", hint);
        }

        Console.Error.Write($"{action}? [y/N] ");
        if (Console.In.ReadLine()?.Trim() is not ("y" or "Y" or "yes"))
        {
            throw new SalvorException(FailureKind.Interrupted, otherwise, "Run it again when you are sure.");
        }
    }
}
