using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Salvor.Postgres.Protocol;

namespace Salvor.Tests.Support;

/// <summary>
/// A PostgreSQL server of one test or of one class of tests: on a socket in its folder, and on a port of loopback. As root it runs as
/// <c>postgres</c>, because it refuses root. Each begins with a copy of one empty cluster, which is made once in a run.
/// </summary>
sealed class PostgresServer : IAsyncDisposable
{
    /// <summary>Those of Debian 12, or of another version that was asked for.</summary>
    public static readonly string Programs =
        Environment.GetEnvironmentVariable("SALVOR_TEST_POSTGRES") ?? "/usr/lib/postgresql/15/bin";

    /// <summary>Which version that is, as its folder says.</summary>
    public static int Major { get; } = int.Parse(Path.GetFileName(Path.GetDirectoryName(Programs)!), CultureInfo.InvariantCulture);

    /// <summary>Small, so that nobody takes 16 MiB for granted, and a switch costs little.</summary>
    public const int SegmentBytes = 1 << 20;

    const string Settings = """
        listen_addresses = '127.0.0.1'
        wal_level = replica
        max_wal_size = 1GB
        min_wal_size = 2MB
        shared_buffers = 16MB
        autovacuum = off
        max_prepared_transactions = 10

        """;

    static readonly Lazy<Task<string>> template = new(MakeTemplateAsync);

    ChildProcess? server;

    PostgresServer(string folder) => (Folder, Port) = (folder, FreePort());

    /// <summary>Where its socket is.</summary>
    public string Folder { get; }

    public int Port { get; }

    public string Data => Path.Combine(Folder, "data");

    public string Wal => Path.Combine(Data, "pg_wal");

    /// <summary>What a superuser connects by, without a password, through the socket.</summary>
    public PostgresSettings Connection => At($"host={Folder} user=postgres");

    /// <summary>Settings for this server, without those of who runs the tests.</summary>
    public PostgresSettings At(string words) =>
        PostgresSettings.Parse($"port={Port} {words}", new PostgresEnvironment(name => name == "HOME" ? Folder : null));

    /// <summary>An empty cluster that is not started.</summary>
    public static async Task<PostgresServer> CreateAsync(ScratchDirectory scratch, string name = "pg")
    {
        var server = await AtAsync(scratch, name);
        await ExpectAsync(ChildProcess.RunAsync("cp", ["-a", await template.Value, server.Data]));
        return server;
    }

    /// <summary>An empty cluster that is started.</summary>
    /// <param name="scratch">Where it is.</param>
    /// <param name="name">Its folder there.</param>
    /// <param name="settings">Lines for <c>postgresql.conf</c>.</param>
    public static async Task<PostgresServer> StartAsync(ScratchDirectory scratch, string name = "pg", params string[] settings)
    {
        var server = await CreateAsync(scratch, name);
        await server.ConfigureAsync(settings);
        await server.StartAsync();
        return server;
    }

    /// <summary>A server whose data directory is made by somebody else, before it is started.</summary>
    public static async Task<PostgresServer> AtAsync(ScratchDirectory scratch, string name)
    {
        Assert.SkipUnless(Directory.Exists(Programs), $"{Programs} is not there");
        var server = new PostgresServer(scratch.Subdirectory(name));
        await server.OwnAsync(scratch);
        return server;
    }

    /// <summary>A server that follows this one, in a folder of its own, and is started.</summary>
    public async Task<PostgresServer> StandbyAsync(ScratchDirectory scratch, string name, params string[] settings)
    {
        var standby = await AtAsync(scratch, name);
        await ExpectAsync(RunAsync(
            "pg_basebackup", "-h", Folder, "-p", $"{Port}", "-U", "postgres", "-D", standby.Data, "-X", "stream", "-c", "fast", "-R"));
        await standby.ConfigureAsync(settings);
        await standby.StartAsync();
        return standby;
    }

