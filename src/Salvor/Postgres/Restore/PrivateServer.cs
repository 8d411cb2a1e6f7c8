using System.Globalization;
using System.Text;
using Salvor.Platform;
using Salvor.Postgres.Protocol;
using Salvor.Vault.Wal;

namespace Salvor.Postgres.Restore;

/// <summary>
/// A server on a restored cluster for nobody but us: on a socket in a folder of its own, without a port, and it archives nothing. It ends
/// with this, or when this process dies.
/// </summary>
public sealed class PrivateServer : IAsyncDisposable
{
    const int Port = 5432;

    /// <summary>The role and database that nearly every cluster has.</summary>
    const string Postgres = "postgres";

    /// <summary>The path of a socket has 107 bytes at most, and ends with the name of a lock for a moment.</summary>
    const int FolderBytesMax = 80;

    static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);

    /// <summary>A standby that has less than its primary stops; what it had is in the control file.</summary>
    static readonly (string Control, string Setting)[] FromControlFile =
    [
        ("max_connections setting", "max_connections"), ("max_worker_processes setting", "max_worker_processes"),
        ("max_wal_senders setting", "max_wal_senders"), ("max_prepared_xacts setting", "max_prepared_transactions"),
        ("max_locks_per_xact setting", "max_locks_per_transaction"),
    ];

    readonly ClusterDirectory cluster;
    readonly PostgresPrograms programs;
    readonly GuardedProcess process;
    readonly OutputTail log;
    readonly string folder;
    readonly string paused;
    readonly TimeProvider time;

    // The database that each cluster has: another may have been dropped.
    string database = "template1";
    PostgresException? refusal;

    PrivateServer(
        ClusterDirectory cluster, PostgresPrograms programs, GuardedProcess process, string folder, string user, TimeProvider time)
    {
        const int WithPauseState = 14;
        (this.cluster, this.programs, this.process, this.folder, this.time) = (cluster, programs, process, folder, time);
        paused = programs.Major < WithPauseState ? "pg_is_wal_replay_paused()" : "pg_get_wal_replay_pause_state() = 'paused'";
        log = new OutputTail(process.ErrorText);
        Connection = PostgresSettings.Parse(
            $"host={folder} port={Port} user={user} dbname={Postgres} sslmode=disable", new PostgresEnvironment(_ => null));
    }

    /// <summary>How to connect to it; as <c>postgres</c> once it has refused the role that it was started with.</summary>
    public PostgresSettings Connection { get; private set; }

    /// <summary>Starts it; it is not yet recovered.</summary>
    /// <param name="cluster">The data directory.</param>
    /// <param name="user">A role of the cluster.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <param name="run">
    /// A folder to make for its socket, where whoever removes what a killed process left looks; a temporary one where that path is too long
    /// for a socket.
    /// </param>
    public static async Task<PrivateServer> StartAsync(
        ClusterDirectory cluster, string user, TimeProvider time, CancellationToken cancellationToken, string? run = null)
    {
        var programs = await PostgresPrograms.FindAsync(cluster.MajorVersion, cancellationToken);
        var folder = run is not null && Encoding.UTF8.GetByteCount(Path.GetFullPath(run)) <= FolderBytesMax
            ? Directory.CreateDirectory(run, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute).FullName
            : Directory.CreateTempSubdirectory("salvor-pg-").FullName;
        try
        {
            var settings = await SettingsAsync(cluster, programs, folder, cancellationToken);
            string[] command = [programs.PathOf("postgres"), "-D", cluster.Path, .. settings];
            var process = GuardedProcess.Start(new ProgramStart(PostgresPrograms.AsOwnerOf(cluster.Path, command))
            {
                Environment = new Dictionary<string, string> { ["LC_ALL"] = "C" },
            });
            return new PrivateServer(cluster, programs, process, folder, user, time);
        }
        catch
        {
            Directory.Delete(folder, recursive: true);
            throw;
        }
    }

    /// <summary>
    /// Waits until the server has recovered and accepts writes, or pauses, and compares where it stopped with what was promised: a recovery
    /// that ends early is a failure, however well the server runs.
    /// </summary>
    public async Task<Lsn> RecoveredAsync(Lsn promised, CancellationToken cancellationToken)
    {
        while (true)
        {
            if (process.HasExited)
            {
                throw new SalvorException(
                    FailureKind.NotRestorable,
                    $"the server ended before it was recovered: {Why()}",
                    "Run 'salvor verify --deep', and restore from an earlier backup where this one cannot be used.");
            }

            if (await ReplayedAsync(cancellationToken) is { } replayed)
            {
                return replayed >= promised ? replayed : throw new SalvorException(
                    FailureKind.Integrity, $"the server stopped at {replayed}, before {promised}, which the vault has",
                    "Do not use this copy: something that was committed is missing. Run 'salvor verify --deep'.");
            }

            await Task.Delay(Pause, time, cancellationToken);
        }
    }

    /// <summary>
    /// Lets PostgreSQL check all that it has, and returns by which of its programs: <c>pg_amcheck</c>, or where that cannot be used
    /// <c>pg_dumpall</c>, which reads every row. Throws <see cref="FailureKind.Integrity"/> with what they find.
    /// </summary>
    public async Task<string> CheckAsync(CancellationToken cancellationToken)
    {
        const int Corrupt = 2;
        const string Check = "pg_amcheck", Dump = "pg_dumpall";
        var (hasExtension, role) = await AskAsync(cancellationToken);
        if (hasExtension && File.Exists(programs.PathOf(Check)))
        {
            var (code, said) = await RunAsync(Check, ["--all", "--install-missing"], role, cancellationToken);
            if (code is 0 or Corrupt)
            {
                return code == 0 ? Check : throw Damaged($"{Check} found damage in the recovered cluster: {said}");
            }
        }

        var (failed, why) = await RunAsync(Dump, ["--data-only", "--no-sync", "-f", "/dev/null"], role, cancellationToken);
        return failed == 0 ? Dump : throw Damaged($"{Dump} cannot read all of the recovered cluster: {why}");

        static SalvorException Damaged(string message) => new(
            FailureKind.Integrity, message, "Run 'pg_amcheck --all' on the server itself: it may have been like this there.");
    }

    /// <summary>How to connect to it as somebody who may read all.</summary>
    public async Task<PostgresSettings> SuperuserAsync(CancellationToken cancellationToken) =>
        Connection with { User = (await AskAsync(cancellationToken)).Role };

    /// <summary>Whether the extension of the check is there, and a role that may read all.</summary>
    async Task<(bool HasExtension, string Role)> AskAsync(CancellationToken cancellationToken)
    {
        var settings = Connection with { Database = database };
        await using var connection = await PostgresConnection.OpenAsync(settings, SessionKind.Sql, time, cancellationToken);
        var rows = await connection.QueryOneAsync(
            "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'amcheck'), coalesce("
                + "(SELECT rolname::text FROM pg_roles WHERE rolsuper AND rolcanlogin ORDER BY oid LIMIT 1), current_user::text)",
            cancellationToken);
        return (rows.Text(0, 0) == "t", rows.Text(0, 1)!);
    }

    /// <summary>Runs one of PostgreSQL's programs on all databases, whatever they say of their sessions.</summary>
    async Task<(int ExitCode, string Said)> RunAsync(
        string program, IEnumerable<string> arguments, string role, CancellationToken cancellationToken)
    {
        string[] connection = ["-h", folder, "-p", Port.ToString(CultureInfo.InvariantCulture), "-U", role, "-w"];
        var command = PostgresPrograms.AsOwnerOf(cluster.Path, [programs.PathOf(program), .. connection, .. arguments]);
        await using var checking = GuardedProcess.Start(new ProgramStart(command)
        {
            Environment = new Dictionary<string, string>
            {
                ["LC_ALL"] = "C", ["PGOPTIONS"] = "-c default_transaction_read_only=off -c statement_timeout=0",
            },
        });
        var (output, errors) = (new OutputTail(checking.OutputText), new OutputTail(checking.ErrorText));
        await checking.WaitAsync([output, errors], cancellationToken);
        return (checking.ExitCode, string.Join(" | ", OutputTail.LastLines($"{errors.Text}\n{output.Text}")));
    }

    /// <summary>Ends it in order, so that it need not recover when it is started again.</summary>
    public async Task ShutDownAsync(CancellationToken cancellationToken)
    {
        const string Patience = "3600";
        await programs.RunAsOwnerAsync(
            cluster.Path, "pg_ctl", ["-D", cluster.Path, "-m", "fast", "-w", "-t", Patience, "stop"], cancellationToken);
    }

    /// <summary>
    /// What ended it, of the end of its log. What follows that are only the steps in which it ended, and before it are connections of ours
    /// that came too early.
    /// </summary>
    string Why()
    {
        var fatal = log.Text.Split('\n').Where(line =>
            (line.Contains(" FATAL: ", StringComparison.Ordinal) || line.Contains(" PANIC: ", StringComparison.Ordinal))
            && !line.Contains("the database system is ", StringComparison.Ordinal));
        var lines = OutputTail.LastLines(string.Join('\n', fatal));
        return string.Join(" | ", lines.Count > 0 ? lines : OutputTail.LastLines(log.Text));
    }

    public async ValueTask DisposeAsync()
    {
        await process.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }

    /// <summary>Up to where the log was applied; null while it still is, or nobody is let in yet.</summary>
    async Task<Lsn?> ReplayedAsync(CancellationToken cancellationToken)
    {
        try
        {
            var settings = Connection with { Database = database };
            await using var connection = await PostgresConnection.OpenAsync(settings, SessionKind.Sql, time, cancellationToken);
            var rows = await connection.QueryOneAsync(
                $"SELECT CASE WHEN pg_is_in_recovery() THEN {paused} ELSE true END, pg_last_wal_replay_lsn()", cancellationToken);
            return rows.Text(0, 0) == "t" ? rows.LsnAt(0, 1) ?? Lsn.None : null;
        }
        catch (PostgresException e) when (e.IsConnectionLoss || e.SqlState == SqlStates.NotInState)
        {
            // It is starting, or its recovery ended just now; where it ended itself, its log says why.
            return null;
        }
        catch (PostgresException e) when (e.SqlState is SqlStates.NotAuthorized or SqlStates.NotPermitted)
        {
            // The role may have been made later than the moment that is recovered to, or may do nothing but replicate.
            if (refusal is not null)
            {
                throw refusal;
            }

            (refusal, database, Connection) = (e, Postgres, Connection with { User = Postgres });
            return null;
        }
    }

    /// <summary>
    /// What it is started with, as arguments: they count more than what the cluster brings along, in whichever file it was. What
    /// its processes share while they run is in the data directory, with which it goes where they are killed. Nobody waits for standbys,
    /// libraries that are not installed here or start work of their own are not loaded, and no more memory is taken than it needs.
    /// </summary>
    static async Task<IEnumerable<string>> SettingsAsync(
        ClusterDirectory cluster, PostgresPrograms programs, string folder, CancellationToken cancellationToken)
    {
        const int WithEventTriggersOff = 17;
        var control = await programs.RunAsync("pg_controldata", [cluster.Path], cancellationToken);
        string[] files = ["postgresql.conf", "pg_hba.conf", "pg_ident.conf"];
        foreach (var name in files)
        {
            var content = name == "pg_hba.conf" ? "local all all trust\n" : "";
            await File.WriteAllTextAsync(Path.Combine(folder, name), content, cancellationToken);
        }

        if (FileStat.Of(cluster.Path) is { } owner)
        {
            Accounts.Give(folder, owner.UserId, owner.GroupId);
        }

        IEnumerable<(string Name, string Value)> settings =
        [
            .. FromControlFile.Select(item => (item.Setting, ValueOf(control, item.Control))),
            ("config_file", Path.Combine(folder, files[0])), ("hba_file", Path.Combine(folder, files[1])),
            ("ident_file", Path.Combine(folder, files[2])), ("listen_addresses", ""), ("unix_socket_directories", folder),
            ("port", Port.ToString(CultureInfo.InvariantCulture)), ("hot_standby", "on"), ("wal_level", "replica"), ("archive_mode", "off"),
            ("max_logical_replication_workers", "0"), ("dynamic_shared_memory_type", "mmap"),
            ("ssl", "off"), ("log_destination", "stderr"), ("logging_collector", "off"), ("autovacuum", "off"),
            ("synchronous_standby_names", ""), ("shared_preload_libraries", ""), ("session_preload_libraries", ""),
            ("local_preload_libraries", ""), ("external_pid_file", ""), ("shared_buffers", "128MB"), ("huge_pages", "off"),
            .. programs.Major < WithEventTriggersOff ? [] : (IEnumerable<(string, string)>)[("event_triggers", "off")],
        ];
        return settings.SelectMany(setting => new[] { "-c", $"{setting.Name}={setting.Value}" });
    }

    /// <summary>From a line such as <c>max_connections setting:               100</c>.</summary>
    static string ValueOf(string control, string name) =>
        control.Split('\n').FirstOrDefault(line => line.StartsWith(name + ":", StringComparison.Ordinal))?[(name.Length + 1)..].Trim()
        ?? throw new SalvorException(
            FailureKind.Integrity, $"the control file of the restored cluster does not tell its '{name}'",
            "Restore from another backup, and run 'salvor verify --deep'.");
}
