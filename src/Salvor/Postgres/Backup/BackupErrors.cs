namespace Salvor.Postgres.Backup;

/// <summary>Base backups that are not what they have to be.</summary>
static class BackupErrors
{
    public static SalvorException Wrong(string what) => new(
        FailureKind.Integrity,
        $"the base backup is not what a server sends: {what}",
        "Nothing of it is offered. Make the backup again; if it fails again, look at the server's log, its memory and the network.");
}
