using System.Security.Cryptography;
using Salvor.Postgres.Protocol;
using Salvor.Tests.Support;

namespace Salvor.Tests.Postgres;

/// <summary>A server that lets different roles in by different ways.</summary>
public sealed class PostgresLoginServer : IAsyncLifetime
{
    /// <summary>With a letter and a space outside of ASCII, and a character that counts for nothing.</summary>
    public const string WidePassword = "p\u00E4\u00ADss\u00A0word";

    const string Rules = """
        local     all,replication  postgres                            trust
        local     all,replication  peerless                            scram-sha-256
        hostssl   all,replication  certified   127.0.0.1/32            cert
        hostssl   all,replication  covered     127.0.0.1/32            scram-sha-256
        hostnossl all,replication  uncovered   127.0.0.1/32            scram-sha-256
        host      all,replication  hashed      127.0.0.1/32            md5
        host      all,replication  clear       127.0.0.1/32            password
        host      all,replication  scrambled,wide,ordinary,absent 127.0.0.1/32 scram-sha-256
        host      all              sqlonly     127.0.0.1/32            scram-sha-256

        """;

    readonly ScratchDirectory scratch = new();

    internal PostgresServer Server { get; private set; } = null!;

    public string RootFile => scratch["root.crt"];

    public string StrangeRootFile => scratch["stranger.crt"];

    public string Certificate(string name) => scratch[name];

    public async ValueTask InitializeAsync()
    {
        Server = await PostgresServer.CreateAsync(scratch);
        using var authority = new TestAuthority("Test Authority", RootFile);
        using var stranger = new TestAuthority("Another Authority", StrangeRootFile);
        authority.Issue(Path.Combine(Server.Data, "server"), "localhost", HashAlgorithmName.SHA384);
        authority.Issue(scratch["certified"], "certified", HashAlgorithmName.SHA256);
        File.Copy(RootFile, Path.Combine(Server.Data, "root.crt"));
        await File.WriteAllTextAsync(Path.Combine(Server.Data, "pg_hba.conf"), Rules);
        
        // More than are closing at any time: the server counts one that is on its way out.
        await Server.ConfigureAsync("ssl = on", "ssl_ca_file = 'root.crt'", "max_wal_senders = 12");
        await PostgresServer.OwnAsync(Server.Data);
        await Server.StartAsync();
        await Server.SqlAsync($"""
            CREATE ROLE peerless LOGIN REPLICATION PASSWORD 'right';
            CREATE ROLE certified LOGIN REPLICATION;
            CREATE ROLE covered LOGIN REPLICATION PASSWORD 'right';
            CREATE ROLE uncovered LOGIN REPLICATION PASSWORD 'right';
            CREATE ROLE scrambled LOGIN REPLICATION PASSWORD 'right';
            CREATE ROLE wide LOGIN REPLICATION PASSWORD '{WidePassword}';
            CREATE ROLE clear LOGIN REPLICATION PASSWORD 'right';
            CREATE ROLE ordinary LOGIN PASSWORD 'right';
            CREATE ROLE sqlonly LOGIN REPLICATION PASSWORD 'right';
            SET password_encryption = 'md5';
            CREATE ROLE hashed LOGIN REPLICATION PASSWORD 'right';
            """);
    }

    public async ValueTask DisposeAsync()
    {
        await Server.DisposeAsync();
        scratch.Dispose();
    }
}

