using Salvor.Jobs.Setup;
using Salvor.Tests.Support;

namespace Salvor.Tests.Jobs.Setup;

public sealed class DatabaseSearchTests : IDisposable
{
    readonly ScratchDirectory scratch = new();

    public void Dispose() => scratch.Dispose();

    [Fact]
    public async Task Databases_are_found_by_their_content_and_caches_are_passed_over()
    {
        foreach (var folder in (string[])["app/data", ".cache/x", "profile/.mozilla"])
        {
            Directory.CreateDirectory(scratch[folder]);
        }

        await Tool.SqlAsync(scratch["app/data/no-ending"], "PRAGMA journal_mode = WAL; CREATE TABLE t(x);");
        await Tool.SqlAsync(scratch["old.db"], "CREATE TABLE t(x);");
        File.WriteAllText(scratch["text.db"], new string('x', 4096));
        File.WriteAllText(scratch["empty.db"], "");
        File.Copy(scratch["old.db"], scratch[".cache/x/y.db"]);
        File.Copy(scratch["old.db"], scratch["profile/.mozilla/places.sqlite"]);
        File.CreateSymbolicLink(scratch["link.db"], scratch["old.db"]);
        using var open = File.OpenRead(scratch["old.db"]);

        var result = new DatabaseSearch(TimeProvider.System).Run(scratch.Path, TestContext.Current.CancellationToken);

        Assert.Equal(
            [(scratch["old.db"], false), (scratch["app/data/no-ending"], true)], result.Databases.Select(item => (item.Path, item.IsWal)));
        Assert.True(result.IsComplete);
        Assert.Contains(result.Databases[0].OpenIn, holder => holder.EndsWith($"({Environment.ProcessId})", StringComparison.Ordinal));
        Assert.Empty(result.Databases[1].OpenIn);
    }

    [Fact]
    public void A_search_ends_when_its_time_is_over()
    {
        Directory.CreateDirectory(scratch["a/b"]);

        Assert.False(new DatabaseSearch(new LeapingTime()).Run(scratch.Path, TestContext.Current.CancellationToken).IsComplete);
    }

    [Fact]
    public void What_is_no_folder_is_named()
    {
        var e = Assert.Throws<SalvorException>(
            () => new DatabaseSearch(TimeProvider.System).Run(scratch["no"], TestContext.Current.CancellationToken));

        Assert.Equal($"{scratch["no"]} is not a folder to search in", e.Message);
    }

    /// <summary>A minute goes by whenever it is looked at.</summary>
    sealed class LeapingTime : TimeProvider
    {
        long looks;

        public override long GetTimestamp() => TimestampFrequency * 60 * ++looks;
    }
}
