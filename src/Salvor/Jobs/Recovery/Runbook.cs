using System.Text;
using Salvor.Jobs.Config;
using Salvor.Jobs.Drills.Reports;
using Salvor.Text;

namespace Salvor.Jobs.Recovery;

/// <summary>
/// Writes the steps of a recovery, with the names, places and commands of one source filled in. Blocks of <c>sh</c> can be run as they
/// stand, one after the other in one shell; what only a person can decide is text.
/// </summary>
public sealed partial class Runbook(RunbookFacts facts, RunbookScenario scenario)
{
    readonly StringBuilder page = new();

    /// <summary>A shell is on another machine, where there is no configuration yet.</summary>
    bool IsElsewhere => scenario is RunbookScenario.ServerLoss or RunbookScenario.Ransomware;

    string Candidate => Path.Combine(facts.ScratchPath, $"{facts.Source.Replace('/', '-')}-candidate{(IsOfDatabase ? ".db" : "")}");

    bool IsOfFiles => facts.Paths.Count > 0;

    bool IsOfDatabase => !IsOfFiles && facts.Printed is null && facts.Cluster is null;

    string What => IsOfFiles ? "files" : facts.Cluster is not null ? "cluster" : IsOfDatabase ? "database" : "data";

    string Needed => IsOfDatabase ? "SQLite 3 and " : facts.Cluster is not null ? "PostgreSQL of the same major version and " : "";

    string Config => $"--config {Shell.Quote(facts.ConfigPath)}";

    string Source => Shell.Quote(facts.Source);

    /// <summary>The page, as Markdown.</summary>
    public static string Write(RunbookFacts facts, RunbookScenario scenario) => new Runbook(facts, scenario).Write();

    string Write()
    {
        Line($"# Recovery of {facts.Source}: {NameOf(scenario)}");
        Line($"Every step restores beside the live {What}, and proves the copy before anything takes its place. "
            + "Note the time now: the time to recover counts from here.");
        Facts();
        Assess();
        Provision();
        Restore();
        Verify();
        Resume();
        return page.ToString();
    }

    void Facts()
    {
        Line("| | |\n|---|---|");
        page.Length--;
        Row(
            IsOfFiles ? "Files" : facts.Cluster is not null ? "Cluster" : IsOfDatabase ? "Database" : "What is printed by",
            IsOfFiles ? string.Join(", ", facts.Paths) : facts.Cluster ?? facts.Printed ?? facts.DatabasePath);
        Row("Configuration", facts.ConfigPath);
        foreach (var destination in facts.Destinations)
        {
            Row($"Destination {destination.Name}", destination.Location);
        }

        Row("Key", facts.KeyPlace is null ? "none: the vault is not encrypted" : $"{facts.KeyPlace}; the exported key is kept apart");
        Row("Services", facts.Services.Count == 0
            ? "not named; 'salvor runbook --service NAME' adds them"
            : string.Join(", ", facts.Services));
        Row("Last drill", facts.LastDrill is { } drill
            ? $"{DrillWords.Name(drill.Result)} at {InstantText.Format(drill.FinishedAt)}, recovered in "
                + DrillWords.Seconds(drill.RtoSeconds)
            : "none yet: 'salvor drill' makes one");
        Row("Made", $"{InstantText.Format(facts.MadeAt)} by Salvor {facts.Version}");
        page.Append('\n');
    }

    void Assess()
    {
        Line("## Assess");
        switch (scenario)
        {
            case RunbookScenario.Ransomware:
                Line("Disconnect the machine from the network and do not shut it down: its memory is evidence. "
                    + "Work from a clean machine from here on, with nothing copied from the other one.");
                Line("Look for how far it went: files renamed, notes left, when it began. Restore a moment before that.");
                break;
            case RunbookScenario.Corruption:
                Line("Find out when it was right last: a log of the app, a report of a user, a release. "
                    + "Stop the app now if it makes things worse; what was committed meanwhile stays restorable on its own branch.");
                break;
            case RunbookScenario.ServerLoss:
                Line("Do not rescue the hardware: begin on a new machine, and look at the old one later.");
                break;
            default:
                Line("Find out whether the disk is well (`dmesg`, `df`), and whether the "
                    + $"{What} {(IsOfFiles ? "are" : "is")} gone, unreadable or wrong.");
                break;
        }

        if (!IsElsewhere)
        {
            CheckVault();
        }
    }

    /// <summary>The first two steps: whether a restore will work, and to which point.</summary>
    void CheckVault()
    {
        Line(
            $"1. Pre-flight: can it be restored? Where this fails, `salvor doctor {Source} {Config}` names what is wrong, and what to do.");
        Commands($"salvor verify {Source} --quick {Config}");
        Line("2. Pick the restore point. The newest is taken unless `POINT` names a "
            + $"time{(IsOfDatabase ? " or position" : "")} of the list.");
        Commands(
            $"salvor list {Source} {Config}",
            $"POINT=''   # or: POINT='--timestamp {InstantText.Format(facts.LastDrill?.Time ?? facts.MadeAt)}'");
    }

