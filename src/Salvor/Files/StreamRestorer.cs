using Microsoft.Win32.SafeHandles;
using Salvor.Platform;
using Salvor.Text;
using Salvor.Vault.Format;
using Salvor.Vault.Trees;

namespace Salvor.Files;

/// <summary>
/// Brings a stream back that <see cref="StreamBackup"/> stored, each chunk checked against its name before it is handed on.
/// </summary>
/// <param name="snapshot">Where it is.</param>
public sealed class StreamRestorer(TreeSnapshot snapshot)
{
    /// <summary>How much there is.</summary>
    public long SizeBytes => snapshot.Details.Totals.Bytes;

    /// <summary>Refuses early what <see cref="WriteFileAsync"/> would refuse at the end.</summary>
    public static void ExpectPlace(string path, bool replaces)
    {
        if (Directory.Exists(path))
        {
            throw new SalvorException(
                FailureKind.Usage, $"{path} is a directory, and this backup is one file", "Name a file with '--output'.");
        }

        if (!replaces && Path.Exists(path))
        {
            throw Taken(path);
        }

        if (!Directory.Exists(Path.GetDirectoryName(path)))
        {
            throw new SalvorException(
                FailureKind.NotRestorable, $"directory {Path.GetDirectoryName(path)} does not exist", "Make it, or name another file.");
        }
    }

    /// <summary>
    /// Writes it to a file for its owner only, which appears when all of it is there, checked and durable. What a killed restore left in
    /// that directory is removed.
    /// </summary>
    public async Task WriteFileAsync(string path, bool replaces, Action<WorkProgress>? progressed, CancellationToken cancellationToken)
    {
        ExpectPlace(path, replaces);
        var directory = Path.GetDirectoryName(path)!;
        if (DiskSpace.FreeBytes(directory) is { } free && free < SizeBytes)
        {
            throw new SalvorException(
                FailureKind.Failure,
                $"not enough room in {directory}: the restore needs {SizeText.Format(SizeBytes)}, has {SizeText.Format(free)} free",
                $"Free some ('df -h {directory}' shows how much is left), or choose another disk with '--output'.");
        }

        UnfinishedFile.Sweep(directory);
        using var unfinished = UnfinishedFile.Create(path);
        using (var target = new FileStream(new SafeFileHandle(unfinished.Handle.DangerousGetHandle(), ownsHandle: false), FileAccess.Write))
        {
            await WriteWholeAsync(target, path, progressed, cancellationToken);
        }

        DurableFile.FlushFile(unfinished.Handle, unfinished.Path);
        if (replaces)
        {
            Posix.Rename(unfinished.Path, path);
        }
        else if (!DurableFile.RenameNoReplace(unfinished.Path, path))
        {
            throw Taken(path);
        }

        unfinished.IsFinished = true;
        DurableFile.FlushDirectory(directory);
    }

    async Task WriteWholeAsync(Stream target, string path, Action<WorkProgress>? progressed, CancellationToken cancellationToken)
    {
        try
        {
            await WriteAsync(target, progressed, cancellationToken);
            await target.FlushAsync(cancellationToken);
        }
        catch (IOException e)
        {
            throw new PosixException(Errno.Of(e), "write", path);
        }
    }

    /// <summary>Writes it to a stream. Throws where something is missing or damaged: then less was written.</summary>
    public async Task WriteAsync(Stream target, Action<WorkProgress>? progressed, CancellationToken cancellationToken)
    {
        await snapshot.ExpectSoundAsync(cancellationToken);
        if (snapshot.Details.Totals is not { Files: 1, Directories: 0, Others: 0 } || (ulong)SizeBytes != snapshot.Details.Content.Length)
        {
            throw new DamagedObjectException(snapshot.Key, "it is not of one stream");
        }

        await using var content = snapshot.ReadContent();
        for (var offset = 0UL; offset < content.Length;)
        {
            var data = await content.ReadAsync(offset, content.Length, cancellationToken);
            await target.WriteAsync(data, cancellationToken);
            offset += (ulong)data.Length;
            progressed?.Invoke(new WorkProgress("restoring", (long)offset, SizeBytes));
        }
    }

    static SalvorException Taken(string path) => new(
        FailureKind.Usage, $"{path} exists already", "Name another file with '--output', or replace it with '--force'.");
}
