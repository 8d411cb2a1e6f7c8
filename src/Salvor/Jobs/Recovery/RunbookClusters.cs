namespace Salvor.Jobs.Recovery;

/// <summary>The steps that are others for a cluster of PostgreSQL.</summary>
public sealed partial class Runbook
{
    const int CandidatePort = 54329;

    /// <summary>A server runs as whom its files belong to, and in a directory that he may enter.</summary>
    static string AsOwner(string folder, string command) => $"(cd / && setpriv --reuid=\"$(stat -c %U {folder})\" --init-groups {command})";

    void RestoreCluster()
    {
        Line("3. Restore beside, as root, and start the copy on a port of its own. It is recovered for nobody else first, and how far it "
            + "got is compared with what the vault has: a copy that falls short is named as such, and never offered.");
        Commands($"salvor restore {Source} $POINT --output {Shell.Quote(Candidate)} --start --port {CandidatePort} {Config}");
        Line("Where the settings of the cluster are outside of its data directory, as in Debian's /etc/postgresql, they come from the "
            + "source of files that has them.");
    }

    void VerifyCluster()
    {
        var folder = Shell.Quote(Candidate);
        Line("4. Second check, with PostgreSQL's own client: the copy answers, and its databases and the newest rows are there.");
        Commands(
            AsOwner(folder, $"psql -p {CandidatePort} -d postgres -XAtc 'SELECT datname, pg_database_size(oid) FROM pg_database'"));
        Line($"5. Smoke test: {Code("SELECT count(*) FROM critical_table")} and what else matters, by the same {Code("psql")}. "
            + "Where one table is all that is missing, take it from here and stop: "
            + $"{Code($"pg_dump -p {CandidatePort} -t TABLE DATABASE | psql DATABASE")}.");
        Checks();
    }

    void SwapCluster()
    {
        var folder = Shell.Quote(Candidate);
        Line("6. Swap. Stop the copy and the server, move what is there aside, and put the copy in its place: it is to be on the same file "
            + "system. The old directory stays until the new one is proved; it may hold log that was not stored yet.");
        Line($"`PGDATA` is the data directory of the server: {Code("psql -XAtc 'SHOW data_directory'")} says it, and so do its settings.");
        Line($"{Code("PGDATA=/var/lib/postgresql/15/main")}");
        Line($"{Code("systemctl stop postgresql")}");
        Line($"{Code(AsOwner(folder, $"pg_ctl -D {folder} -m fast -w stop"))}, with the {Code("pg_ctl")} of its version "
            + "(Debian: /usr/lib/postgresql/15/bin)");
        Line($"{Code("mv \"$PGDATA\" \"$PGDATA.before-recovery\"")}");
        Line($"{Code($"mv {folder} \"$PGDATA\"")}");
        Line($"{Code("systemctl start postgresql")}");
        Line("The copy has `archive_mode = 'off'`, `synchronous_standby_names = ''` and `max_logical_replication_workers = '0'` in its "
            + "postgresql.auto.conf. Where the server archived by a command, had commits wait for standbys, or subscribes to another, "
            + $"{Code("ALTER SYSTEM RESET archive_mode")}, {Code("ALTER SYSTEM RESET synchronous_standby_names")} or "
            + $"{Code("ALTER SYSTEM RESET max_logical_replication_workers")} and a restart let it go on.");
    }
}