    void Provision()
    {
        Line("## Provision");
        if (IsElsewhere)
        {
            Line($"Set up a machine with {Needed}Salvor {facts.Version}: put `salvor` into its PATH, then "
                + "look at it with `salvor version`. Install the app, and do not start it.");
            Line($"Bring the configuration to {Code(facts.ConfigPath)}: it is `salvor.yaml` in the recovery kit "
                + "(`tar xzf KIT.tar.gz`), which names each value to fill in. Set the credentials of the destinations"
                + (facts.KeyPlace is null ? "." : $", and bring the key: {facts.KeyPlace}."));
            CheckVault();
        }

        string[] folders = [facts.ScratchPath, .. IsOfDatabase ? (string[])[Path.GetDirectoryName(facts.DatabasePath)!] : []];
        Commands($"mkdir -p {string.Join(' ', folders.Select(Shell.Quote))}", $"df -h {Shell.Quote(facts.ScratchPath)}");
        if (facts.Services.Count > 0 && !IsElsewhere)
        {
            Line($"Stop what uses the {What}, the last to start first.");
            Commands([.. facts.Services.Reverse().Select(service => $"systemctl stop {Shell.Quote(service)}")]);
        }
    }

    void Restore()
    {
        Line("## Restore");
        if (facts.Cluster is not null)
        {
            RestoreCluster();
            return;
        }

        Line($"3. Restore to scratch. {(IsOfFiles ? "The folder" : "The file")} appears when all of it is proved, or not at all.");
        Commands($"salvor restore {Source} $POINT --output {Shell.Quote(Candidate)} {Config}");
        if (facts.Destinations.Count > 1)
        {
            Line("Where the first destination is gone, the next one is read by itself. To name one: "
                + string.Join(" or ", facts.Destinations.Select(item => Code($"--from {Shell.Quote(item.Location)}"))) + ".");
        }
    }

    void Verify()
    {
        Line("## Verify");
        if (IsOfFiles)
        {
            VerifyFiles();
            return;
        }

        if (facts.Cluster is not null)
        {
            VerifyCluster();
            return;
        }

        if (!IsOfDatabase)
        {
            VerifyPrinted();
            return;
        }

        Line("4. Second check, with another tool than the one that restored it.");
        Commands($"test \"$(sqlite3 {Shell.Quote(Candidate)} 'PRAGMA integrity_check;')\" = ok && echo sound");
        Line("5. Smoke test: the rows that matter are there, and the newest are as new as they should be.");
        Commands($"sqlite3 {Shell.Quote(Candidate)} '.tables'");
        Checks();
        Line("Start the app against the candidate on a throwaway instance, if it can be pointed at another file.");
    }

    void Checks()
    {
        foreach (var check in facts.Checks)
        {
            page.Append($"- {Code(check)}\n");
        }

        if (facts.Checks.Count > 0)
        {
            page.Append('\n');
        }
    }

    void Resume()
    {
        Line("## Resume");
        if (scenario is RunbookScenario.Ransomware)
        {
            Rotate();
        }

        if (IsOfFiles)
        {
            SwapFiles();
        }
        else if (facts.Cluster is not null)
        {
            SwapCluster();
        }
        else if (!IsOfDatabase)
        {
            TakeBack();
        }
        else
        {
            Line("6. Swap. What is there is moved aside with its log, not deleted; any app that has it open is named, and then nothing "
                + "happens.");
            Commands($"salvor restore {Source} $POINT --in-place {Config}");
        }

        if (facts.Services.Count > 0)
        {
            Line("Start the services in their order.");
            Commands([.. facts.Services.Select(service => $"systemctl start {Shell.Quote(service)}")]);
        }

        Line("Start the daemon where it does not run (`systemctl start salvor`): "
            + (IsOfDatabase ? "it goes on with a new branch"
                : facts.Cluster is not null ? "it follows the new timeline"
                : "its backups go on") + ", and all that was before stays restorable. "
            + "Make a backup now, and prove it.");
        Commands($"salvor backup {Source} --label after-recovery {Config}", $"salvor verify {Source} --deep {Config}");
        if (scenario is RunbookScenario.ServerLoss)
        {
            Line("Point DNS and load balancers at this machine. Then rebuild what surrounds the backups: timers, alerts, monitoring.");
            Rotate();
        }

        Line("Note the time: how long it took, how much of the newest work was lost, and what to change in this page. "
            + "Tell those who wait: users, the owner of the data, and where personal data is concerned whoever must be told by law.");
    }

    void Rotate()
    {
        Line("Change every secret that the old machine had, before anything comes back that others can reach:");
        foreach (var destination in facts.Destinations.Where(item => item is not FileDestinationConfig))
        {
            page.Append($"- the credentials of destination {destination.Name} ({Code(destination.Location)}); ")
                .Append("give the new ones no right to delete\n");
        }

        if (facts.KeyPlace is not null)
        {
            page.Append($"- the key of the vault ({facts.KeyPlace}): {Code($"salvor key rotate {facts.Source}")}\n");
        }

        page.Append("- passwords, tokens and SSH keys of the app, of its users on that machine, and in its environment\n\n");
    }

    void Line(string text) => page.Append(text).Append("\n\n");

    void Row(string name, string value) => page.Append($"| {name} | {value.Replace("|", "\\|", StringComparison.Ordinal)} |\n");

    void Commands(params IReadOnlyList<string> lines) => page.Append("```sh\n").AppendJoin('\n', lines).Append("\n```\n\n");

    static string Code(string text) => $"`{text}`";

    static string NameOf(RunbookScenario scenario) => scenario switch
    {
        RunbookScenario.ServerLoss => "the server is lost",
        RunbookScenario.Corruption => "wrong data",
        RunbookScenario.Ransomware => "ransomware",
        _ => "restore",
    };
}
