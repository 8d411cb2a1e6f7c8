using System.Globalization;
using System.Text;
using Salvor.Vault.Wal;

namespace Salvor.Postgres.Protocol;

/// <summary>Rows of an answer, each value as the text that the server sends.</summary>
public sealed class PostgresRows
{
    const int ColumnsMax = 1664;

    readonly PostgresConnection connection;
    readonly List<byte[]?[]> rows = [];
    readonly string[] columns;

    internal PostgresRows(PostgresConnection connection, ReadOnlySpan<byte> description)
    {
        this.connection = connection;
        var body = new MessageBody($"{connection.Host}", description);
        var count = body.I16();
        columns = new string[count is >= 0 and <= ColumnsMax ? count : throw connection.Garbled($"it announces {count} columns")];
        for (var i = 0; i < columns.Length; i++)
        {
            columns[i] = body.Text();
            body.Take(18);
        }
    }

    /// <summary>The names of the columns.</summary>
    public IReadOnlyList<string> Columns => columns;

    /// <summary>How many rows there are.</summary>
    public int Count => rows.Count;

    /// <summary>A value as text; null for NULL. Throws where the server sent fewer rows or columns.</summary>
    public string? Text(int row, int column) => Bytes(row, column) is { } bytes ? Encoding.UTF8.GetString(bytes) : null;

    /// <summary>A value as it came; null for NULL.</summary>
    public byte[]? Bytes(int row, int column) => row < rows.Count && column < columns.Length
        ? rows[row][column]
        : throw connection.Garbled($"its answer has {rows.Count} rows of {columns.Length} columns");

    /// <summary>An address; null for NULL.</summary>
    internal Lsn? LsnAt(int row, int column) =>
        Text(row, column) is not { } text ? null
        : Lsn.TryParse(text, out var lsn) ? lsn
        : throw connection.Garbled($"\"{text}\" is no address in the log");

    /// <summary>A number of 32 bits; null for NULL. Since version 16 timelines come as longer ones.</summary>
    internal uint? NumberAt(int row, int column) =>
        Text(row, column) is not { } text ? null
        : uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number
        : throw connection.Garbled($"\"{text}\" is no number");

    internal void Add(ReadOnlySpan<byte> data)
    {
        var body = new MessageBody($"{connection.Host}", data);
        var row = new byte[]?[columns.Length];
        if (body.I16() != row.Length)
        {
            throw connection.Garbled("a row has other columns than were announced");
        }

        for (var i = 0; i < row.Length; i++)
        {
            var length = body.I32();
            row[i] = length < 0 ? null : body.Take(length).ToArray();
        }

        rows.Add(row);
    }
}
