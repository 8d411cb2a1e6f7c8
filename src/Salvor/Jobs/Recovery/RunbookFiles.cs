namespace Salvor.Jobs.Recovery;

/// <summary>The steps that are others for files.</summary>
public sealed partial class Runbook
{
    void VerifyFiles()
    {
        Line("4. Second check, with other tools than the one that restored it: how many files there are, and how much room they take.");
        Commands($"find {Shell.Quote(Candidate)} -type f | wc -l", $"du -sh {Shell.Quote(Candidate)}");
        Line("5. Owners. Only root can give files away: restored by others, all belongs to who restored it, and the app may not write. "
            + "The first line says what would become of each owner on this machine, the others what became of the places themselves. "
            + "Where users have other numbers here, restore again with `--owner-by name`, or with `--chown USER:GROUP` for one app.");
        Commands(
        [
            $"salvor restore {Source} $POINT --output {Shell.Quote(Candidate + "-owners")} --dry-run {Config}",
            .. facts.Paths.Select(path => $"stat -c '%U:%G %a %n' {Shell.Quote(Candidate + path)}"),
        ]);
        Line("Look at what matters: the newest files are as new as they should be, and can be opened.");
        Checks();
    }

    void SwapFiles()
    {
        Line("6. Swap, as root where owners are to stay. What is there is moved aside, not deleted.");
        foreach (var path in facts.Paths)
        {
            var (place, aside) = (Shell.Quote(path), Shell.Quote(path + ".before-recovery"));
            Commands(
                $"mkdir -p {Shell.Quote(Path.GetDirectoryName(path) ?? "/")}",
                $"if test -e {place}; then mv {place} {aside}; fi",
                $"mv {Shell.Quote(Candidate + path)} {place}");
        }
    }
}