/// <summary>Who is let in, what is checked of the server, and what an operator is told.</summary>
public sealed class PostgresLoginTests(PostgresLoginServer login) : IClassFixture<PostgresLoginServer>
{
    static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("host=127.0.0.1 sslmode=disable user=scrambled password=right", false)]
    [InlineData("host=127.0.0.1 sslmode=require user=scrambled password=right", true)]
    [InlineData("host=127.0.0.1 user=scrambled password=right channel_binding=require", true)]
    [InlineData("host=127.0.0.1 user=scrambled password=right channel_binding=disable", true)]
    [InlineData("host=127.0.0.1 sslmode=disable user=hashed password=right", false)]
    [InlineData("host=127.0.0.1 sslmode=require user=clear password=right", true)]
    [InlineData("host=127.0.0.1 sslmode=allow user=covered password=right", true)]
    [InlineData("host=127.0.0.1 sslmode=prefer user=uncovered password=right", false)]
    [InlineData("host=/nowhere,127.0.0.1 user=scrambled password=right", true)]
    [InlineData("host=nowhere.invalid hostaddr=127.0.0.1 user=scrambled password=right", true)]
    public async Task A_role_is_let_in_by_its_own_way(string words, bool isEncrypted)
    {
        var settings = login.Server.At(words);
        await using var replication = await ReplicationConnection.OpenAsync(settings, TimeProvider.System, Cancel);
        Assert.Equal(isEncrypted, replication.Connection.IsEncrypted);
        Assert.Equal(1u, (await replication.IdentifyAsync(Cancel)).Timeline);
        Assert.DoesNotContain("right", settings.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_socket_asks_for_a_password_too_where_the_rules_say_so()
    {
        await using var connection = await OpenAsync($"host={login.Server.Folder} user=peerless password=right");
        Assert.False(connection.IsEncrypted);
    }

    [Theory]
    [InlineData(PostgresLoginServer.WidePassword)]
    [InlineData("p\u00E4ss word")]
    public async Task A_password_has_one_form_however_it_is_typed(string password)
    {
        await using var connection = await OpenAsync($"host=127.0.0.1 user=wide password='{password}'");
        Assert.Equal("wide", (await connection.QueryOneAsync("SELECT current_user", Cancel)).Text(0, 0));
    }

    [Fact]
    public async Task A_certificate_lets_in_without_a_password()
    {
        var file = login.Certificate("certified");
        await using var connection = await OpenAsync(
            $"host=localhost sslmode=verify-full sslrootcert={login.RootFile} user=certified sslcert={file}.crt sslkey={file}.key");
        Assert.True(connection.IsEncrypted);
    }

    [Fact]
    public async Task The_password_file_has_a_line_for_replication_and_one_for_databases()
    {
        var file = login.Certificate("passwords");
        await File.WriteAllTextAsync(file, $"""
            # a comment
            127.0.0.1:{login.Server.Port}:replication:scrambled:right
            127.0.0.1:*:postgres:scrambled:wro\:ng

            """, Cancel);
        File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        var settings = login.Server.At($"host=127.0.0.1 user=scrambled dbname=postgres passfile={file}");
        await using (await ReplicationConnection.OpenAsync(settings, TimeProvider.System, Cancel))
        {
        }

        var refused = await Assert.ThrowsAsync<PostgresException>(
            () => PostgresConnection.OpenAsync(settings, SessionKind.Sql, TimeProvider.System, Cancel));
        Assert.Equal(SqlStates.WrongPassword, refused.SqlState);

        File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.OtherRead);
        var ignored = await Assert.ThrowsAsync<PostgresException>(
            () => ReplicationConnection.OpenAsync(settings, TimeProvider.System, Cancel));
        Assert.Equal(
            $"server 127.0.0.1:{login.Server.Port} asks for the password of user scrambled, and there is none", ignored.Message);
        Assert.StartsWith(
            $"The password file {file} is ignored, because others than its owner have access to it: run chmod 0600 on it.", ignored.Hint,
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("host=127.0.0.1 user=scrambled password=wrong", SqlStates.WrongPassword,
        "refused user scrambled: password authentication failed for user \"scrambled\"", "Check the password of user scrambled")]
    [InlineData("host=127.0.0.1 user=scrambled password='\u2168'", SqlStates.WrongPassword, "password authentication failed",
        "It has characters outside of ASCII: set and type it in composed form (Unicode NFKC).")]
    [InlineData("host=127.0.0.1 user=absent password=right", SqlStates.WrongPassword,
        "refused user absent: password authentication failed for user \"absent\"", "Check the password of user absent")]
    [InlineData("host=127.0.0.1 user=stranger password=right sslmode=disable", SqlStates.NotAuthorized,
        "no pg_hba.conf entry for replication connection from host \"127.0.0.1\", user \"stranger\", no encryption",
        "Add a line to pg_hba.conf, such as: host    replication  stranger  ADDRESS/32  scram-sha-256")]
    [InlineData("host=127.0.0.1 user=sqlonly password=right sslmode=require", SqlStates.NotAuthorized,
        "no pg_hba.conf entry for replication connection from host \"127.0.0.1\", user \"sqlonly\", SSL encryption",
        "a line for database \"all\" does not cover replication.")]
    [InlineData("host=127.0.0.1 user=covered password=right sslmode=disable", SqlStates.NotAuthorized,
        "no pg_hba.conf entry", "A hostssl line lets in with sslmode=require.")]
    [InlineData("host=127.0.0.1 user=ordinary password=right", SqlStates.NotPermitted,
        "to start walsender|permission denied to start WAL sender", "ALTER ROLE \"ordinary\" REPLICATION")]
    [InlineData("host=127.0.0.1 user=clear password=right sslmode=disable", SqlStates.NotAuthorized,
        "asks for the password of user clear in clear over a connection that is not encrypted", "Use sslmode=verify-full")]
    [InlineData("host=127.0.0.1 user=hashed password=right channel_binding=require", SqlStates.NotAuthorized,
        "does not bind the log-in to the encryption, and channel_binding=require asks for that", "It takes TLS and a role with a scram")]
    [InlineData("host=127.0.0.1 user=scrambled password=right channel_binding=require sslmode=disable", SqlStates.NotAuthorized,
        "does not bind the log-in", "It takes TLS")]
    [InlineData("host=127.0.0.1 user=scrambled password=right target_session_attrs=standby", SqlStates.CannotConnect,
        "is not a standby", "Name the other servers too")]
    [InlineData("host=/nowhere user=scrambled", SqlStates.CannotConnect, "cannot connect to server /nowhere/.s.PGSQL.", "Name the folder")]
    [InlineData("host=nowhere.invalid user=scrambled", SqlStates.CannotConnect, "cannot connect to server nowhere.invalid:", "Check")]
    public async Task A_refusal_says_what_to_do(string words, string sqlState, string message, string hint)
    {
        var refused = await Assert.ThrowsAsync<PostgresException>(
            () => ReplicationConnection.OpenAsync(login.Server.At(words), TimeProvider.System, Cancel));

        // Servers of different versions say the same differently.
        Assert.Contains(message.Split('|'), part => refused.Message.Contains(part, StringComparison.Ordinal));
        Assert.Contains(hint, refused.Hint, StringComparison.Ordinal);
        Assert.Equal((sqlState, FailureKind.SourceUnreadable), (refused.SqlState, refused.Kind));
    }

    [Theory]
    [InlineData("localhost", "verify-full", "root", "")]
    [InlineData("127.0.0.1", "verify-ca", "root", "")]
    [InlineData("127.0.0.1", "require", "", "")]
    [InlineData("127.0.0.1", "verify-full", "root", "is not proved to be the one that is meant: its certificate is for localhost")]
    [InlineData("localhost", "verify-full", "stranger", "vouches for its certificate")]
    [InlineData("localhost", "verify-ca", "stranger", "vouches for its certificate")]
    [InlineData("localhost", "require", "stranger", "vouches for its certificate")]
    [InlineData("localhost", "verify-full", "system", "nobody in the system's store vouches for its certificate")]
    public async Task What_the_server_proves_is_what_the_mode_asks_for(string host, string mode, string root, string wrong)
    {
        var file = root switch { "root" => login.RootFile, "stranger" => login.StrangeRootFile, _ => root };
        var words = $"host={host} hostaddr=127.0.0.1 user=scrambled password=right sslmode={mode}"
            + (file.Length > 0 ? $" sslrootcert={file}" : "");
        if (wrong.Length == 0)
        {
            await using var connection = await OpenAsync(words);
            Assert.True(connection.IsEncrypted);
            return;
        }

        var refused = await Assert.ThrowsAsync<PostgresException>(() => OpenAsync(words));
        Assert.Contains(wrong, refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task To_verify_takes_somebody_who_vouches()
    {
        var wrong = await Assert.ThrowsAsync<SalvorException>(
            () => OpenAsync("host=localhost user=scrambled password=right sslmode=verify-full"));
        Assert.Equal(
            (FailureKind.Usage, "the server is to be verified, and no file says who may vouch for it"), (wrong.Kind, wrong.Message));
    }

    [Fact]
    public async Task Too_many_receivers_are_refused_with_the_setting_that_limits_them()
    {
        var settings = login.Server.At("host=127.0.0.1 user=scrambled password=right");
        var open = new List<ReplicationConnection>();
        var refused = await Assert.ThrowsAsync<PostgresException>(async () =>
        {
            while (open.Count < 20)
            {
                open.Add(await ReplicationConnection.OpenAsync(settings, TimeProvider.System, Cancel));
            }
        });
        foreach (var connection in open)
        {
            await connection.DisposeAsync();
        }

        Assert.Equal(SqlStates.TooManyConnections, refused.SqlState);
        Assert.True(refused.IsConnectionLoss);
        Assert.StartsWith("Raise max_wal_senders or max_connections", refused.Hint, StringComparison.Ordinal);
    }

    Task<PostgresConnection> OpenAsync(string words) =>
        PostgresConnection.OpenAsync(login.Server.At(words + " dbname=postgres"), SessionKind.Sql, TimeProvider.System, Cancel);
}

/// <summary>Servers that do not let anybody in.</summary>
public sealed class PostgresUnavailableTests
{
    static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Nothing_that_listens_is_an_answer_of_its_own()
    {
        using var scratch = new ScratchDirectory();
        await using var server = await PostgresServer.CreateAsync(scratch);
        var refused = await Assert.ThrowsAsync<PostgresException>(
            () => ReplicationConnection.OpenAsync(server.At("host=127.0.0.1"), TimeProvider.System, Cancel));
        Assert.StartsWith($"cannot connect to server 127.0.0.1:{server.Port}: ", refused.Message, StringComparison.Ordinal);
        Assert.Equal(
            "Is the server running, and does it listen there? See listen_addresses and port, and firewalls between.", refused.Hint);
    }

    [Fact]
    public async Task A_server_that_offers_no_encryption_is_refused_where_that_is_asked_for()
    {
        using var scratch = new ScratchDirectory();
        await using var server = await PostgresServer.StartAsync(scratch);
        var refused = await Assert.ThrowsAsync<PostgresException>(() => ReplicationConnection.OpenAsync(
            server.At("host=127.0.0.1 user=postgres sslmode=require"), TimeProvider.System, Cancel));
        Assert.Equal(
            $"server 127.0.0.1:{server.Port} offers no encryption, and the settings ask for it", refused.Message);
        await using var connection = await ReplicationConnection.OpenAsync(
            server.At("host=127.0.0.1 user=postgres"), TimeProvider.System, Cancel);
        Assert.False(connection.Connection.IsEncrypted);
    }

    [Fact]
    public async Task A_server_that_recovers_is_to_be_waited_for()
    {
        using var scratch = new ScratchDirectory();
        await using var server = await PostgresServer.CreateAsync(scratch);
        await File.WriteAllTextAsync(Path.Combine(server.Data, "standby.signal"), "", Cancel);
        await server.ConfigureAsync("hot_standby = off");
        await PostgresServer.OwnAsync(server.Data);
        await server.StartAsync(untilReady: false);
        var refused = await Assert.ThrowsAsync<PostgresException>(
            () => ReplicationConnection.OpenAsync(server.Connection, TimeProvider.System, Cancel));
        Assert.Equal(SqlStates.NotYet, refused.SqlState);
        Assert.True(refused.IsConnectionLoss);
        Assert.StartsWith("Wait until the server accepts connections", refused.Hint, StringComparison.Ordinal);
    }
}
