namespace Salvor.Postgres.Protocol;

/// <summary>What a server answered, or that none did.</summary>
/// <param name="kind">How a caller reacts.</param>
/// <param name="message">What happened.</param>
/// <param name="hint">What to do.</param>
/// <param name="sqlState">Which failure it is, one of five characters: <see cref="SqlStates"/> has those that callers ask for.</param>
/// <param name="inner">What it was made of.</param>
public sealed class PostgresException(FailureKind kind, string message, string hint, string sqlState, Exception? inner = null)
    : SalvorException(kind, message, hint, inner)
{
    /// <summary>Five characters, never empty.</summary>
    public string SqlState { get; } = sqlState;

    /// <summary>Whether the connection is gone, or none could be made: to connect again may help.</summary>
    public bool IsConnectionLoss => SqlState.StartsWith("08", StringComparison.Ordinal)
        || SqlState.StartsWith("57P", StringComparison.Ordinal)
        || SqlState is SqlStates.TooManyConnections;
}

/// <summary>Failures by their numbers, <see href="https://www.postgresql.org/docs/current/errcodes-appendix.html"/>.</summary>
public static class SqlStates
{
    /// <summary>Nothing answers, or it is no server.</summary>
    public const string CannotConnect = "08001";

    /// <summary>The connection broke.</summary>
    public const string ConnectionLost = "08006";

    /// <summary>What came is not what the protocol has there.</summary>
    public const string ProtocolViolation = "08P01";

    public const string WrongPassword = "28P01";

    /// <summary>No rule of <c>pg_hba.conf</c> lets it in, or there is no such role.</summary>
    public const string NotAuthorized = "28000";

    public const string NotPermitted = "42501";

    /// <summary>A command, or an option of it, that the server does not know.</summary>
    public const string SyntaxError = "42601";

    /// <summary>What the server could do, and was built without.</summary>
    public const string NotSupported = "0A000";

    public const string NoSuchDatabase = "3D000";

    public const string NoSuchObject = "42704";

    public const string AlreadyThere = "42710";

    /// <summary>A slot in a state in which nothing is read from it: invalidated, for one.</summary>
    public const string NotInState = "55000";

    /// <summary>A slot that another connection reads from.</summary>
    public const string InUse = "55006";

    public const string TooManyConnections = "53300";

    public const string ShuttingDown = "57P01";

    /// <summary>Starting, stopping or recovering.</summary>
    public const string NotYet = "57P03";

    /// <summary>A file is not there: the log that was asked for has been removed.</summary>
    public const string Removed = "58P01";

    /// <summary>A page whose checksum is wrong.</summary>
    public const string DamagedData = "XX001";
}
