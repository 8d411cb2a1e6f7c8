using System.Globalization;
using System.Reflection;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging;
using Salvor.Cli.Terminal;
using Salvor.Jobs;
using Salvor.Jobs.Notify;
using Salvor.Sqlite;
using Salvor.Tests.Tidy;

namespace Salvor.Tests.Cli;

/// <summary>Operators build alerts on the numbers of events, so these are promises.</summary>
public sealed partial class LogEventsTests
{
    static readonly (Type Home, int First)[] Homes =
        [(typeof(SqliteLog), 1000), (typeof(JobsLog), 2000), (typeof(NotifyLog), 2000), (typeof(CliLog), 3000)];

    static readonly (Type Home, int First, MethodInfo Method, LoggerMessageAttribute Event)[] Events =
    [
        .. from home in Homes
           from method in home.Home.GetMethods(BindingFlags.Public | BindingFlags.Static)
           let attribute = method.GetCustomAttribute<LoggerMessageAttribute>()
           where attribute is not null
           orderby attribute.EventId
           select (home.Home, home.First, method, attribute),
    ];

    [Fact]
    public void Every_event_has_a_number_of_its_own_among_those_of_its_home()
    {
        Assert.NotEmpty(Events);
        Assert.Equal(Events.Length, Events.Select(item => item.Event.EventId).Distinct().Count());
        Assert.All(Events, item => Assert.InRange(item.Event.EventId, item.First + 1, item.First + 999));
    }

    [Fact]
    public void No_event_has_a_field_that_every_line_has() => Assert.All(
        Events,
        item => Assert.DoesNotContain(
            Field().Matches(item.Event.Message).Select(match => match.Groups[1].Value.ToLowerInvariant()), LogLine.OwnFields.Contains));

    [Fact]
    public void The_documentation_lists_exactly_these()
    {
        var rows = Row().Matches(Checkout.Read("docs/logs.md")).Select(match => match.Value);

        Assert.Equal(Events.Select(item => RowOf(item.Method, item.Event)), rows);
    }

    [Fact]
    public void Nothing_is_logged_but_by_an_event() => Assert.All(
        Checkout.Files.Where(file => file.StartsWith("src/", StringComparison.Ordinal) && file.EndsWith(".cs", StringComparison.Ordinal)),
        file => Assert.False(
            WithoutEvent().IsMatch(Checkout.Read(file)), $"{file}: log by a method with a number, as SqliteLog and JobsLog have them"));

    static string RowOf(MethodInfo method, LoggerMessageAttribute item)
    {
        var level = item.Level == LogLevel.Information ? "info" : item.Level.ToString().ToLowerInvariant();
        return string.Create(CultureInfo.InvariantCulture, $"| {item.EventId} | {method.Name} | {level} | `{item.Message}` |");
    }

    [GeneratedRegex(@"\{(\w+)\}")]
    private static partial Regex Field();

    [GeneratedRegex(@"^\| \d{4} \|.*\|$", RegexOptions.Multiline)]
    private static partial Regex Row();

    [GeneratedRegex(@"\.Log(Trace|Debug|Information|Warning|Error|Critical)\(")]
    private static partial Regex WithoutEvent();
}
