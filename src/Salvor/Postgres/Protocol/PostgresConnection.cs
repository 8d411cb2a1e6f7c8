using System.Globalization;

namespace Salvor.Postgres.Protocol;

/// <summary>
/// A connection to a server by the frontend/backend protocol, version 3. Not thread-safe; whoever cancels a call disposes of it, unless
/// the call says otherwise.
/// </summary>
public sealed class PostgresConnection : IAsyncDisposable
{
    /// <summary>All rows of an answer together. What is asked here has few.</summary>
    const int AnswerBytesMax = 64 << 20;

    const int ParametersMax = 1000;

    readonly TimeProvider time;

    internal PostgresConnection(MessageStream messages, PostgresHost host, PostgresSettings settings, TimeProvider time) =>
        (Messages, Host, Settings, this.time) = (messages, host, settings, time);

    /// <summary>Connects. Throws <see cref="PostgresException"/>, or a usage error where a file of the settings cannot be used.</summary>
    public static Task<PostgresConnection> OpenAsync(
        PostgresSettings settings, SessionKind kind, TimeProvider time, CancellationToken cancellationToken) =>
        PostgresConnecting.OpenAsync(settings, kind, time, cancellationToken);

    /// <summary>
    /// Another connection to the same server, for statements. One for replication needs no database: where the settings name none, there
    /// may be none of the user's name, and it is <c>postgres</c>.
    /// </summary>
    public async Task<PostgresConnection> OpenBesideAsync(CancellationToken cancellationToken)
    {
        var settings = Settings with { Hosts = [Host] };
        try
        {
            return await OpenAsync(settings, SessionKind.Sql, time, cancellationToken);
        }
        catch (PostgresException e) when (e.SqlState == SqlStates.NoSuchDatabase)
        {
            return await OpenAsync(settings with { Database = "postgres" }, SessionKind.Sql, time, cancellationToken);
        }
    }

    /// <summary>The one of the hosts that let us in.</summary>
    public PostgresHost Host { get; }

    public PostgresSettings Settings { get; }

    /// <summary>Whether what goes over the network is encrypted.</summary>
    public bool IsEncrypted { get; init; }

    /// <summary>What the server tells of itself to everybody, such as <c>server_version</c>.</summary>
    public IReadOnlyDictionary<string, string> Parameters => parameters;

    /// <summary>As <c>server_version_num</c> has it: 150018 is 15.18, 180000 a version 18 before its release.</summary>
    public int ServerVersion { get; private set; }

    /// <summary>Told of what the server warns of.</summary>
    public Action<ServerNotice>? Noticed { get; set; }

    internal MessageStream Messages { get; }

    internal TimeProvider Time => time;

    readonly Dictionary<string, string> parameters = new(StringComparer.Ordinal);

    /// <summary>Runs statements, and returns what each of them answers that answers rows.</summary>
    public async Task<IReadOnlyList<PostgresRows>> QueryAsync(string sql, CancellationToken cancellationToken)
    {
        await Messages.WriteTextAsync((byte)'Q', sql, cancellationToken);
        return await ReadAnswerAsync(cancellationToken);
    }

    /// <summary>Runs a statement that answers exactly one set of rows.</summary>
    public async Task<PostgresRows> QueryOneAsync(string sql, CancellationToken cancellationToken) =>
        await QueryAsync(sql, cancellationToken) is [var rows]
            ? rows
            : throw Garbled($"its answer to {sql.Split(' ')[0]} is not one set of rows");

    /// <summary>The value of a setting of the server, as <c>SHOW</c> prints it.</summary>
    public async Task<string> ShowAsync(string setting, CancellationToken cancellationToken)
    {
        var rows = await QueryOneAsync($"SHOW {PostgresNames.Setting(setting)}", cancellationToken);
        return rows.Count == 1 ? rows.Text(0, 0) ?? "" : throw Garbled($"it shows {rows.Count} values of {setting}");
    }

    public ValueTask DisposeAsync() => Messages.DisposeAsync();

