using System.Diagnostics;

namespace Salvor.Tests.Support;

/// <summary>The scripts in <c>Tools/</c>, which make and judge the databases of the tests.</summary>
static class Tool
{
    /// <summary>
    /// The path of the interpreter itself. What a search for <c>python3</c> finds may be a script that looks for it each time, which takes
    /// longer than most of what the tests ask of it.
    /// </summary>
    public static string Python { get; } = FindPython();

    /// <summary>
    /// Comes before what is run: nothing here needs packages of a site, and looking for them is half of the start of an interpreter.
    /// </summary>
    public const string WithoutSite = "-S";

    public static string PathOf(string name) => Path.Combine(AppContext.BaseDirectory, "Tools", name);

    public static ChildProcess Start(string name, params IEnumerable<string> arguments) =>
        ChildProcess.Start(Python, [WithoutSite, PathOf(name), .. arguments]);

    public static async Task<ProcessResult> RunAsync(string name, params IEnumerable<string> arguments)
    {
        await using var process = Start(name, arguments);
        return await process.ExitAsync();
    }

    /// <summary>Runs SQL against a database by the <c>sqlite3</c> module of Python; nothing is read back.</summary>
    public static async Task SqlAsync(string database, string sql)
    {
        const string Program = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1], timeout=30); db.executescript(sys.argv[2])";
        var result = await ChildProcess.RunAsync(Python, [WithoutSite, "-c", Program, database, sql]);
        Assert.True(result.ExitCode == 0, $"sql failed on {database}: {result}");
    }

    /// <summary>A consistent copy by SQLite's own backup, while writers go on.</summary>
    public static async Task BackupAsync(string database, string copy)
    {
        // Out of WAL mode, so that the copy is one plain file with nothing beside it.
        const string Program = """
            import sqlite3, sys
            source, target = sqlite3.connect(sys.argv[1], timeout=30), sqlite3.connect(sys.argv[2])
            source.backup(target)
            target.execute("PRAGMA journal_mode = DELETE").fetchone()
            """;
        var result = await ChildProcess.RunAsync(Python, [WithoutSite, "-c", Program, database, copy]);
        Assert.True(result.ExitCode == 0, $"backup of {database} failed: {result}");
    }

    static string FindPython()
    {
        var start = new ProcessStartInfo("python3", ["-c", "import sys; print(sys.executable)"]) { RedirectStandardOutput = true };
        using var process = Process.Start(start)!;
        return process.StandardOutput.ReadLine()!;
    }
}