    /// <summary>Adds lines to <c>postgresql.conf</c>, where the last counts.</summary>
    public Task ConfigureAsync(params string[] settings) =>
        File.AppendAllLinesAsync(Path.Combine(Data, "postgresql.conf"), settings, TestContext.Current.CancellationToken);

    /// <summary>Gives what a test made to the user that the server runs as, and nobody else.</summary>
    public static async Task OwnAsync(string path)
    {
        if (Environment.IsPrivilegedProcess)
        {
            await ExpectAsync(ChildProcess.RunAsync("chown", ["-R", "postgres:", path]));
        }

        await ExpectAsync(ChildProcess.RunAsync("chmod", ["-R", "go-rwx", path]));
    }

    public async Task StartAsync(bool untilReady = true)
    {
        string[] settings = [$"port={Port}", $"unix_socket_directories={Folder}"];
        server = Start("postgres", ["-D", Data, .. settings.SelectMany(setting => new[] { "-c", setting })]);
        await Eventually.HoldsAsync(
            async () =>
            {
                Assert.False(server.HasExited, $"the server ended: {server.Stderr}");
                var answer = await RunAsync("pg_isready", "-q", "-h", Folder, "-p", $"{Port}");
                return answer.ExitCode == 0 || (!untilReady && answer.ExitCode == 1);
            },
            () => server.Stderr, Eventually.StartMax);
    }

    /// <summary>Ends it in order, or as a crash does.</summary>
    public async Task StopAsync(Signal signal = Signal.Interrupt)
    {
        if (server is not null)
        {
            server.Send(signal);
            await server.ExitAsync();
            await server.DisposeAsync();
            server = null;
        }
    }

    /// <summary>What it wrote to its log.</summary>
    public string Log => server?.Stderr ?? "";

    /// <summary>Runs SQL as superuser; returns what it selects, without headers.</summary>
    public async Task<string> SqlAsync(string sql, string database = "postgres")
    {
        var result = await RunAsync(
            "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", Folder, "-p", $"{Port}", "-U", "postgres", "-d", database, "-c", sql);
        Assert.True(result.ExitCode == 0, $"{sql}: {result}");
        return result.Stdout.TrimEnd();
    }

    /// <summary>Runs one of PostgreSQL's programs as the user of the server.</summary>
    public static Task<ProcessResult> RunAsync(string program, params IEnumerable<string> arguments)
    {
        var (file, all) = Command(program, arguments);
        return ChildProcess.RunAsync(file, all);
    }

    public async ValueTask DisposeAsync()
    {
        if (server is not null)
        {
            const Signal Quit = (Signal)3;
            await StopAsync(Quit);
        }
    }

    async Task OwnAsync(ScratchDirectory scratch)
    {
        if (Environment.IsPrivilegedProcess)
        {
            File.SetUnixFileMode(scratch.Path, File.GetUnixFileMode(scratch.Path) | UnixFileMode.OtherExecute);
            await ExpectAsync(ChildProcess.RunAsync("chown", ["postgres:", Folder]));
        }
    }

    static async Task<string> MakeTemplateAsync()
    {
        var folder = Directory.CreateTempSubdirectory("salvor-pg-").FullName;
        AppDomain.CurrentDomain.ProcessExit += (_, _) => Directory.Delete(folder, recursive: true);
        if (Environment.IsPrivilegedProcess)
        {
            await ExpectAsync(ChildProcess.RunAsync("chown", ["postgres:", folder]));
        }

        var data = Path.Combine(folder, "data");
        await ExpectAsync(RunAsync(
            "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8", "--data-checksums",
            $"--wal-segsize={SegmentBytes >> 20}"));
        await File.AppendAllTextAsync(Path.Combine(data, "postgresql.conf"), Settings);
        return data;
    }

    static ChildProcess Start(string program, IEnumerable<string> arguments)
    {
        var (file, all) = Command(program, arguments);
        return ChildProcess.Start(file, all, workingDirectory: "/");
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

    static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
