namespace Salvor.Text;

/// <summary>Finds the word that was probably meant.</summary>
public static class Suggestion
{
    /// <summary>The candidate nearest to <paramref name="word"/>, or null where none is near enough to be a slip of the keyboard.</summary>
    public static string? For(string word, IEnumerable<string> candidates)
    {
        var best = candidates
            .Select(candidate => (Candidate: candidate, Distance: Distance(word.ToLowerInvariant(), candidate.ToLowerInvariant())))
            .OrderBy(item => item.Distance)
            .FirstOrDefault((Candidate: "", Distance: int.MaxValue));

        // Short words are near to everything, so they are allowed fewer slips.
        var distanceMax = word.Length switch { <= 3 => 1, <= 7 => 2, _ => 3 };
        return best.Distance <= distanceMax ? best.Candidate : null;
    }

    /// <summary>"Did you mean ..? " with a space after it, or nothing: to put before the rest of a hint.</summary>
    public static string Sentence(string word, IEnumerable<string> candidates) =>
        For(word, candidates) is { } candidate ? $"Did you mean \"{candidate}\"? " : "";

    /// <summary>A list for reading: <c>a, b and c</c>.</summary>
    public static string Enumerate(IReadOnlyList<string> words) => words.Count switch
    {
        0 => "none",
        1 => words[0],
        _ => $"{string.Join(", ", words.Take(words.Count - 1))} and {words[^1]}",
    };

    /// <summary>Edits from one word to the other, where swapping two neighbours is one edit (optimal string alignment).</summary>
    static int Distance(string from, string to)
    {
        var rows = new int[from.Length + 1, to.Length + 1];
        for (var i = 0; i <= from.Length; i++)
        {
            for (var j = 0; j <= to.Length; j++)
            {
                if (i == 0 || j == 0)
                {
                    rows[i, j] = i + j;
                    continue;
                }

                var replace = rows[i - 1, j - 1] + (from[i - 1] == to[j - 1] ? 0 : 1);
                rows[i, j] = Math.Min(replace, Math.Min(rows[i - 1, j], rows[i, j - 1]) + 1);
                if (i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1])
                {
                    rows[i, j] = Math.Min(rows[i, j], rows[i - 2, j - 2] + 1);
                }
            }
        }

        return rows[from.Length, to.Length];
    }
}
