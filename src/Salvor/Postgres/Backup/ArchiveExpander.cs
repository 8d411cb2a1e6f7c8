using Salvor.Platform;

namespace Salvor.Postgres.Backup;

/// <summary>
/// Expands an archive that a server compressed: one frame of lz4 (https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md), in pieces
/// of any length. That costs the server no more than sending all of it would, and spares both sides most of the waiting for each other.
/// </summary>
sealed unsafe class ArchiveExpander : IDisposable
{
    /// <summary>What servers are asked for.</summary>
    public const string Method = "lz4";

    /// <summary>The longest block of a frame that a server makes.</summary>
    const int BlockBytes = 256 << 10;

    readonly byte[] block = new byte[BlockBytes];
    nint context;
    bool isOver = true;

    public ArchiveExpander() => Expect(LibLz4.CreateExpander(out context, LibLz4.FrameVersion));

    ~ArchiveExpander() => Free();

    /// <summary>Whether the library for it is installed.</summary>
    public static bool IsAvailable => LibLz4.IsAvailable;

    /// <summary>An archive begins.</summary>
    public void Begin()
    {
        End();
        isOver = false;
    }

    /// <summary>No archive goes on. Throws where it should.</summary>
    public void End()
    {
        if (!isOver)
        {
            throw BackupErrors.Wrong("a compressed archive ends before its end");
        }
    }

    /// <summary>
    /// Takes from the bytes, which are shortened by that, and returns what comes of it, up to the next call: empty where it needs more.
    /// Throws where they are no frame, or more than one.
    /// </summary>
    public ReadOnlyMemory<byte> Next(ref ReadOnlyMemory<byte> bytes)
    {
        while (true)
        {
            if (isOver)
            {
                return bytes.IsEmpty ? default : throw BackupErrors.Wrong("a compressed archive goes on behind its end");
            }

            nuint made = BlockBytes, taken = (nuint)bytes.Length;
            fixed (byte* source = bytes.Span, target = block)
            {
                isOver = Expect(LibLz4.Expand(context, target, ref made, source, ref taken, 0)) == 0;
            }

            bytes = bytes[(int)taken..];
            if (made > 0 || taken == 0)
            {
                return block.AsMemory(0, (int)made);
            }
        }
    }

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    static nuint Expect(nuint code) =>
        LibLz4.IsError(code) == 0 ? code : throw BackupErrors.Wrong($"an archive is not compressed by {Method} as it should be");

    void Free()
    {
        if (context != 0)
        {
            _ = LibLz4.FreeExpander(context);
            context = 0;
        }
    }
}
