using System.Text;
using Microsoft.Win32.SafeHandles;
using Salvor.Files;
using Salvor.Jobs.Config;
using Salvor.Platform;

namespace Salvor.Jobs.Doctor;

/// <summary>
/// Goes through the files of a source as a backup does, and reads none: finds what a backup would stumble over, within bounds of time.
/// </summary>
/// <param name="config">The configuration, whose destinations are never part of a backup.</param>
/// <param name="source">The source.</param>
/// <param name="time">Bounds it.</param>
sealed class TreeLook(SalvorConfig config, FilesSourceConfig source, TimeProvider time)
{
    const int NamedMax = 5;

    static readonly TimeSpan TimeMax = TimeSpan.FromSeconds(5);

    readonly long started = time.GetTimestamp();
    readonly List<(string Text, PathPatterns Pattern)> idle =
        [.. source.Exclude.Select(text => (text, PathPatterns.Parse([text.TrimStart('!')])))];

    readonly List<(string Name, FileIdentity? Identity)> destinations =
        [.. config.Destinations.Values.OfType<FileDestinationConfig>().Select(item => (item.Name, FileIdentity.Of(item.Path)))];

    readonly byte[][] markers = [.. source.Options.ExcludeIfPresent.Select(Encoding.UTF8.GetBytes)];

    /// <summary>How many files there are, as far as it came.</summary>
    public long Files { get; private set; }

    /// <summary>Their lengths.</summary>
    public long Bytes { get; private set; }

    /// <summary>False where the time was over before everything was looked at.</summary>
    public bool IsComplete { get; private set; } = true;

    /// <summary>How many names cannot be read, and the first of them with the reason.</summary>
    public (long Count, string First) Unreadable { get; private set; } = (0, "");

    /// <summary>What is mounted below the paths, and the kind of a file system that comes over a network.</summary>
    public List<(string Path, string? Network)> Mounts { get; } = [];

    /// <summary>Files that are SQLite databases; the first few.</summary>
    public List<string> Databases { get; } = [];

    /// <summary>Destinations that lie in what is backed up.</summary>
    public List<string> Destinations { get; } = [];

    /// <summary>Patterns that nothing matched.</summary>
    public IEnumerable<string> IdlePatterns => idle.Select(item => item.Text);

    /// <summary>Looks at a path of the source. Throws where it leads nowhere.</summary>
    public void Run(string path, CancellationToken cancellationToken)
    {
        var resolved = DirectoryCalls.TryResolve(path, out var error)
            ?? throw new PosixException(error, "open", path, FailureKind.SourceUnreadable);
        var slash = resolved.AsSpan().LastIndexOf((byte)'/');
        using var above = DirectoryCalls.OpenRoot(slash == 0 ? "/" : Encoding.UTF8.GetString(resolved.AsSpan(0, slash)));
        if (resolved.Length == 1)
        {
            Inside(above, [], EntryStat.Of(above, "/").Device, cancellationToken);
        }
        else
        {
            Entry(above, resolved[..slash], resolved[(slash + 1)..], device: null, cancellationToken);
        }
    }

    void Entry(SafeFileHandle parent, byte[] above, byte[] name, ulong? device, CancellationToken cancellationToken)
    {
        byte[] path = [.. above, (byte)'/', .. name];
        if (EntryStat.In(parent, name, out var error) is not { } stat)
        {
            Note(path, error);
            return;
        }

        var isDirectory = stat.Type == EntryStat.Directory;
        idle.RemoveAll(item => item.Pattern.Matches(path, isDirectory));
        if (device is not null && source.Options.Exclude.Matches(path, isDirectory))
        {
            return;
        }

        var here = destinations.Where(item => item.Identity?.Device == stat.Device && item.Identity?.Inode == stat.Inode).ToList();
        if (here.Count > 0)
        {
            Destinations.AddRange(here.Select(item => item.Name));
        }
        else if (isDirectory)
        {
            Directory(parent, path, name, device ?? stat.Device, stat.Device, cancellationToken);
        }
        else if (stat.Type == EntryStat.Regular)
        {
            File(parent, path, name, stat);
        }
    }

    void Directory(
        SafeFileHandle parent, byte[] path, byte[] name, ulong device, ulong own, CancellationToken cancellationToken)
    {
        if (own != device)
        {
            var shown = DirectoryCalls.Show(path);
            Mounts.Add((shown, FileSystemType.NetworkName(shown)));
            if (source.Options.OneFileSystem)
            {
                return;
            }
        }

        using var directory = DirectoryCalls.TryOpenDirectory(parent, name, out var error);
        if (directory is null)
        {
            Note(path, error);
            return;
        }

        Inside(directory, path, own, cancellationToken);
    }

    void Inside(SafeFileHandle directory, byte[] path, ulong device, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        IsComplete = IsComplete && time.GetElapsedTime(started) < TimeMax;
        var names = IsComplete ? DirectoryCalls.List(directory, DirectoryCalls.Show(path)) : [];
        if (names.Any(name => markers.Any(marker => marker.AsSpan().SequenceEqual(name)))
            || (source.Options.ExcludeCaches && names.Any(name => name.AsSpan().SequenceEqual("CACHEDIR.TAG"u8))))
        {
            return;
        }

        foreach (var name in names)
        {
            Entry(directory, path, name, device, cancellationToken);
        }
    }

    void File(SafeFileHandle parent, byte[] path, byte[] name, EntryStat stat)
    {
        const uint ReadableByAll = 0b100_100_100;
        const int PageBytesMin = 512;
        (Files, Bytes) = (Files + 1, Bytes + stat.SizeBytes);
        var mayBeDatabase = stat.SizeBytes >= PageBytesMin && stat.SizeBytes % PageBytesMin == 0 && Databases.Count < NamedMax;
        if ((stat.Permissions & ReadableByAll) == ReadableByAll && !mayBeDatabase)
        {
            return;
        }

        using var file = DirectoryCalls.TryOpenFile(parent, name, out var error);
        if (file is null)
        {
            Note(path, error);
        }
        else if (mayBeDatabase && IsDatabase(file))
        {
            Databases.Add(DirectoryCalls.Show(path));
        }
    }

    static bool IsDatabase(SafeFileHandle file)
    {
        Span<byte> head = stackalloc byte[16];
        try
        {
            return RandomAccess.Read(file, head, 0) == head.Length && head.SequenceEqual("SQLite format 3\0"u8);
        }
        catch (IOException)
        {
            // A bad sector is found by the backup, which names it.
            return false;
        }
    }

    /// <summary>What vanished since it was listed is nothing to tell.</summary>
    void Note(byte[] path, int error)
    {
        if (error != Errno.NoEntry)
        {
            Unreadable = (Unreadable.Count + 1, Unreadable.Count == 0
                ? $"{DirectoryCalls.Show(path)}: {Errno.Describe(error)}"
                : Unreadable.First);
        }
    }
}
