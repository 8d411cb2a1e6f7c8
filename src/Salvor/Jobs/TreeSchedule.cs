using Microsoft.Extensions.Logging;
using Salvor.Files;
using Salvor.Jobs.Clusters;
using Salvor.Jobs.Config;
using Salvor.Platform;
using Salvor.Sqlite;
using Salvor.Sqlite.Snapshots;
using Salvor.Vault;

namespace Salvor.Jobs;

/// <summary>
/// Backs up the sources of files of a configuration that say when, one after the other. What was missed while nothing ran is made up for
/// once, at the start.
/// </summary>
/// <param name="config">The configuration as it is now.</param>
/// <param name="time">The clock.</param>
/// <param name="logger">Told how each went.</param>
public sealed class TreeSchedule(Func<SalvorConfig> config, TimeProvider time, ILogger logger)
{
    /// <summary>How long a change of the configuration may wait.</summary>
    static readonly TimeSpan Step = TimeSpan.FromMinutes(1);

    /// <summary>The same of a cluster whose log leads nowhere.</summary>
    static readonly TimeSpan NeedStep = TimeSpan.FromSeconds(2);

    const int ProblemsLogged = 5;

    readonly Dictionary<string, (ScheduleConfig Schedule, BackupPlan Plan)> plans = [];

    /// <summary>Who knows which cluster needs a base backup before it is due; null where nobody follows any.</summary>
    public ClusterFollowing? Clusters { get; init; }

    /// <summary>Runs until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var current = config();
            if (current.Trees.Values.FirstOrDefault(tree => Clusters?.TakeNeed(tree.Name) is not null) is { } needy)
            {
                await BackUpAsync(current, needy, RunTrigger.CatchUp, cancellationToken);
                plans.Remove(needy.Name);
                continue;
            }

            var next = current.Trees.Values.Where(tree => tree.Schedule is not null)
                .Select(tree => (Tree: tree, Plan: PlanOf(current, tree))).OrderBy(item => item.Plan.Due).FirstOrDefault();
            var wait = next.Tree is null ? Step : next.Plan.Due - time.GetUtcNow();
            if (wait > TimeSpan.Zero)
            {
                var step = Clusters is not null && current.Trees.Values.Any(tree => tree is PostgresSourceConfig) ? NeedStep : Step;
                await Task.Delay(wait < step ? wait : step, time, cancellationToken);
                continue;
            }

            var schedule = next.Tree!.Schedule!;
            if (-wait > schedule.Slack)
            {
                // The machine slept: as if the daemon had been started now.
                plans.Remove(next.Tree.Name);
                next.Plan = PlanOf(current, next.Tree);
                if (next.Plan.Due > time.GetUtcNow())
                {
                    continue;
                }
            }

            await BackUpAsync(current, next.Tree, next.Plan.Trigger, cancellationToken);
            plans[next.Tree.Name] = (schedule, new(schedule.NextAfter(time.GetUtcNow()), RunTrigger.Schedule, null));
        }
    }

    /// <summary>
    /// What was never planned, or by another schedule, or while the clock was ahead, is planned by what was done; what was missed is
    /// written down.
    /// </summary>
    BackupPlan PlanOf(SalvorConfig current, TreeSourceConfig tree)
    {
        if (plans.TryGetValue(tree.Name, out var known) && known.Schedule == tree.Schedule
            && known.Plan.Due <= known.Schedule.LatestAfter(time.GetUtcNow()))
        {
            return known.Plan;
        }

        var state = ConfiguredSources.StateOf(current, tree);
        var runs = LocalState.RunsPath(state, tree.Name);
        var mark = BackupMarkFile.Read(LocalState.BackupPath(state, tree.Name));
        var plan = BackupPlan.Make(tree.Schedule!, mark, RunHistory.Read(runs) is [.., var last] ? last : null, time.GetUtcNow());
        plans[tree.Name] = (tree.Schedule!, plan);
        if (plan.Missed is { } missed)
        {
            logger.BackupsMissed(tree.Name, missed.Missed, missed.StartedAt, missed.EndedAt);
            Write(tree, state, missed);
        }

        return plan;
    }

    void Write(TreeSourceConfig tree, string state, RunRecord missed)
    {
        try
        {
            // Who backs it up now writes the same file at the end.
            using var held = LockFile.Acquire(
                LocalState.LockPath(state, tree.Name),
                LockHolder.Current(time.GetUtcNow(), socket: null, LocalState.Version, "salvor daemon"));
            RunHistory.Add(LocalState.RunsPath(state, tree.Name), missed);
        }
        catch (Exception e) when (e is SalvorException or IOException or UnauthorizedAccessException)
        {
            logger.TreeProblem(tree.Name, $"the history of its runs cannot be written: {e.Message}");
        }
    }

    async Task BackUpAsync(SalvorConfig current, TreeSourceConfig tree, RunTrigger trigger, CancellationToken cancellationToken)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(
            cancellationToken, Clusters?.EndOf(tree.Name) ?? CancellationToken.None);
        try
        {
            var source = new TreeSource(current, tree, time)
            {
                Command = "salvor daemon", Trigger = trigger, Warned = line => logger.TreeProblem(tree.Name, line),
                IsFollowed = tree is PostgresSourceConfig && Clusters is not null
                    && await Clusters.IsFollowedAsync(tree.Name, cancellationToken),
            };
            var (result, copies, hook) = await source.BackUpAsync(
                new BackupRequest("", "incremental", RetentionDays: null), ConfiguredSources.KeysOf(tree), ending.Token);
            Clusters?.BackupEnded(tree.Name, isMade: true);
            Tell(tree, result, copies);
            if (hook is not null)
            {
                logger.TreeProblem(tree.Name, hook.Message);
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            Clusters?.BackupEnded(tree.Name, isMade: false);
            logger.TreeNotBackedUp(tree.Name, "its configuration changed meanwhile", "It is made again where it is still needed.");
        }
        catch (Exception e) when (e is SalvorException or IOException or UnauthorizedAccessException)
        {
            Clusters?.BackupEnded(tree.Name, isMade: false);
            var hint = e is SalvorException known ? known.Hint : "It is tried again when the next backup is due.";
            logger.TreeNotBackedUp(tree.Name, e.Message, hint);
        }
    }

    void Tell(TreeSourceConfig tree, TreeBackupResult result, IReadOnlyList<TreeCopyFailure> copies)
    {
        logger.TreeBackedUp(tree.Name, result.Record.Id, result.Totals.Files, result.FilesRead, result.Record.AddedBytes);
        if (result.HowRead.Length > 0)
        {
            logger.ClusterRead(tree.Name, result.Record.Id, result.BytesRead, result.HowRead);
        }

        if (result.Anomaly is { } anomaly)
        {
            logger.BackupAnomalous(tree.Name, anomaly.BackupId, anomaly.Text, anomaly.Hint(tree.Name));
        }

        foreach (var problem in result.Problems.Take(ProblemsLogged))
        {
            logger.TreeProblem(tree.Name, problem);
        }

        if (result.Problems.Count > ProblemsLogged)
        {
            logger.TreeProblem(tree.Name, $"and {result.Problems.Count - ProblemsLogged} more");
        }

        foreach (var copy in copies)
        {
            logger.CopyBehind(tree.Name, copy.Destination, copy.Failure.Message, copy.Failure.Hint);
        }
    }
}
