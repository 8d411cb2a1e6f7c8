using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.Win32.SafeHandles;

namespace Salvor.Platform;

/// <summary>Who holds a lock, as the lock file says it.</summary>
/// <param name="Host">The machine.</param>
/// <param name="BootId">Which start of the machine.</param>
/// <param name="Pid">The process; 0 where the file does not say.</param>
/// <param name="StartTicks">When the process started, in clock ticks since the machine did.</param>
/// <param name="Since">When it took the lock.</param>
/// <param name="Socket">Where it answers, if it does.</param>
/// <param name="Version">The version of the program.</param>
sealed record LockHolder(
    string Host, string BootId, int Pid, long StartTicks, DateTimeOffset Since, string? Socket, string Version)
{
    /// <summary>The user that the process runs as.</summary>
    public string User { get; init; } = "";

    /// <summary>What the process does, for people.</summary>
    public string Command { get; init; } = "";

    /// <summary>This process.</summary>
    public static LockHolder Current(DateTimeOffset since, string? socket, string version, string command = "")
    {
        var process = ProcessIdentity.Current();
        return new(process.Host, process.BootId, process.Pid, process.StartTicks, since, socket, version)
        {
            User = Environment.UserName, Command = command,
        };
    }
}

/// <summary>
/// A lock that one process of a machine holds, and that ends with it however it ends. The file stays: removing it would let two
/// processes lock two files of one name.
/// </summary>
sealed class LockFile : IDisposable
{
    // A look at the lock (HolderOf) holds it for microseconds, which must not turn an owner away.
    const int AttemptsMax = 50;
    const int SizeBytesMax = 64 * 1024;

    readonly string path;
    readonly SafeFileHandle file;

    LockFile(string path, SafeFileHandle file)
    {
        this.path = path;
        this.file = file;
    }

    /// <summary>
    /// Takes the lock and writes down who has it. Throws <see cref="FailureKind.Locked"/>, naming the holder, where another has it.
    /// </summary>
    public static LockFile Acquire(string path, LockHolder holder)
    {
        for (var attempt = 1; ; attempt++)
        {
            var file = Posix.Open(path, Posix.ReadWrite | Posix.Create | Posix.NoFollow);
            try
            {
                if (Posix.TryLock(file, exclusive: true, path) && IsAt(path, file))
                {
                    Write(file, path, holder);
                    return new(path, file);
                }
            }
            catch (SalvorException)
            {
                file.Dispose();
                throw;
            }

            file.Dispose();
            if (attempt == AttemptsMax)
            {
                throw Locked(path);
            }

            Thread.Sleep(1);
        }
    }

    /// <summary>Who holds the lock now, or null where nobody does. A file left behind by a dead process is not a lock.</summary>
    public static LockHolder? HolderOf(string path)
    {
        if (Posix.TryOpen(path, Posix.ReadOnly | Posix.NoFollow, out var error) is not { } opened)
        {
            return error is Errno.NoEntry or Errno.NotDirectory ? null : throw new PosixException(error, "open", path);
        }

        using var file = opened;
        for (var attempt = 1; ; attempt++)
        {
            // Shared, so that two who look do not take each other for the holder; closing the file gives it up again.
            if (Posix.TryLock(file, exclusive: false, path))
            {
                return null;
            }

            var holder = Read(file);
            if (holder is not null || attempt == AttemptsMax)
            {
                return holder ?? new("unknown", "", 0, 0, DateTimeOffset.UnixEpoch, null, "");
            }

            // The holder locks first and writes then.
            Thread.Sleep(1);
        }
    }

    /// <summary>Gives the lock up. The file stays, empty.</summary>
    public void Dispose()
    {
        if (file.IsClosed)
        {
            return;
        }

        try
        {
            RandomAccess.SetLength(file, 0);
        }
        catch (IOException)
        {
            // A stale name in the file misleads nobody who asks for the lock itself; keeping the lock would block everyone.
        }

        Posix.Unlock(file, path);
        file.Dispose();
    }

    static SalvorException Locked(string path)
    {
        // Between our attempt and this look the holder may have gone; the answer was true when it was given.
        var holder = HolderOf(path);
        return holder is null or { Pid: 0 }
            ? new(FailureKind.Locked, $"{path} is held by another process", $"Run 'fuser -v {path}' to see which.")
            : new(
                FailureKind.Locked,
                $"{path} is held by pid {holder.Pid} on host {holder.Host} since {holder.Since.UtcDateTime:yyyy-MM-ddTHH:mm:ssZ}",
                $"Run 'salvor status' to see what it does, wait for it, or stop it: 'kill {holder.Pid}' on {holder.Host}.");
    }

    /// <summary>Whether the name still leads to the file that was locked: someone may have removed it in between.</summary>
    static bool IsAt(string path, SafeFileHandle file) =>
        FileStat.Of(path, followLinks: false)?.Identity is { } named && named == FileStat.Of(file, path).Identity;

    static void Write(SafeFileHandle file, string path, LockHolder holder)
    {
        var text = JsonSerializer.SerializeToUtf8Bytes(holder, LockHolderJson.Default.LockHolder);
        try
        {
            RandomAccess.SetLength(file, 0);
            RandomAccess.Write(file, text, fileOffset: 0);
        }
        catch (IOException e)
        {
            throw new PosixException(Errno.Of(e), "write", path);
        }
    }

    static LockHolder? Read(SafeFileHandle file)
    {
        var text = new byte[Math.Min(RandomAccess.GetLength(file), SizeBytesMax)];
        var sizeBytes = RandomAccess.Read(file, text, fileOffset: 0);
        try
        {
            return JsonSerializer.Deserialize(text.AsSpan(0, sizeBytes), LockHolderJson.Default.LockHolder);
        }
        catch (JsonException)
        {
            // Empty or half written: whoever locked it has not said yet who it is.
            return null;
        }
    }
}

/// <summary>How a lock file spells its fields.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(LockHolder))]
sealed partial class LockHolderJson : JsonSerializerContext;
