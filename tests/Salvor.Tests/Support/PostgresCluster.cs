using System.Globalization;

namespace Salvor.Tests.Support;

/// <summary>
/// A PostgreSQL server of one test, on a socket only. As root it runs as <c>postgres</c>, because it refuses root. Its data stays when it
/// ends, as after a crash.
/// </summary>
sealed class PostgresCluster : IAsyncDisposable
{
    const string Programs = "/usr/lib/postgresql/15/bin";

    ChildProcess? server;

    PostgresCluster(string folder) => Folder = folder;

    /// <summary>Where the socket is.</summary>
    public string Folder { get; }

    public string Data => Path.Combine(Folder, "data");

    public string Wal => Path.Combine(Data, "pg_wal");

    /// <summary>Makes a cluster, without starting it.</summary>
    /// <param name="segmentMegabytes">The size of the files of its log.</param>
    public static async Task<PostgresCluster> CreateAsync(ScratchDirectory scratch, string name = "pg", int segmentMegabytes = 1)
    {
        Assert.SkipUnless(Directory.Exists(Programs), $"{Programs} is not there");
        var cluster = new PostgresCluster(scratch.Subdirectory(name));
        if (Environment.IsPrivilegedProcess)
        {
            File.SetUnixFileMode(scratch.Path, File.GetUnixFileMode(scratch.Path) | UnixFileMode.OtherExecute);
            await ExpectAsync(ChildProcess.RunAsync("chown", ["postgres:", cluster.Folder]));
        }

        string[] arguments =
            ["-D", cluster.Data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8",
                string.Create(CultureInfo.InvariantCulture, $"--wal-segsize={segmentMegabytes}")];
        await ExpectAsync(RunAsync("initdb", arguments));
        return cluster;
    }

    /// <summary>Makes a cluster and starts it.</summary>
    public static async Task<PostgresCluster> StartAsync(ScratchDirectory scratch, string name = "pg", int segmentMegabytes = 1)
    {
        var cluster = await CreateAsync(scratch, name, segmentMegabytes);
        await cluster.StartAsync();
        return cluster;
    }

    /// <summary>A cluster whose data directory somebody else made, in this folder.</summary>
    public static PostgresCluster At(string folder) => new(folder);

    public async Task StartAsync(params string[] settings)
    {
        string[] fixedSettings =
            ["listen_addresses=", $"unix_socket_directories={Folder}", "max_prepared_transactions=10", "wal_level=replica",
                "min_wal_size=2MB", "max_wal_size=1GB", "wal_keep_size=512MB", "autovacuum=off", "shared_buffers=16MB"];
        server = StartProgram(
            "postgres", ["-D", Data, .. fixedSettings.Concat(settings).SelectMany(setting => new[] { "-c", setting })]);
        for (var attempt = 0; (await RunAsync("pg_isready", ["-q", "-h", Folder])).ExitCode != 0; attempt++)
        {
            Assert.False(server.HasExited || attempt > 600, $"the server does not answer: {server.Stderr}");
            await Task.Delay(50);
        }
    }

    /// <summary>Runs SQL; returns what it selects, without headers.</summary>
    public async Task<string> SqlAsync(string sql)
    {
        var result = await RunAsync("psql", ["-XAtq", "-v", "ON_ERROR_STOP=1", "-h", Folder, "-U", "postgres", "-c", sql]);
        Assert.True(result.ExitCode == 0, $"{sql}: {result}");
        return result.Stdout.TrimEnd();
    }

    /// <summary>Runs one of PostgreSQL's programs.</summary>
    public static Task<ProcessResult> RunAsync(string program, IEnumerable<string> arguments)
    {
        var (file, all) = Command(program, arguments);
        return ChildProcess.RunAsync(file, all);
    }

    /// <summary>Ends it as a crash does.</summary>
    public async Task KillAsync()
    {
        await server!.KillAsync();
        await server.DisposeAsync();
        server = null;

        // The others end when they notice; until then the next one would not start.
        for (var attempt = 0; attempt < 600 && (await RunAsync("pg_isready", ["-q", "-h", Folder])).ExitCode == 0; attempt++)
        {
            await Task.Delay(50);
        }
    }

    /// <summary>Ends it in order.</summary>
    public async Task StopAsync()
    {
        if (server is not null)
        {
            server.Send(Signal.Interrupt);
            await server.ExitAsync();
            await server.DisposeAsync();
            server = null;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (server is not null)
        {
            // At once, and all of it: nobody wants the data any more.
            server.Send((Signal)3);
            await server.ExitAsync();
            await server.DisposeAsync();
        }
    }

    static ChildProcess StartProgram(string program, IEnumerable<string> arguments)
    {
        var (file, all) = Command(program, arguments);
        return ChildProcess.Start(file, all);
    }

    static (string File, IEnumerable<string> Arguments) Command(string program, IEnumerable<string> arguments)
    {
        var path = Path.Combine(Programs, program);
        return Environment.IsPrivilegedProcess
            ? ("setpriv", ["--reuid=postgres", "--regid=postgres", "--clear-groups", path, .. arguments])
            : (path, arguments);
    }

    static async Task ExpectAsync(Task<ProcessResult> run)
    {
        var result = await run;
        Assert.True(result.ExitCode == 0, result.ToString());
    }
}
