using System.Text;

namespace Salvor.Platform;

/// <summary>Reads what a program prints, however much it is, and keeps the end of it.</summary>
sealed class OutputTail
{
    /// <summary>How much is kept.</summary>
    public const int CharsMax = 4_096;

    const int LinesMax = 5;

    readonly StringBuilder end = new();

    /// <summary>Reads until there is no more.</summary>
    /// <param name="reader">What the program prints.</param>
    /// <param name="copy">Where all of it goes too.</param>
    public OutputTail(TextReader reader, TextWriter? copy = null) => Ended = ReadAsync(reader, copy);

    /// <summary>Completes when there is no more.</summary>
    public Task Ended { get; }

    /// <summary>The end of what was printed until now.</summary>
    public string Text
    {
        get
        {
            lock (end)
            {
                return end.Length <= CharsMax ? end.ToString() : end.ToString(end.Length - CharsMax, CharsMax);
            }
        }
    }

    /// <summary>The last lines of a text that say something, at most five, without what a terminal would obey.</summary>
    public static IReadOnlyList<string> LastLines(string text) =>
    [
        .. text.Split('\n').Select(line => new string([.. line.Where(c => !char.IsControl(c))]).Trim()).Where(line => line.Length > 0)
            .TakeLast(LinesMax),
    ];

    async Task ReadAsync(TextReader reader, TextWriter? copy)
    {
        var buffer = new char[CharsMax];
        int read;
        while ((read = await reader.ReadAsync(buffer)) > 0)
        {
            copy?.Write(buffer, 0, read);
            lock (end)
            {
                end.Append(buffer, 0, read);
                if (end.Length > 2 * CharsMax)
                {
                    end.Remove(0, end.Length - CharsMax);
                }
            }
        }
    }
}
