using System.CommandLine;
using System.Globalization;
using Salvor.Cli.Terminal;
using Salvor.Postgres.Restore;
using Salvor.Text;
using Salvor.Vault.Wal;

namespace Salvor.Cli.Commands;

/// <summary>The options by which a restore of a cluster is told where its recovery ends, and where its files go.</summary>
static class ClusterOptions
{
    const int PortMax = 65535;

    public static readonly Option<string?> Address = new("--lsn")
    {
        Description = "Of a cluster: what was committed up to this address of its log.", HelpName = "X/Y",
    };

    public static readonly Option<string?> Xid = new("--xid")
    {
        Description = "Of a cluster: up to the end of this transaction.", HelpName = "N",
    };

    public static readonly Option<bool> Exclusive = new("--exclusive") { Description = "With --xid: without that transaction." };

    public static readonly Option<string?> RestorePoint = new("--restore-point")
    {
        Description = "Of a cluster: up to what pg_create_restore_point gave this name.", HelpName = "NAME",
    };

    public static readonly Option<bool> Immediate = new("--immediate")
    {
        Description = "Of a cluster: the end of the base backup, and not one transaction more.",
    };

    public static readonly Option<int?> Timeline = TypedOptions.Number(
        "--timeline", 1, int.MaxValue, "Of a cluster: the timeline that is followed (default: the newest).");

    public static readonly Option<string> Action = new Option<string>("--target-action")
    {
        Description = "Of a cluster: what the server does when it is recovered: promote (the default), pause or shutdown.",
        DefaultValueFactory = _ => "promote", HelpName = "WHAT",
    }.WithChoices("promote", "pause", "shutdown");

    public static readonly Option<string[]> Tablespace = new("--tablespace")
    {
        Description = "Of a cluster: put a tablespace there (default: OUTPUT.tablespaces/OID). May be given again.", HelpName = "OID=DIR",
        DefaultValueFactory = _ => [],
    };

    public static readonly Option<bool> MakesTablespaces = new("--make-tablespaces")
    {
        Description = "Of a cluster: let the recovery make and empty the places of tablespaces that are newer than the base backup.",
    };

    public static readonly Option<bool> Delta = new("--delta")
    {
        Description = "Of a cluster: over the stopped one in OUTPUT, or a restore that was cut off there; what is the same is kept.",
    };

    public static readonly Option<bool> Start = new("--start")
    {
        Description = "Of a cluster: start the server, and compare how far it is recovered with what the vault has.",
    };

    public static readonly Option<int?> Port = TypedOptions.Number(
        "--port", 1, PortMax, "With --start: the port (default: that of the cluster's own settings).");

    /// <summary>What goes with clusters alone.</summary>
    public static readonly Option[] Own =
    [
        Address, Xid, Exclusive, RestorePoint, Immediate, Timeline, Action, Tablespace, MakesTablespaces, Delta, Start, Port,
    ];

    /// <summary>The moment that is wanted. Throws where two are named, or one is not what it should be.</summary>
    public static RecoveryTarget TargetOf(Invocation invocation, Option<string?> timestamp)
    {
        Option[] given = [.. new Option[] { timestamp, Address, Xid, RestorePoint, Immediate }.Where(invocation.Has)];
        if (given is [var one, var another, ..])
        {
            throw new SalvorException(
                FailureKind.Usage, $"'{one.Name}' and '{another.Name}' each say where the recovery ends", "Give one of them.");
        }

        if (invocation.Has(Exclusive) && !invocation.Has(Xid))
        {
            throw new SalvorException(
                FailureKind.Usage, "'--exclusive' is given, and not '--xid'", "It leaves out the transaction of '--xid'.");
        }

        return invocation.Get(timestamp) is { } time ? new RecoveryTarget.Time(InstantText.Parse(time))
            : invocation.Get(Address) is { } address ? new RecoveryTarget.Address(LsnOf(address))
            : invocation.Get(Xid) is { } xid ? new RecoveryTarget.Transaction(XidOf(xid), !invocation.Get(Exclusive))
            : invocation.Get(RestorePoint) is { } name ? new RecoveryTarget.Named(name)
            : invocation.Get(Immediate) ? new RecoveryTarget.Immediate()
            : new RecoveryTarget.Latest();
    }

    public static RecoveryAction ActionOf(Invocation invocation) => invocation.Get(Action) switch
    {
        "pause" => RecoveryAction.Pause,
        "shutdown" => RecoveryAction.Shutdown,
        _ => RecoveryAction.Promote,
    };

    /// <summary>Where tablespaces go, by their numbers; full paths.</summary>
    public static IReadOnlyDictionary<uint, string> TablespacesOf(Invocation invocation)
    {
        var places = new Dictionary<uint, string>();
        foreach (var text in invocation.Get(Tablespace))
        {
            var parts = text.Split('=', 2);
            if (parts.Length < 2 || parts[1].Length == 0
                || !uint.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out var id)
                || !places.TryAdd(id, Path.GetFullPath(parts[1])))
            {
                throw new SalvorException(
                    FailureKind.Usage, $"'--tablespace' is \"{text}\", and takes a number and a directory, once for each tablespace",
                    "Write '--tablespace 16385=/srv/fast'; 'SELECT oid, spcname FROM pg_tablespace' shows the numbers.");
            }
        }

        return places;
    }

    /// <summary>Throws where options of a start do not fit.</summary>
    public static void ExpectStart(Invocation invocation)
    {
        if (invocation.Has(Port) && !invocation.Get(Start))
        {
            throw new SalvorException(
                FailureKind.Usage, "'--port' is given, and not '--start'",
                "Add '--start', or give the port to the server when it is started.");
        }

        if (invocation.Get(Start) && ActionOf(invocation) == RecoveryAction.Shutdown)
        {
            throw new SalvorException(
                FailureKind.Usage, "'--start' and '--target-action shutdown' contradict each other", "Leave one of them out.");
        }
    }

    static Lsn LsnOf(string text) => Lsn.TryParse(text, out var address)
        ? address
        : throw new SalvorException(
            FailureKind.Usage, $"\"{text}\" is not an address of the log",
            "Write it as PostgreSQL does, like 16/B374D848; 'SELECT pg_current_wal_lsn()' shows one.");

    static uint XidOf(string text) => uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var xid) && xid > 0
        ? xid
        : throw new SalvorException(
            FailureKind.Usage, $"\"{text}\" is not a transaction", "It is a number from 1 to 4294967295, as 'xmin' of a row shows it.");
}
