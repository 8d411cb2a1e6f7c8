namespace Salvor.Postgres.Backup;

/// <summary>What comes next in an archive. Exactly one of these, or nothing where more bytes are needed.</summary>
/// <param name="Entry">An entry begins.</param>
/// <param name="Content">More of its content.</param>
/// <param name="IsEnd">Its content is complete.</param>
readonly record struct TarStep(TarHeader? Entry, ReadOnlyMemory<byte> Content, bool IsEnd)
{
    public bool IsNothing => Entry is null && Content.IsEmpty && !IsEnd;
}

/// <summary>Takes an archive apart as it arrives, in pieces of any length.</summary>
sealed class TarSplitter
{
    readonly byte[] block = new byte[TarHeader.BlockBytes];
    int blockBytes;
    long content;
    int padding;
    bool isInside;
    bool isOver;

    /// <summary>Whether the archive may end here.</summary>
    public bool IsComplete => !isInside && blockBytes == 0 && padding == 0;

    /// <summary>Takes what comes next from the bytes, which are shortened by it.</summary>
    public TarStep Next(ref ReadOnlyMemory<byte> bytes)
    {
        while (true)
        {
            if (isInside)
            {
                if (content == 0)
                {
                    isInside = false;
                    return new TarStep(null, default, IsEnd: true);
                }

                var length = (int)Math.Min(content, bytes.Length);
                content -= length;
                return new TarStep(null, Take(ref bytes, length), IsEnd: false);
            }

            if (bytes.IsEmpty)
            {
                return default;
            }

            if (padding > 0)
            {
                padding -= Take(ref bytes, Math.Min(padding, bytes.Length)).Length;
                continue;
            }

            var part = Take(ref bytes, Math.Min(block.Length - blockBytes, bytes.Length));
            part.CopyTo(block.AsMemory(blockBytes));
            blockBytes += part.Length;
            if (blockBytes == block.Length && Begin() is { } entry)
            {
                return new TarStep(entry, default, IsEnd: false);
            }
        }
    }

    /// <summary>Null for the zeros at the end. Servers before version 15 leave them out.</summary>
    TarHeader? Begin()
    {
        blockBytes = 0;
        var entry = TarHeader.Read(block);
        if (entry is null)
        {
            isOver = true;
            return null;
        }

        if (isOver)
        {
            throw BackupErrors.Wrong("an archive goes on behind its end");
        }

        (isInside, content) = (true, entry.SizeBytes);
        padding = (int)(-entry.SizeBytes & (TarHeader.BlockBytes - 1));
        return entry;
    }

    static ReadOnlyMemory<byte> Take(ref ReadOnlyMemory<byte> bytes, int length)
    {
        var taken = bytes[..length];
        bytes = bytes[length..];
        return taken;
    }
}
