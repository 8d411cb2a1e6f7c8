using System.Diagnostics;

namespace Salvor.Tests.Tidy;

/// <summary>The files of this checkout, as git sees them.</summary>
static class Checkout
{
    static readonly string[] FoldersIgnored = [".git", "artifacts", "restored", "bin", "obj", "node_modules", "__pycache__"];

    public static string Root { get; } = FindRoot();

    /// <summary>Relative paths of what is committed or could be, in ordinal order.</summary>
    public static IReadOnlyList<string> Files { get; } =
        [.. (FilesOfGit() ?? FilesOfDisk()).Where(path => File.Exists(Path.Combine(Root, path))).Order(StringComparer.Ordinal)];

    public static IEnumerable<SourceFile> Sources(params string[] folders) =>
        from path in Files
        where path.EndsWith(".cs", StringComparison.Ordinal)
        where folders.Any(folder => path.StartsWith($"{folder}/", StringComparison.Ordinal))
        select new SourceFile(path, Read(path));

    public static string Read(string path) => File.ReadAllText(Path.Combine(Root, path));

    static string FindRoot()
    {
        for (var folder = AppContext.BaseDirectory; folder is not null; folder = Path.GetDirectoryName(folder))
        {
            if (File.Exists(Path.Combine(folder, "Salvor.slnx")))
            {
                return folder;
            }
        }

        throw new InvalidOperationException($"no Salvor.slnx above {AppContext.BaseDirectory}");
    }

    /// <summary>Null where there is no git or no repository: a source archive is tested too.</summary>
    static string[]? FilesOfGit()
    {
        var start = new ProcessStartInfo("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        {
            WorkingDirectory = Root,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        try
        {
            using var git = Process.Start(start)!;
            git.ErrorDataReceived += (_, _) => { };
            git.BeginErrorReadLine();
            var output = git.StandardOutput.ReadToEnd();
            git.WaitForExit();
            return git.ExitCode == 0 ? output.Split('\0', StringSplitOptions.RemoveEmptyEntries) : null;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return null;
        }
    }

    static IEnumerable<string> FilesOfDisk() =>
        from path in Directory.EnumerateFiles(Root, "*", SearchOption.AllDirectories)
        let relative = Path.GetRelativePath(Root, path)
        where !relative.Split('/').SkipLast(1).Intersect(FoldersIgnored).Any()
        select relative;
}
