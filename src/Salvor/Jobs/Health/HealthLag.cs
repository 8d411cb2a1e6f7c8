using Salvor.Jobs.Clusters;
using Salvor.Sqlite.Snapshots;
using Salvor.Vault;

namespace Salvor.Jobs.Health;

/// <summary>What lag is now, of what was written down a while ago.</summary>
static class HealthLag
{
    /// <summary>The destinations of a source.</summary>
    /// <param name="last">What its process wrote.</param>
    /// <param name="verified">What its last verification found.</param>
    /// <param name="state">How it is now.</param>
    /// <param name="lastSign">When its process showed last that it worked.</param>
    /// <param name="now">The time now.</param>
    public static IReadOnlyList<DestinationHealth> DestinationsOf(
        StatusRecord last, VerifyRecord? verified, HealthState state, DateTimeOffset lastSign, DateTimeOffset now)
    {
        var first = Age(WaitingSince(last, state, lastSign), now) ?? TimeSpan.Zero;
        var backingOff = state == HealthState.BackingOff ? Age(last.BackingOffSince ?? last.UpdatedAt, now) : null;
        return
        [
            new(NameOf(last.DestinationName, last.Destination), last.Destination, true, first, backingOff, IsWhole(last.Destination)),
            .. last.Copies.Select(copy => new DestinationHealth(
                NameOf(copy.Name, copy.Destination),
                copy.Destination,
                copy.Required,
                Longer(first, Age(copy.BehindSince, now) ?? TimeSpan.Zero),
                copy.Error.Length > 0 ? Age(copy.BehindSince ?? last.UpdatedAt, now) : null,
                IsWhole(copy.Destination))),
        ];

        // One that could not be looked at is called by its own place; a verification that was not carried out names none.
        bool? IsWhole(string location) => verified is { Destinations.Count: 0 }
            ? verified.Ok
            : verified?.Destinations.FirstOrDefault(
                item => item.Destination == location || item.Destination == VaultAccess.LocationOf(location, last.Source))?.Ok;
    }

    /// <summary>The destinations of a source that has snapshots alone: each lags by the time since when it lacks the newest.</summary>
    public static IReadOnlyList<DestinationHealth> DestinationsOf(BackupMark? mark, VerifyRecord? verified, DateTimeOffset now)
    {
        return [.. (mark?.Copies ?? []).Select((copy, index) => new DestinationHealth(
            NameOf(copy.Name, copy.Destination), copy.Destination, copy.Required, Age(copy.BehindSince, now) ?? TimeSpan.Zero,
            Age(copy.BehindSince, now), IsWhole(index)))];

        // They are verified in the same order; a verification that was not carried out names none.
        bool? IsWhole(int index) => verified is null ? null
            : verified.Destinations.Count == 0 ? verified.Ok
            : index < verified.Destinations.Count ? verified.Destinations[index].Ok
            : null;
    }

    /// <summary>The destinations of a cluster: how old the oldest log is that is not there, or may not be.</summary>
    public static IReadOnlyList<DestinationHealth> DestinationsOf(
        BackupMark? mark, FollowRecord? followed, HealthState state, VerifyRecord? verified, DateTimeOffset now)
    {
        var isFollowed = state is not (HealthState.Stopped or HealthState.Stale or HealthState.Unknown);
        var since = isFollowed ? followed?.WaitingSince
            : followed?.WaitingSince ?? followed?.UpdatedAt ?? mark?.BackupAt;
        var first = Age(since, now) ?? TimeSpan.Zero;
        return [.. DestinationsOf(mark, verified, now).Select((item, index) =>
        {
            if (index == 0)
            {
                return item with { Lag = Longer(first, item.Lag), BackingOff = Age(followed?.StoreProblemSince, now) };
            }

            return followed?.Copies.FirstOrDefault(copy => copy.Name == item.Name) is { } copy
                ? item with
                {
                    Lag = Longer(first, Age(copy.BehindSince, now) ?? TimeSpan.Zero),
                    BackingOff = copy.Error.Length > 0 ? Age(copy.BehindSince ?? now, now) : null,
                }
                : item with { Lag = Longer(first, item.Lag) };
        })];
    }

    /// <summary>
    /// Since when something is, or may be, committed and not durable; null where all is. Where nobody captures, it counts from when the
    /// last one was seen to.
    /// </summary>
    static DateTimeOffset? WaitingSince(StatusRecord last, HealthState state, DateTimeOffset lastSign)
    {
        var uncaptured = state switch
        {
            HealthState.Healthy or HealthState.BackingOff or HealthState.Waiting => null,
            HealthState.Stopped or HealthState.Stale or HealthState.Unknown or HealthState.Starting => last.UncapturedSince ?? lastSign,
            _ => last.UncapturedSince,
        };
        return uncaptured is { } since && (last.WaitingSince is null || since < last.WaitingSince) ? since : last.WaitingSince;
    }

    static string NameOf(string name, string location) => name.Length > 0 ? name : location;

    static TimeSpan? Age(DateTimeOffset? since, DateTimeOffset now) =>
        since is not { } known ? null : known < now ? now - known : TimeSpan.Zero;

    static TimeSpan Longer(TimeSpan a, TimeSpan b) => a > b ? a : b;
}
