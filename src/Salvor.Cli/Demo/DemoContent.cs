using System.Globalization;
using System.Text;

namespace Salvor.Cli.Demo;

/// <summary>
/// What the app of the demo writes: transaction k adds row k and changes one row that exists, and every content is a function of k. So
/// what a database must hold after any number of transactions can be computed, without having kept a copy of anything.
/// </summary>
static class DemoContent
{
    public const string Schema = """
        CREATE TABLE entries(id INTEGER PRIMARY KEY, changed_by INTEGER NOT NULL, content TEXT NOT NULL);
        CREATE INDEX entries_changed_by ON entries(changed_by);
        """;

    /// <summary>Each row as one text, in order: <see cref="Row"/>.</summary>
    public const string RowsQuery = "SELECT id || ' ' || changed_by || ' ' || content FROM entries ORDER BY id";

    const int LengthMin = 40;
    const int LengthMax = 900;
    const string Letters = "abcdefghijklmnopqrstuvwxyz012345";

    /// <summary>The statements of transaction k, without its BEGIN and COMMIT.</summary>
    public static IEnumerable<string> Statements(int k)
    {
        yield return string.Create(CultureInfo.InvariantCulture, $"INSERT INTO entries VALUES ({k}, {k}, '{Text(k, k)}')");
        var id = ChangedBy(k);
        yield return string.Create(
            CultureInfo.InvariantCulture, $"UPDATE entries SET changed_by = {k}, content = '{Text(id, k)}' WHERE id = {id}");
    }

    /// <summary>The rows after the first <paramref name="transactions"/> transactions, in the form of <see cref="RowsQuery"/>.</summary>
    public static IEnumerable<string> Rows(int transactions)
    {
        var changedBy = new int[transactions + 1];
        for (var k = 1; k <= transactions; k++)
        {
            changedBy[k] = k;
            changedBy[ChangedBy(k)] = k;
        }

        return Enumerable.Range(1, transactions).Select(id => Row(id, changedBy[id]));
    }

    static string Row(int id, int k) => string.Create(CultureInfo.InvariantCulture, $"{id} {k} {Text(id, k)}");

    /// <summary>The row, 1 to k, that transaction k changes.</summary>
    static int ChangedBy(int k) => 1 + (int)(Mix((ulong)k) % (ulong)k);

    static string Text(int id, int k)
    {
        var state = Mix(((ulong)id << 32) | (uint)k);
        var text = new StringBuilder(LengthMax);
        for (var length = LengthMin + (int)(state % (LengthMax - LengthMin)); text.Length < length;)
        {
            state = Mix(state);
            for (var bits = state; bits != 0; bits >>= 5)
            {
                text.Append(Letters[(int)(bits & 31)]);
            }
        }

        return text.ToString();
    }

    /// <summary>The step of SplitMix64: https://prng.di.unimi.it/splitmix64.c.</summary>
    static ulong Mix(ulong state)
    {
        state += 0x9e3779b97f4a7c15;
        state = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9;
        state = (state ^ (state >> 27)) * 0x94d049bb133111eb;
        return state ^ (state >> 31);
    }
}
