namespace Salvor.Postgres.Protocol;

/// <summary>What a server is asked for with a base backup.</summary>
public sealed record BaseBackupOptions
{
    /// <summary>What <c>backup_label</c> says.</summary>
    public required string Label { get; init; }

    /// <summary>Whether the checkpoint that it begins with is made at once; else it is spread over minutes.</summary>
    public bool IsFast { get; init; } = true;

    /// <summary>Whether the server checks the checksum of each page, if it has any.</summary>
    public bool ChecksPages { get; init; } = true;

    /// <summary>KiB a second, 32 to 1048576; null for as fast as it goes.</summary>
    public int? RateMax { get; init; }

    /// <summary>What the server compresses the archives by, such as <c>lz4</c>; null for nothing. From version 15 on.</summary>
    public string? Compression { get; init; }

    /// <summary>More of that, such as <c>level=3,workers=2</c>.</summary>
    public string? CompressionDetail { get; init; }

    /// <summary>
    /// Whether only what changed since another backup is sent, whose manifest was uploaded before. From version 17 on.
    /// </summary>
    public bool IsIncremental { get; init; }

    /// <summary>
    /// The command. The log is left out, and not waited for: whoever makes the backup receives it, and knows when it is durable.
    /// </summary>
    internal string Command(bool hasParentheses)
    {
        var label = PostgresNames.Text(Label);
        if (!hasParentheses)
        {
            return Compression is null && !IsIncremental
                ? $"BASE_BACKUP LABEL {label} PROGRESS{(IsFast ? " FAST" : "")} NOWAIT{(RateMax is { } rate ? $" MAX_RATE {rate}" : "")}"
                    + $" TABLESPACE_MAP{(ChecksPages ? "" : " NOVERIFY_CHECKSUMS")} MANIFEST 'yes' MANIFEST_CHECKSUMS 'CRC32C'"
                : throw PostgresSettings.Wrong(
                    "a server before version 15 compresses nothing and makes no incremental backup", "Leave both out.");
        }

        List<string> options =
        [
            $"LABEL {label}", "PROGRESS", $"CHECKPOINT '{(IsFast ? "fast" : "spread")}'", "WAL false", "WAIT false", "TABLESPACE_MAP",
            $"VERIFY_CHECKSUMS {(ChecksPages ? "true" : "false")}", "MANIFEST 'yes'", "MANIFEST_CHECKSUMS 'CRC32C'",
        ];
        if (RateMax is { } limit)
        {
            options.Add($"MAX_RATE {limit}");
        }

        if (Compression is { } method)
        {
            options.Add($"COMPRESSION {PostgresNames.Text(method)}");
            options.AddRange(CompressionDetail is { } detail ? [$"COMPRESSION_DETAIL {PostgresNames.Text(detail)}"] : []);
        }

        if (IsIncremental)
        {
            options.Add("INCREMENTAL");
        }

        return $"BASE_BACKUP ({string.Join(", ", options)})";
    }
}
