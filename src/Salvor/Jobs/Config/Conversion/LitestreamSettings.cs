using System.Text.Json.Nodes;
using Salvor.Text;

namespace Salvor.Jobs.Config.Conversion;

/// <summary>How often and how long, which Litestream says for all, for a database or for a replica, and ours for a source.</summary>
sealed class LitestreamSettings(OldMapping place)
{
    TimeSpan? snapshotEvery;
    TimeSpan? keep;
    TimeSpan? verifyEvery;
    TimeSpan? batch;

    public string Name { get; init; } = "*";

    public JsonObject Source { get; init; } = [];

    /// <summary>The credentials of each bucket that has none of its own.</summary>
    public JsonObject Keys { get; } = [];

    string To => $"sources.{Name}";

    /// <summary>What stands at the top of the file, for all databases.</summary>
    public void TakeGlobal()
    {
        Credentials.Take(place, "access-key-id", Keys, "access_key_id", "LITESTREAM_ACCESS_KEY_ID");
        Credentials.Take(place, "secret-access-key", Keys, "secret_access_key", "LITESTREAM_SECRET_ACCESS_KEY");
        TakeSnapshot(place.Section("snapshot"));
        if (place.Section("validation") is { } validation)
        {
            verifyEvery = validation.Duration("interval");
            validation.Became("interval", $"{To}.verify.every");
            validation.End();
        }

        batch = place.Duration("sync-interval");
        place.Became("sync-interval", $"{To}.batch");
    }

    /// <summary>What stands at a database, else what holds for all.</summary>
    public void TakeSnapshots(LitestreamSettings global)
    {
        TakeSnapshot(place.Section("snapshot"));
        snapshotEvery ??= global.snapshotEvery;
        keep ??= global.keep;
        verifyEvery ??= global.verifyEvery;
        batch ??= global.batch;
    }

    /// <summary>What stands at a replica. Where two differ, the longest time to keep and the shortest of the others hold.</summary>
    public void TakeReplica(OldMapping replica)
    {
        batch = Shortest(batch, replica.Duration("sync-interval"));
        replica.Became("sync-interval", $"{To}.batch", "how long a commit may wait for others");
        keep = Longest(keep, replica.Duration("retention"));
        replica.Became("retention", $"{To}.keep.commits", "for the source, not for each destination");
        replica.Drop("retention-check-interval", "the daemon prunes once a day: prune.every");
        snapshotEvery = Shortest(snapshotEvery, replica.Duration("snapshot-interval"));
        replica.Became("snapshot-interval", $"{To}.snapshot_every");
        verifyEvery = Shortest(verifyEvery, replica.Duration("validation-interval"));
        replica.Became("validation-interval", $"{To}.verify.every", "by a real restore");
    }

    /// <summary>Puts them into the source.</summary>
    public void Write()
    {
        if (batch is { } wait && wait > TimeSpan.Zero)
        {
            Source["batch"] = DurationText.Format(LitestreamConversion.Batch(wait));
        }

        if (snapshotEvery is { } every && every > TimeSpan.Zero)
        {
            Source["snapshot_every"] = DurationText.Format(every);
        }

        if (keep is { } age && age > TimeSpan.Zero)
        {
            Source["keep"] = new JsonObject { ["commits"] = DurationText.Format(age) };
        }

        if (verifyEvery is { } often && often > TimeSpan.Zero)
        {
            Source["verify"] = new JsonObject { ["every"] = DurationText.Format(often) };
        }
    }

    void TakeSnapshot(OldMapping? snapshot)
    {
        if (snapshot is null)
        {
            return;
        }

        snapshotEvery = snapshot.Duration("interval");
        snapshot.Became("interval", $"{To}.snapshot_every");
        keep = snapshot.Duration("retention");
        snapshot.Became("retention", $"{To}.keep.commits");
        snapshot.End();
    }

    static TimeSpan? Shortest(TimeSpan? a, TimeSpan? b) => a is { } x && b is { } y ? (x < y ? x : y) : a ?? b;

    static TimeSpan? Longest(TimeSpan? a, TimeSpan? b) => a is { } x && b is { } y ? (x > y ? x : y) : a ?? b;
}
