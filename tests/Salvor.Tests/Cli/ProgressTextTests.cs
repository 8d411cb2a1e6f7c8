using Salvor.Cli.Terminal;

namespace Salvor.Tests.Cli;

/// <summary>How far long work is, as a line of the terminal. Its paths are shortened as the locale of the tests allows.</summary>
public sealed class ProgressTextTests
{
    const long MiB = 1 << 20;

    static readonly WorkProgress Half = new("restoring", 100 * MiB, 200 * MiB);

    [Fact]
    public void Bytes_time_left_and_rate_follow_the_phase() =>
        Assert.Equal("app: restoring 50%, 100 MiB of 200 MiB, 20s left, 5 MiB/s", Format(Half, seconds: 10, done: 50 * MiB));

    [Fact]
    public void The_rate_counts_from_where_the_phase_was_first_seen_and_not_before_a_second() =>
        Assert.Equal("app: restoring 50%, 100 MiB of 200 MiB", Format(Half, seconds: 0.9, done: 50 * MiB));

    [Fact]
    public void Where_nobody_knows_how_much_there_is_it_tells_the_time_that_passed() =>
        Assert.Equal(
            "app: reading, 100 MiB, 10s, 5 MiB/s, 12 files",
            Format(new WorkProgress("reading", 100 * MiB) { Count = "12 files" }, seconds: 10, done: 50 * MiB));

    [Fact]
    public void A_phase_without_figures_tells_how_long_it_lasts() =>
        Assert.Equal("app: checking with integrity_check, 1m5s", Format(new WorkProgress("checking with integrity_check"), 65, 0));

    [Fact]
    public void What_is_not_bytes_says_what_it_is() =>
        Assert.Equal(
            "app: deleting 30%, 30 of 100 objects, 7s left, 10 objects/s",
            Format(new WorkProgress("deleting", 30, 100) { Unit = "objects" }, seconds: 3, done: 30));

    [Fact]
    public void What_matters_least_is_left_out_first_where_the_line_is_too_long()
    {
        var progress = Half with { Count = "12 files", Item = "/srv/app/uploads/a.bin" };

        Assert.Equal(
            "app: restoring 50%, 100 MiB of 200 MiB, 20s left, 5 MiB/s, 12 files, /srv/app/uploads/a.bin",
            Format(progress, 10, 50 * MiB, columns: 100));
        Assert.EndsWith("uploads/a.bin", Format(progress, 10, 50 * MiB, columns: 86), StringComparison.Ordinal);
        Assert.Equal(
            "app: restoring 50%, 100 MiB of 200 MiB, 20s left, 5 MiB/s, 12 files", Format(progress, 10, 50 * MiB, columns: 72));
        Assert.Equal("app: restoring 50%, 100 MiB of 200 MiB", Format(progress, 10, 50 * MiB, columns: 40));
        Assert.Equal("app: restoring 50%, 20s left", Format(progress, 10, 50 * MiB, columns: 30));
        Assert.Equal("app: restor", Format(progress, 10, 50 * MiB, columns: 11));
    }

    [Fact]
    public void No_line_is_wider_than_its_terminal_and_wide_letters_count_twice()
    {
        foreach (var columns in Enumerable.Range(1, 120))
        {
            var line = Format(Half with { Item = string.Concat(Enumerable.Repeat("漢字", 50)) }, 10, 50 * MiB, columns);
            Assert.True(line.Sum(letter => letter is '漢' or '字' ? 2 : 1) <= columns, line);
        }
    }

    [Fact]
    public void A_path_moves_no_cursor() =>
        Assert.EndsWith(", /srv/?[2J?x.bin", Format(Half with { Item = "/srv/\e[2J\nx.bin" }, 10, 50 * MiB), StringComparison.Ordinal);

    static string Format(WorkProgress progress, double seconds, long done, int columns = 200) =>
        ProgressText.Format("app", progress, new ProgressPace(TimeSpan.FromSeconds(seconds), done), columns);
}