    /// <summary>
    /// The next message that is about what was asked. Throws what the server refuses; then it is in order again after
    /// <see cref="ReadyAsync"/>, unless the error was fatal.
    /// </summary>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <param name="within">Throws <see cref="TimeoutException"/> after that; null waits for ever.</param>
    internal async ValueTask<ServerMessage> NextAsync(CancellationToken cancellationToken, TimeSpan? within = null)
    {
        while (true)
        {
            var message = await Messages.ReadAsync(within, cancellationToken);
            switch (message.Type)
            {
                case (byte)'E':
                    throw PostgresErrors.Of(ServerNotice.Read(message.Body.Span), $"{Host}", Settings, Host);
                case (byte)'N':
                    Noticed?.Invoke(ServerNotice.Read(message.Body.Span));
                    break;
                case (byte)'S':
                    Learn(message.Body.Span);
                    break;
                case (byte)'A' or (byte)'K':
                    break;
                default:
                    return message;
            }
        }
    }

    /// <summary>Reads up to where the server waits for the next command.</summary>
    internal async Task ReadyAsync(CancellationToken cancellationToken)
    {
        while ((await NextAsync(cancellationToken)).Type != (byte)'Z')
        {
        }
    }

    /// <summary>Reads all that a statement answers. What it refuses is thrown when the server is ready for the next.</summary>
    internal async Task<IReadOnlyList<PostgresRows>> ReadAnswerAsync(CancellationToken cancellationToken)
    {
        var answers = new List<PostgresRows>();
        var bytes = 0L;
        while (true)
        {
            var message = await FirstAsync(cancellationToken);
            switch (message.Type)
            {
                case (byte)'T':
                    answers.Add(new PostgresRows(this, message.Body.Span));
                    break;
                case (byte)'D' when answers.Count > 0:
                    bytes += message.Body.Length;
                    answers[^1].Add(bytes <= AnswerBytesMax ? message.Body.Span : throw Garbled("its answer is too long"));
                    break;
                case (byte)'C' or (byte)'I':
                    break;
                case (byte)'Z':
                    return answers;
                default:
                    throw Unexpected(message.Type, "an answer");
            }
        }
    }

    /// <summary>As <see cref="NextAsync"/>; what the server refuses is thrown when it is ready for the next command.</summary>
    internal async ValueTask<ServerMessage> FirstAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await NextAsync(cancellationToken);
        }
        catch (PostgresException e) when (!e.IsConnectionLoss)
        {
            await RecoverAsync(cancellationToken);
            throw;
        }
    }

    /// <summary>After an error: reads up to where the server waits for the next command.</summary>
    internal async Task RecoverAsync(CancellationToken cancellationToken)
    {
        try
        {
            await ReadyAsync(cancellationToken);
        }
        catch (PostgresException e) when (e.IsConnectionLoss)
        {
            // The error was fatal: it is why the server closed the connection, and says more than that it did.
        }
    }

    internal PostgresException Unexpected(byte type, string place) => Garbled($"message '{(char)type}' within {place}");

    internal PostgresException Garbled(string what) => PostgresErrors.Garbled($"{Host}", what);

    void Learn(ReadOnlySpan<byte> message)
    {
        var body = new MessageBody($"{Host}", message);
        var (name, value) = (body.Text(), body.Text());
        if (parameters.Count < ParametersMax)
        {
            parameters[name] = value;
        }

        if (name == "server_version")
        {
            ServerVersion = VersionOf(value);
        }
    }

    /// <summary>From <c>15.18 (Debian 15.18-0)</c> or <c>18beta1</c>.</summary>
    static int VersionOf(string text)
    {
        var numbers = new string([.. text.TakeWhile(character => char.IsAsciiDigit(character) || character == '.')]).Split('.');
        var minor = numbers.Length > 1 && int.TryParse(numbers[1], CultureInfo.InvariantCulture, out var number) ? number : 0;
        return int.TryParse(numbers[0], CultureInfo.InvariantCulture, out var major) && major < 1000 ? (major * 10000) + minor : 0;
    }
}
