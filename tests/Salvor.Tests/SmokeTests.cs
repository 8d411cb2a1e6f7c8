namespace Salvor.Tests;

public sealed class SmokeTests
{
    [Fact]
    public void Exit_codes_are_the_failure_kinds() => Assert.Equal(5, (int)FailureKind.Integrity);
}
