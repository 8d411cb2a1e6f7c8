using System.Globalization;
using Salvor.Platform;

namespace Salvor.Postgres.Restore;

/// <summary>The data directory of a cluster, as it lies on the disk.</summary>
/// <param name="path">Where it is.</param>
public sealed class ClusterDirectory(string path)
{
    const string PidFile = "postmaster.pid";

    public string Path { get; } = System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(path));

    /// <summary>Whether a cluster is there.</summary>
    public bool Exists => File.Exists(At("PG_VERSION"));

    /// <summary>The major version of the server that it is of, from 10 on. Throws where that is not said.</summary>
    public int MajorVersion
    {
        get
        {
            const int BytesMax = 16;
            using var file = new StreamReader(File.OpenRead(At("PG_VERSION")));
            var text = new char[BytesMax];
            var said = text.AsSpan(0, file.ReadBlock(text)).Trim();
            return int.TryParse(said, NumberStyles.None, CultureInfo.InvariantCulture, out var major)
                ? major
                : throw new SalvorException(
                    FailureKind.SourceUnreadable, $"{At("PG_VERSION")} does not name a version of PostgreSQL from 10 on",
                    "Choose the data directory of a cluster.");
        }
    }

    /// <summary>
    /// Throws where something may not be put here: a server runs in it, or there is something already, which a restore would mix with
    /// what it writes.
    /// </summary>
    public void ExpectFree()
    {
        if (RunningServer() is { } pid)
        {
            throw new SalvorException(
                FailureKind.Locked, $"a server runs in {Path}: process {pid}",
                $"Stop it first: pg_ctl -D {Path} stop. Or restore elsewhere.");
        }

        if (Exists || (Directory.Exists(Path) && Directory.EnumerateFileSystemEntries(Path).Any()))
        {
            throw new SalvorException(
                FailureKind.Usage, Exists ? $"there is a cluster in {Path} already" : $"directory {Path} is not empty",
                "Choose a directory that is new or empty, or move what is there aside: it may hold log that was not stored yet.");
        }
    }

    /// <summary>The process of the server that runs here; null where none does for sure.</summary>
    public int? RunningServer()
    {
        if (!File.Exists(At(PidFile)))
        {
            return null;
        }

        var first = File.ReadLines(At(PidFile)).FirstOrDefault();
        if (!int.TryParse(first, NumberStyles.None, CultureInfo.InvariantCulture, out var pid) || pid == 0 || !Posix.ProcessExists(pid))
        {
            return null;
        }

        // After a crash another process may have the number. A server works in its data directory; where that is not seen, it may be one.
        var working = FileIdentity.Of(string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}/cwd"));
        return working is null || working == FileIdentity.Of(Path) ? pid : null;
    }

    string At(string name) => System.IO.Path.Combine(Path, name);
}
