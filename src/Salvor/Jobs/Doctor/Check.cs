namespace Salvor.Jobs.Doctor;

/// <summary>What a check found.</summary>
public enum CheckLevel
{
    /// <summary>It is as it should be.</summary>
    Ok,

    /// <summary>It works, and something about it will cost somebody one day; or it could not be told.</summary>
    Warn,

    /// <summary>It does not work.</summary>
    Fail,
}

/// <summary>One thing that was looked at, and what was found.</summary>
/// <param name="Level">How it is.</param>
/// <param name="Area">One of: config, source, daemon, destination, vault, key, machine, posture.</param>
/// <param name="Subject">The source or the destination that it is about; empty where it is about none.</param>
/// <param name="What">What was found, in a few words.</param>
public sealed record Check(CheckLevel Level, string Area, string Subject, string What)
{
    /// <summary>The figures and names behind it; may be empty.</summary>
    public string Detail { get; init; } = "";

    /// <summary>What to do about it; empty where it is well.</summary>
    public string Fix { get; init; } = "";

    /// <summary>False where it could not be told: then it is never <see cref="CheckLevel.Ok"/>.</summary>
    public bool Known { get; init; } = true;

    /// <summary>What kind of failure a <see cref="CheckLevel.Fail"/> is; null for the others.</summary>
    public FailureKind? Kind { get; init; }

    /// <summary>
    /// The exit code for all checks: 0 where none failed, else that of the gravest failure. Damage is graver than what is out of reach, and
    /// that is graver than a mistake in a file that can be corrected.
    /// </summary>
    public static int ExitCodeOf(IEnumerable<Check> checks)
    {
        ReadOnlySpan<FailureKind> gravest =
        [
            FailureKind.Integrity, FailureKind.NotRestorable, FailureKind.DestinationUnreachable, FailureKind.SourceUnreadable,
            FailureKind.Locked, FailureKind.Usage,
        ];
        var failed = checks.Where(check => check.Level == CheckLevel.Fail).Select(check => check.Kind ?? FailureKind.Failure).ToArray();
        foreach (var kind in gravest)
        {
            if (failed.Contains(kind))
            {
                return (int)kind;
            }
        }

        return failed.Length == 0 ? 0 : (int)FailureKind.Failure;
    }
}

/// <summary>Writes down the checks of one area and subject.</summary>
sealed class CheckList(string area, string subject = "")
{
    readonly List<Check> checks = [];

    public IReadOnlyList<Check> Checks => checks;

    public void Ok(string what, string detail = "") => checks.Add(New(CheckLevel.Ok, what, detail, ""));

    public void Warn(string what, string detail, string fix) => checks.Add(New(CheckLevel.Warn, what, detail, fix));

    public void Fail(FailureKind kind, string what, string detail, string fix) =>
        checks.Add(New(CheckLevel.Fail, what, detail, fix) with { Kind = kind });

    /// <summary>A failure that says itself what to do.</summary>
    public void Fail(string what, SalvorException e) => Fail(e.Kind, what, e.Message, e.Hint);

    /// <summary>What could not be looked at is not well.</summary>
    public void Unknown(string what, string why, string fix) =>
        checks.Add(New(CheckLevel.Warn, what, $"could not tell: {why}", fix) with { Known = false });

    Check New(CheckLevel level, string what, string detail, string fix) => new(level, area, subject, what) { Detail = detail, Fix = fix };
}
