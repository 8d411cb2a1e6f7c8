using System.Text;
using Salvor.Files;
using Salvor.Platform;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Trees;

namespace Salvor.Tests.Files;

/// <summary>A directory that is backed up and restored in process, and its vault.</summary>
sealed class TreeRig : IDisposable
{
    readonly string folder = Directory.CreateTempSubdirectory("salvor-tree-").FullName;

    public TreeRig() => Directory.CreateDirectory(Source);

    public string Source => Path.Combine(folder, "source");

    public IObjectStore Store { get; init; } = new MemoryStore();

    /// <summary>An hour ahead of what is written: no time is so young that it might be that of two changes.</summary>
    public ManualTime Time { get; } = CreateTime();

    public string this[string name] => Path.Combine(folder, name);

    static CancellationToken Cancel => TestContext.Current.CancellationToken;

    /// <summary>Content that does not compress, the same for the same seed.</summary>
    public static byte[] Bytes(int seed, int length)
    {
        var content = new byte[length];
        new Random(seed).NextBytes(content);
        return content;
    }

    public string Write(string name, byte[] content)
    {
        var path = Path.Combine(Source, name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllBytes(path, content);
        return path;
    }

    public string Write(string name, string content) => Write(name, Encoding.UTF8.GetBytes(content));

    public Task<VaultAccess> OpenAsync(IObjectStore? store = null) => VaultAccess.OpenOrCreateAsync(
        store ?? Store, "tree", TreeBackup.Kind, "tree", Time, Cancel);

    public async Task<TreeBackupResult> BackUpAsync(
        Func<TreeOptions, TreeOptions>? change = null, IObjectStore? store = null, string label = "", HashSet<string>? damaged = null)
    {
        var options = new TreeOptions { Paths = [Source] };
        Time.Advance(TimeSpan.FromMinutes(1));
        return await new TreeBackup(await OpenAsync(store), change?.Invoke(options) ?? options, Time) { Damaged = damaged ?? [] }
            .RunAsync(new BackupRequest(label, "incremental", RetentionDays: null), Cancel);
    }

    public async Task<TreeSnapshot> SnapshotAsync(string? name = null, IObjectStore? store = null)
    {
        var vault = await OpenAsync(store);
        return await TreeBackups.OpenAsync(
            vault, await TreeBackups.FindAsync(await VaultCatalog.LoadAsync(vault, Cancel), name, Cancel), Cancel);
    }

    /// <summary>Restores, and returns where the source is below the target.</summary>
    public async Task<string> RestoreAsync(
        string target, string? name = null, TreeRestoreOptions? options = null, IObjectStore? store = null)
    {
        var restorer = new TreeRestorer(await SnapshotAsync(name, store), (options ?? new TreeRestoreOptions()) with { Flushes = false });
        await restorer.RunAsync(this[target], Cancel);
        return this[target] + Source;
    }

    /// <summary>What rsync finds different between two directories, with all that it can compare, and diff in their content.</summary>
    public static async Task<string> DifferenceAsync(string one, string other)
    {
        var copied = await ChildProcess.RunAsync("rsync", ["-niaHAXc", "--delete", $"{one}/", $"{other}/"]);
        var compared = await ChildProcess.RunAsync("diff", ["-r", "--no-dereference", one, other]);
        var lines = compared.Stdout.Split('\n').Where(line => line.Length > 0 && !line.Contains("special file", StringComparison.Ordinal)
            && !line.Contains(" is a fifo while ", StringComparison.Ordinal)
            && !line.Contains(" is a socket while ", StringComparison.Ordinal));
        return $"{copied.Stdout}{copied.Stderr}{string.Join('\n', lines)}{compared.Stderr}";
    }

    public void Dispose()
    {
        // Its names need not be text, which .NET cannot delete.
        using var parent = DirectoryCalls.OpenRoot(Path.GetDirectoryName(folder)!);
        DirectoryCalls.RemoveTree(parent, Encoding.UTF8.GetBytes(Path.GetFileName(folder)));
    }

    static ManualTime CreateTime()
    {
        var time = new ManualTime();
        time.Advance(DateTimeOffset.UtcNow - time.GetUtcNow() + TimeSpan.FromHours(1));
        return time;
    }
}
