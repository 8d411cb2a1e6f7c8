using Salvor.Jobs.Config;
using Salvor.Text;

namespace Salvor.Jobs.Doctor;

/// <summary>Judges a destination: whether it can be written to and read from, and whether it keeps what it is given.</summary>
static class DestinationChecks
{
    /// <summary>Services refuse requests that are more than a quarter of an hour off.</summary>
    static readonly TimeSpan SkewNoted = TimeSpan.FromMinutes(1);

    static readonly TimeSpan SlowPut = TimeSpan.FromSeconds(2);

    /// <summary>Even a small database writes that much within days.</summary>
    const long FreeBytesMin = 64 << 20;

    public static IReadOnlyList<Check> Judge(DestinationFacts facts, long databaseBytes)
    {
        var list = new CheckList("destination", facts.Config.Name);
        JudgePath(facts, list);
        if (facts.IsToBeMade)
        {
            list.Warn(
                "the directory is not there, and will be made", facts.Config.Location,
                $"mkdir -p -m 700 {facts.Config.Location}   (or mount the disk that it is on)");
        }
        else if (facts.Refusal is { } failure)
        {
            list.Fail("it cannot be used", failure);
            return list.Checks;
        }

        if (facts.Probe is { } probe)
        {
            JudgeCalls(facts, probe, list);
        }
        else if (facts.IsReadOnly)
        {
            list.Ok("it can be read", $"{facts.Config.Location}; a restore only reads, so writing was not tried");
        }

        JudgeRoom(facts, databaseBytes, list);
        BucketChecks.Judge(facts, list);
        JudgeTamper(facts, list);
        return list.Checks;
    }

    /// <summary>That copies can be destroyed is a failure only where the configuration says that they cannot.</summary>
    static void JudgeTamper(DestinationFacts facts, CheckList list)
    {
        const string how = "docs/immutability.md says how to make a bucket in which nobody can, and credentials that may not.";
        if (facts.TamperFailure is { } failure)
        {
            list.Unknown("whether copies can be destroyed", failure.Message, failure.Hint);
        }

        if (facts.Tamper is not { } tamper)
        {
            return;
        }

        var tried = string.Join(", ", tamper.Steps.Select(step => $"{step.Name}: {step.Said}"));
        if (tamper.IsProtected)
        {
            list.Ok(tamper.Summary, tried);
        }
        else if (tamper.IsLockAsked)
        {
            list.Fail(FailureKind.Failure, tamper.Summary, $"'object_lock' is configured, and this was tried: {tried}", how);
        }
        else
        {
            list.Warn(tamper.Summary, tried.Length > 0 ? tried : "nothing there withstands a deletion", how);
        }
    }

    /// <summary>What lies between us and the place.</summary>
    static void JudgePath(DestinationFacts facts, CheckList list)
    {
        if (facts.PlainHttp is { } endpoint)
        {
            list.Warn(
                "everything travels in clear", $"{endpoint} is plain http, and 'allow_insecure' allows it",
                "Use https; 'encryption' of the source keeps the content secret, and not who may write.");
        }

        if (facts.Config is SftpDestinationConfig { Options.AllowWeak: true })
        {
            list.Warn(
                "the server may break two promises, and 'allow_weak' allows it",
                "that an object survives a loss of power, and that of two writers only one creates it",
                "Use a server with OpenSSH's extensions (fsync@openssh.com, hardlink@openssh.com), and remove 'allow_weak'.");
        }
    }

    static void JudgeCalls(DestinationFacts facts, ProbeResult probe, CheckList list)
    {
        var place = facts.Config.Location;
        foreach (var (verb, failure) in probe.Refused.Where(item => item.Verb != "delete"))
        {
            list.Fail(FailureKind.DestinationUnreachable, $"{verb} is refused", failure.Message, failure.Hint);
        }

        if (probe.CreatesOnce == false)
        {
            list.Fail(
                FailureKind.DestinationUnreachable, "it replaces objects that exist",
                $"{place}: two writers would overwrite each other",
                $"salvor bench destination {facts.Config.Name}   (says what else it breaks); keep backups at another service.");
        }

        string[] refused = [.. probe.Refused.Select(item => item.Verb)];
        if (refused is ["delete"])
        {
            list.Ok(
                "put, get and list work; delete is refused: it only grows",
                $"{place}; a prune is reported there, not done{(probe.IsLeft ? ", and the probe object of one byte stays" : "")}");
        }
        else if (refused.Length == 0)
        {
            list.Ok("put, get, list and delete work", $"{place}, put in {probe.PutTime.TotalMilliseconds:0} ms");
        }

        // Only what was put has a time, and only a listing tells it.
        if (!refused.Contains("put") && !refused.Contains("list"))
        {
            JudgeClock(probe, list);
        }

        if (probe.PutTime > SlowPut)
        {
            list.Warn(
                "it is slow", $"a put of one byte took {probe.PutTime.TotalSeconds:0.0} s",
                $"salvor bench destination {facts.Config.Name}");
        }
    }

    /// <summary>By the time that the destination gave to the probe. It may be cut to seconds.</summary>
    static void JudgeClock(ProbeResult probe, CheckList list)
    {
        const string Fix = "timedatectl set-ntp true   (on the side that is wrong: compare 'date -u' with another machine)";
        if (probe.StoredAt is not { } stored)
        {
            list.Unknown("whether its clock agrees with ours", "it does not say when an object was stored", "date -u   (on both sides)");
            return;
        }

        var skew = stored < probe.PutAt.Before ? stored - probe.PutAt.Before
            : stored > probe.PutAt.After ? stored - probe.PutAt.After
            : TimeSpan.Zero;
        if (skew.Duration() < SkewNoted)
        {
            list.Ok("its clock agrees with ours", skew.Duration() < TimeSpan.FromSeconds(2) ? "" : $"{skew.TotalSeconds:0} s apart");
        }
        else
        {
            var direction = skew > TimeSpan.Zero ? "ahead of" : "behind";
            list.Warn(
                $"its clock is {direction} ours",
                $"by {DurationText.FormatShort(TimeSpan.FromSeconds(Math.Round(skew.Duration().TotalSeconds)))}; services refuse requests "
                    + "from 15 minutes on", Fix);
        }
    }

    static void JudgeRoom(DestinationFacts facts, long databaseBytes, CheckList list)
    {
        if (facts.FreeBytes is not { } free)
        {
            return;
        }

        var detail = $"{SizeText.Format(free)} free for databases of {SizeText.Format(databaseBytes)}";
        var fix = $"df -h {Place.Existing(facts.Config.Location)}   (then free some, or let the daemon prune: 'prune' of the source)";
        if (free < FreeBytesMin)
        {
            list.Fail(FailureKind.DestinationUnreachable, "its disk is full", detail, fix);
        }
        else if (free < databaseBytes)
        {
            list.Warn("its disk is nearly full", detail, fix);
        }
        else
        {
            list.Ok("there is room on its disk", detail);
        }
    }
}
