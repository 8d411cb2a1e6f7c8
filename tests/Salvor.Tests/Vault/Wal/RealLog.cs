using Salvor.Tests.Support;
using Salvor.Vault.Wal;

namespace Salvor.Tests.Vault.Wal;

/// <summary>The log of a real server after some work, for tests that only read it.</summary>
public sealed class RealLog : IAsyncLifetime
{
    static readonly string[] Work =
    [
        "create table t (id serial primary key, body text)",
        "insert into t (body) select repeat(md5(i::text), 20) from generate_series(1, 3000) i",
        "begin; update t set body = 'x' where id < 100; rollback",
        "begin; insert into t (body) values ('prepared'); prepare transaction 'first'",
        "commit prepared 'first'",
        "begin; create table other (i int); insert into other values (1); prepare transaction 'second'",
        "rollback prepared 'second'",
        "select pg_create_restore_point('before the drop')",
        "do $$ begin for i in 1..200 loop begin insert into t values (-i); exception when others then null; end; end loop; end $$",
        "drop table t",
        "select pg_switch_wal()",
        "create table after_the_switch (i int)",
        "insert into after_the_switch select * from generate_series(1, 20000)",
        "create table wide as select i, repeat(md5(i::text), 50) from generate_series(1, 10000) i",
        "select pg_create_restore_point('the end')",
    ];

    readonly ScratchDirectory scratch = new();

    internal PostgresServer Cluster { get; private set; } = null!;

    internal WalShape Shape { get; private set; } = null!;

    /// <summary>Where it begins: a segment.</summary>
    internal Lsn First { get; private set; }

    internal Lsn End { get; private set; }

    internal IReadOnlyList<WalSegment> Segments { get; private set; } = [];

    internal byte[] Bytes { get; private set; } = [];

    /// <summary>All of it, as PostgreSQL reads it.</summary>
    internal IReadOnlyList<RealWal.Line> Expected { get; private set; } = [];

    public async ValueTask InitializeAsync()
    {
        Cluster = await PostgresServer.StartAsync(scratch, "pg", RealWal.KeepAll);
        foreach (var statement in Work)
        {
            await Cluster.SqlAsync(statement);
        }

        // What the server writes by itself would move the end.
        await Cluster.StopAsync();
        await Cluster.StartAsync();
        Shape = RealWal.ShapeOf(Cluster);
        var end = Lsn.None;
        await Eventually.HoldsAsync(
            async () =>
            {
                // Between a record of a hint and its flush, the log that is durable ends within that.
                var ends = (await Cluster.SqlAsync("select pg_current_wal_flush_lsn(), pg_current_wal_insert_lsn()")).Split('|');
                return Lsn.TryParse(ends[0], out end) && ends[0] == ends[1];
            },
            () => $"the log never rests: {end}");
        End = end;
        Segments = await RealWal.SegmentsAsync(Cluster, Shape);
        (First, Bytes) = RealWal.ReadUpTo(Cluster, Segments, end);
        Expected = await RealWal.DumpAsync(Cluster, 1, First, end);
    }

    public async ValueTask DisposeAsync()
    {
        await Cluster.DisposeAsync();
        scratch.Dispose();
    }
}
