namespace Salvor.Tests.Support;

/// <summary>A directory of one test, removed at its end unless <c>SALVOR_KEEP=1</c>.</summary>
sealed class ScratchDirectory : IDisposable
{
    // Short, because a Unix socket below it may have a path of at most 107 bytes.
    public ScratchDirectory() => Path = Directory.CreateTempSubdirectory("salvor-").FullName;

    public string Path { get; }

    public string this[string name] => System.IO.Path.Combine(Path, name);

    public string Subdirectory(string name) => Directory.CreateDirectory(this[name]).FullName;

    public void Dispose()
    {
        if (Environment.GetEnvironmentVariable("SALVOR_KEEP") == "1")
        {
            TestContext.Current.TestOutputHelper?.WriteLine($"kept {Path}");
            return;
        }

        Directory.Delete(Path, recursive: true);
    }
}
