namespace Salvor.Tests.Support;

/// <summary>
/// Tests that would fail because of their neighbours: those that measure a rate, and those whose clock runs so fast that a moment's delay
/// is minutes. They run after all others, one after the other. Every other class runs beside others, because most tests wait for
/// processes most of the time; their deadlines are for a machine that has much else to do.
/// </summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class QuietMachine
{
    public const string Name = "QuietMachine";
}
