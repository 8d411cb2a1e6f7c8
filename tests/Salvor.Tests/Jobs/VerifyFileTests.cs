using Salvor.Jobs;
using Salvor.Tests.Support;

namespace Salvor.Tests.Jobs;

public sealed class VerifyFileTests
{
    static readonly DateTimeOffset Now = new(2026, 8, 31, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public void A_proven_point_stays_proven_until_a_verification_finds_something()
    {
        using var scratch = new ScratchDirectory();
        var state = scratch.Subdirectory("state");
        var database = scratch["app.db"];
        var deep = Record("deep") with { Restore = new VerifiedRestore(1, 7, Now, 1, 1, false, "quick_check", 1, "") };

        Assert.Null(Proven());
        Write(deep);
        Assert.Equal(7UL, Proven());
        Write(Record("shallow"));
        Assert.Equal(7UL, Proven());
        Assert.Equal("shallow", VerifyFile.Read(Salvor.Sqlite.LocalState.VerifyPath(state, database))!.Kind);
        Write(Record("shallow") with { Ok = false });
        Assert.Null(Proven());
        Write(Record("shallow"));
        Assert.Null(Proven());

        void Write(VerifyRecord record) => VerifyFile.Write(Salvor.Sqlite.LocalState.VerifyPath(state, database), record);

        ulong? Proven() => ProvenPoint.Find(state, database)?.Position.Value;
    }

    static VerifyRecord Record(string kind) => new()
    {
        Source = "app",
        Kind = kind,
        StartedAt = Now,
        FinishedAt = Now,
        Ok = true,
        Branch = 1,
        Position = 9,
        Objects = 1,
        Bytes = 1,
        RestorePoints = 1,
        Destinations = [],
    };
}
