namespace Salvor.Tests.Support;

/// <summary>
/// The seed of a random test: <c>SALVOR_SEED</c>, or a fresh one. It is printed, so that a failure can be run again.
/// </summary>
static class TestSeed
{
    public static int Take()
    {
        var given = Environment.GetEnvironmentVariable("SALVOR_SEED");
        var seed = given is null ? Random.Shared.Next() : int.Parse(given, System.Globalization.CultureInfo.InvariantCulture);
        TestContext.Current.TestOutputHelper?.WriteLine($"SALVOR_SEED={seed}");
        // Fixtures have no output of their own.
        TestContext.Current.SendDiagnosticMessage($"SALVOR_SEED={seed}");
        return seed;
    }

    /// <summary>A number that lets a longer run than the default be asked for, such as <c>SALVOR_KILLS</c>.</summary>
    public static int Count(string variable, int otherwise) =>
        int.TryParse(Environment.GetEnvironmentVariable(variable), out var count) ? count : otherwise;
}
