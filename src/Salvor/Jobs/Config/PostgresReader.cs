using Salvor.Jobs.Keys;
using Salvor.Postgres.Backup;
using Salvor.Postgres.Protocol;
using Salvor.Text;

namespace Salvor.Jobs.Config;

/// <summary>Reads what only sources of PostgreSQL have.</summary>
static class PostgresReader
{
    const string ConnectionExample = "postgresql://salvor@localhost/postgres";

    static readonly TimeSpan FullEveryMax = TimeSpan.FromDays(366);

    /// <summary>Without base backups no log leads anywhere, so they are made where nothing is said.</summary>
    public static ScheduleConfig Daily(string name) =>
        Timetable.TryParse("every 24h", TimeZoneInfo.Utc, out var times) ? new(name, times) : throw new InvalidOperationException();

    public static PostgresSourceConfig Read(
        ConfigDocument document, string name, ConfigMapping source, IReadOnlyList<string> to)
    {
        var (connection, server) = document.LocalOnly ? default : document.Attempt(() => ReadServer(document, source), default);
        return new PostgresSourceConfig
        {
            Name = name,
            To = to,
            Connection = connection,
            Server = server,
            Slot = document.Attempt(() => ReadSlot(name, source), PostgresSourceConfig.SlotOf(name)),
            SpoolBytesMax = source.Size(
                "max_spool", PostgresSourceConfig.SpoolBytesMaxDefault, PostgresSourceConfig.SpoolBytesMaxMin,
                PostgresSourceConfig.SpoolBytesMaxMax),
            FullEvery = source.Duration("full_every", ParentChoice.FullEveryDefault, TimeSpan.Zero, FullEveryMax),
        };
    }

    /// <summary>As every client of PostgreSQL reads it. Where it stands in the file, only a password makes it a secret.</summary>
    static (SecretText Connection, PostgresSettings Server) ReadServer(ConfigDocument document, ConfigMapping source)
    {
        const string Key = "connection";
        var text = source.Text(Key, ConnectionExample);
        if (SecretValue.IsReference(text))
        {
            text = source.OptionalSecret(Key, ConnectionExample)!;
        }

        try
        {
            var server = PostgresSettings.Parse(text, new PostgresEnvironment(document.Variable));
            if (server.Password is not null || server.SslPassword is not null)
            {
                source.SecretAsWritten(Key, ConnectionExample);
            }

            return (new SecretText(text), server);
        }
        catch (SalvorException e) when (e.Kind == FailureKind.Usage)
        {
            throw source.Error(Key, $"{Key} of {source.Owner}: {e.Message}", e.Hint);
        }
    }

    static string ReadSlot(string name, ConfigMapping source) => source.OptionalText("slot", "salvor") switch
    {
        null => PostgresSourceConfig.SlotOf(name),
        { } slot when PostgresSourceConfig.IsSlot(slot) => slot,
        var slot => throw source.Error(
            "slot", $"slot of {source.Owner} is \"{slot}\", which cannot be the name of a replication slot",
            "Use at most 63 of the characters a-z 0-9 _."),
    };
}
