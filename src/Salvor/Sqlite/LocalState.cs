using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Salvor.Platform;
using Salvor.Vault;

namespace Salvor.Sqlite;

/// <summary>
/// What a restore in place leaves for the next start: the new file is this restore point, so the branch forks there and not at the end.
/// </summary>
sealed record RestoredMarker(uint Branch, ulong Position, ulong Inode, long InodeBirth);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(RestoredMarker))]
sealed partial class LocalStateJson : JsonSerializerContext;

/// <summary>
/// The small files in the folder <c>.salvor</c> beside a database, or in <c>state_dir</c>. All of it is a cache or a courtesy: losing it
/// costs time, never data.
/// </summary>
static class LocalState
{
    public const string FolderName = ".salvor";

    /// <summary>The release of this program, as locks and claims name it.</summary>
    public static string Version { get; } = typeof(LocalState).Assembly.GetName().Version?.ToString(3) ?? "0";

    public static string DefaultDirectory(string databasePath) => Path.Combine(Path.GetDirectoryName(databasePath)!, FolderName);

    public static string LockPath(string stateDirectory, string databasePath) => FileFor(stateDirectory, databasePath, "lock");

    public static string StatusPath(string stateDirectory, string databasePath) => FileFor(stateDirectory, databasePath, "status.json");

    /// <summary>The log of a cluster that waits for its vault: a folder.</summary>
    public static string SpoolPath(string stateDirectory, string source) => FileFor(stateDirectory, source, "wal");

    /// <summary>How the log of a cluster is followed.</summary>
    public static string FollowPath(string stateDirectory, string source) => FileFor(stateDirectory, source, "follow.json");

    public static string PageTablePath(string stateDirectory, string databasePath) => FileFor(stateDirectory, databasePath, "pages");

    /// <summary>Which vault the database is in.</summary>
    public static string VaultPath(string stateDirectory, string databasePath) => FileFor(stateDirectory, databasePath, "vault.json");

    /// <summary>The folder of what waits for a destination that does not work.</summary>
    public static string OutboxPath(string stateDirectory, string databasePath) => FileFor(stateDirectory, databasePath, "outbox");

    /// <summary>The answer of the last verification.</summary>
    public static string VerifyPath(string stateDirectory, string databasePath) => FileFor(stateDirectory, databasePath, "verify.json");

    /// <summary>When locks at destinations were last extended.</summary>
    public static string LocksPath(string stateDirectory, string databasePath) => FileFor(stateDirectory, databasePath, "locks.json");

    /// <summary>What the last prune of the daemon did.</summary>
    public static string PrunePath(string stateDirectory, string databasePath) => FileFor(stateDirectory, databasePath, "prune.json");

    /// <summary>The last drill.</summary>
    public static string DrillPath(string stateDirectory, string databasePath) => FileFor(stateDirectory, databasePath, "drill.json");

    /// <summary>The drills before it, one a line.</summary>
    public static string DrillHistoryPath(string stateDirectory, string databasePath) =>
        FileFor(stateDirectory, databasePath, "drills.jsonl");

    /// <summary>How the last snapshots and backups went.</summary>
    public static string BackupPath(string stateDirectory, string databasePath) => FileFor(stateDirectory, databasePath, "backup.json");

    /// <summary>The runs of backups of a source that nothing serves in between, one a line.</summary>
    public static string RunsPath(string stateDirectory, string source) => FileFor(stateDirectory, source, "runs.jsonl");

    /// <summary>The last restored and proved state.</summary>
    public static string ProvenPath(string stateDirectory, string databasePath) => FileFor(stateDirectory, databasePath, "proven");

    /// <summary>Takes the lock of a database, which a daemon and a restore in place both need.</summary>
    public static LockFile Lock(ReplicatorOptions options, TimeProvider time)
    {
        EnsureDirectory(options.StateDirectory);
        return LockFile.Acquire(
            LockPath(options.StateDirectory, options.Path), LockHolder.Current(time.GetUtcNow(), options.Socket, Version, options.Command));
    }

    public static void EnsureDirectory(string stateDirectory)
    {
        try
        {
            Directory.CreateDirectory(
                stateDirectory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SalvorException(
                FailureKind.SourceUnreadable,
                $"the folder for local state {stateDirectory} cannot be made: {e.Message}",
                "Let Salvor write beside the database, or name another folder with 'state_dir'.",
                e);
        }
    }

    public static void WriteRestored(string stateDirectory, string databasePath, RestorePointFile point)
    {
        EnsureDirectory(stateDirectory);
        var marker = new RestoredMarker(point.Branch, point.Position.Value, point.Identity.Inode, point.Identity.BirthTimeNanoseconds);
        DurableFile.Replace(
            FileFor(stateDirectory, databasePath, "restored.json"),
            JsonSerializer.SerializeToUtf8Bytes(marker, LocalStateJson.Default.RestoredMarker));
    }

    /// <summary>The marker, if it is about this very file.</summary>
    public static RestoredMarker? ReadRestored(string stateDirectory, string databasePath, FileIdentity identity)
    {
        var path = FileFor(stateDirectory, databasePath, "restored.json");
        try
        {
            var marker = File.Exists(path)
                ? JsonSerializer.Deserialize(File.ReadAllBytes(path), LocalStateJson.Default.RestoredMarker)
                : null;
            var isThisFile = marker?.Inode == identity.Inode && marker.InodeBirth == identity.BirthTimeNanoseconds;
            return isThisFile ? marker : null;
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            // It only makes the fork exact; without it the branch forks at the end of the old one, and nothing is lost.
            return null;
        }
    }

    static string FileFor(string stateDirectory, string databasePath, string suffix)
    {
        var name = Path.GetFileName(databasePath);
        if (stateDirectory != DefaultDirectory(databasePath))
        {
            // A shared folder: databases of the same name in different places must not meet.
            var hash = new PageHasher(0).Hash(0, System.Text.Encoding.UTF8.GetBytes(databasePath));
            name = string.Create(CultureInfo.InvariantCulture, $"{name}-{hash:x16}");
        }

        return Path.Combine(stateDirectory, $"{name}.{suffix}");
    }
}

/// <summary>A restored file and what it is.</summary>
readonly record struct RestorePointFile(uint Branch, Position Position, FileIdentity Identity);
