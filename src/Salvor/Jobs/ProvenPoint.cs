using Salvor.Sqlite;
using Salvor.Vault;

namespace Salvor.Jobs;

/// <summary>The restore point that a verification on this machine restored last.</summary>
public sealed record ProvenPoint(uint Branch, Position Position, DateTimeOffset Time)
{
    /// <summary>That of a database; null where none is known, or the last verification was not a restore that found all well.</summary>
    public static ProvenPoint? Find(string stateDirectory, string database) =>
        VerifyFile.Read(LocalState.VerifyPath(stateDirectory, database)) is { Ok: true, Restore: { } restore }
            ? new ProvenPoint(restore.Branch, new Position(restore.Position), restore.Time)
            : null;
}
