using Salvor.Jobs.Keys;

namespace Salvor.Jobs.Drills;

/// <summary>Something that the operator asks of a restored database.</summary>
/// <param name="Name">What reports call it: as it is written in the configuration, where a variable is a name and not its value.</param>
/// <param name="Limit">How long it may take.</param>
public abstract record SmokeCheck(string Name, TimeSpan Limit)
{
    public static readonly TimeSpan LimitDefault = TimeSpan.FromMinutes(1);
    public static readonly TimeSpan LimitMin = TimeSpan.FromMilliseconds(1);
    public static readonly TimeSpan LimitMax = TimeSpan.FromDays(1);

    /// <summary>What reports call this kind.</summary>
    public abstract string Kind { get; }

    /// <summary>One statement, whose one value is expected to be so.</summary>
    public sealed record Sql(string Name, TimeSpan Limit, SecretText Statement, Expectation? Expect) : SmokeCheck(Name, Limit)
    {
        public override string Kind => "sql";

        /// <summary>The database of a cluster in which it is asked; null for the one of the connection.</summary>
        public string? Database { get; init; }
    }

    /// <summary>A command for a shell, in which <c>{path}</c> is the restored file: it ends with 0, and prints what is expected.</summary>
    public sealed record Command(string Name, TimeSpan Limit, SecretText Line, Expectation? Expect) : SmokeCheck(Name, Limit)
    {
        public override string Kind => "command";
    }

    /// <summary>A file that has to be among those that were restored, and not to be empty.</summary>
    public sealed record Exists(string Name, TimeSpan Limit, string Path) : SmokeCheck(Name, Limit)
    {
        public override string Kind => "exists";
    }

    /// <summary>A page that answers with this status, and contains this text.</summary>
    public sealed record Url(string Name, TimeSpan Limit, SecretText Address, int Status, string? Contains) : SmokeCheck(Name, Limit)
    {
        public const int StatusDefault = 200;

        public override string Kind => "url";
    }
}
