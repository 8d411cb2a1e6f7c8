using Salvor.Files;
using Salvor.Vault.Trees;

namespace Salvor.Jobs.Drills;

/// <summary>From the checks to the result: decides, and does nothing.</summary>
static class DrillJudgement
{
    /// <summary>How a target that was measured ended.</summary>
    public static CheckOutcome OfTarget(TimeSpan measured, TimeSpan? target) =>
        target is { } most && measured > most ? CheckOutcome.Fail : CheckOutcome.Pass;

    /// <summary>
    /// How much of the newest work a loss of the source could have cost: nothing where it did not change since the destination was
    /// complete.
    /// </summary>
    /// <param name="now">When the drill began.</param>
    /// <param name="completeAsOf">Everything committed up to then is at the destination.</param>
    /// <param name="sourceWrittenAt">When the files of the source were written last; null where they are not on this machine.</param>
    public static TimeSpan LossOf(DateTimeOffset now, DateTimeOffset completeAsOf, DateTimeOffset? sourceWrittenAt) =>
        sourceWrittenAt <= completeAsOf || completeAsOf > now ? TimeSpan.Zero : now - completeAsOf;

    /// <summary>How long ago something was, in seconds; 0 where a clock has it later.</summary>
    public static double AgeOf(DateTimeOffset now, DateTimeOffset then) => SmokeRunner.Seconds(then > now ? TimeSpan.Zero : now - then);

    /// <summary>The record with its result: FAIL where anything failed, else STALE where anything is too old, else PASS.</summary>
    /// <param name="record">The drill, with its checks.</param>
    /// <param name="failure">What ended it early; null where nothing did.</param>
    public static DrillRecord Judge(DrillRecord record, SalvorException? failure)
    {
        var failed = record.Checks.FirstOrDefault(check => check.Outcome == CheckOutcome.Fail);
        var stale = record.Checks.FirstOrDefault(check => check.Outcome == CheckOutcome.Stale);
        return (failure, failed, stale) switch
        {
            ({ } e, _, _) => record with
            {
                Result = DrillResult.Fail, Reason = e.Message, Hint = e.Hint, ExitCode = (int)e.Kind,
            },
            (_, { } check, _) => record with
            {
                Result = DrillResult.Fail,
                Reason = Describe(check),
                Hint = HintOf(check, record.Source),
                ExitCode = (int)(check.Kind == "integrity_check" ? FailureKind.Integrity : FailureKind.Failure),
            },
            (_, _, { } check) => record with
            {
                Result = DrillResult.Stale,
                Reason = Describe(check),
                Hint = $"Run 'salvor status {record.Source}': the daemon may have stopped, or waits for the destination.",
                ExitCode = (int)FailureKind.Stale,
            },
            _ => record with { Result = DrillResult.Pass, ExitCode = 0 },
        };
    }

    static string Describe(DrillCheck check) =>
        $"{(check.Name == check.Kind ? check.Kind : $"{check.Kind} \"{check.Name}\"")}: {check.Found}"
            + (check.Expected.Length > 0 ? $", expected {check.Expected}" : "");

    static string HintOf(DrillCheck check, string source) => check.Kind switch
    {
        "integrity_check" => $"The source was like this at that moment: 'salvor list {source}' shows earlier ones.",
        "rows" => $"Look at the tables with 'salvor drill {source} --keep'; if all is right, 'salvor drill {source} --accept-rows'.",
        "rto" => "The phases say where the time went: a nearer destination shortens fetch, a newer snapshot apply, "
            + "a newer base backup recover.",
        "rpo" => $"Run 'salvor status {source}': the newest commits are not at this destination.",
        _ => $"Run 'salvor drill {source} --keep', and look at the restored database.",
    };

    /// <summary>
    /// What is there against what the backup lists: the same, but for the files that could not be read when it was made. Devices and the
    /// like, which only root can make, may be fewer.
    /// </summary>
    public static DrillCheck OfFiles(TreeTotals listed, TreeTotals counted, RestoredTree restored, double seconds)
    {
        var (lacking, bytes) = restored.Lacking;
        var isSame = (listed.Files - lacking, listed.Directories, listed.Bytes - bytes)
            == (counted.Files, counted.Directories, counted.Bytes);
        var outcome = !isSame || lacking > listed.Unreadable || counted.Others > listed.Others ? CheckOutcome.Fail
            : lacking > 0 || listed.Others != counted.Others ? CheckOutcome.Warn
            : CheckOutcome.Pass;
        return new DrillCheck("files", "files", outcome, Text(listed), Text(counted), seconds);

        static string Text(TreeTotals totals) =>
            $"{totals.Files} file(s), {totals.Directories} directories, {totals.Others} other(s), {totals.Bytes} bytes";
    }
}
