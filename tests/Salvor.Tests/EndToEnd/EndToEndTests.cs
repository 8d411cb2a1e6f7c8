namespace Salvor.Tests.EndToEnd;

/// <summary>Tests that run whole processes one after the other: two at a time would measure each other.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class EndToEndTests
{
    public const string Name = "EndToEnd";
}
