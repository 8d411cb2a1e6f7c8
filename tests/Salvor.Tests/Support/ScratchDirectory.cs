namespace Salvor.Tests.Support;

/// <summary>
/// A directory of one test, removed at its end. <c>SALVOR_KEEP=1</c> keeps all, <c>SALVOR_KEEP=failed</c> those of tests that
/// said they failed: a fault under random kills may not come back for hours.
/// </summary>
sealed class ScratchDirectory : IDisposable
{
    // Short, because a Unix socket below it may have a path of at most 107 bytes.
    public ScratchDirectory() => Path = Directory.CreateTempSubdirectory("salvor-").FullName;

    public string Path { get; }

    public string this[string name] => System.IO.Path.Combine(Path, name);

    /// <summary>Set by a test that fails; what it worked on is evidence.</summary>
    public bool HasFailed { get; set; }

    public string Subdirectory(string name) => Directory.CreateDirectory(this[name]).FullName;

    public void Dispose()
    {
        var keep = Environment.GetEnvironmentVariable("SALVOR_KEEP");
        if (keep == "1" || (keep == "failed" && HasFailed))
        {
            TestContext.Current.TestOutputHelper?.WriteLine($"kept {Path}");
            return;
        }

        Directory.Delete(Path, recursive: true);
    }
}
