using Salvor.Tests.Support;
using Salvor.Tests.Tidy;

namespace Salvor.Tests.Packaging;

/// <summary>The package and the image, made as they are shipped; installed into a folder, never onto this machine.</summary>
public sealed class PackageTests : IDisposable
{
    /// <summary>It compiles everything twice, beside whatever else the machine does.</summary>
    static readonly TimeSpan BuildMax = TimeSpan.FromMinutes(15);

    readonly ScratchDirectory _scratch = new();

    public void Dispose() => _scratch.Dispose();

    [Fact]
    public async Task The_package_installs_enables_nothing_works_without_a_shell_and_goes_without_a_trace()
    {
        var built = await ChildProcess.RunAsync(Path.Combine(Checkout.Root, "packaging/deb/build"), [_scratch.Path], BuildMax);
        Assert.True(built.ExitCode == 0, $"{built}");
        var package = built.Stdout.Trim();

        await InstallAndRemoveAsync(package, _scratch.Subdirectory("root"));
        await RunWithoutShellAsync(package, _scratch["image"]);
    }

    static async Task InstallAndRemoveAsync(string package, string root)
    {
        Directory.CreateDirectory(Path.Combine(root, "var/lib/dpkg/info"));
        Directory.CreateDirectory(Path.Combine(root, "var/lib/dpkg/updates"));
        await File.WriteAllTextAsync(Path.Combine(root, "var/lib/dpkg/status"), "");
        string[] dpkg = ["dpkg", $"--root={root}", "--force-script-chrootless", "--force-depends", "--force-not-root"];

        await ExpectAsync([.. dpkg, "--install", package]);
        Assert.True(File.Exists(Path.Combine(root, "usr/lib/systemd/system/salvor.service")));
        Assert.False(Directory.Exists(Path.Combine(root, "etc/systemd")));
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(root, "etc/salvor")));
        var version = await ExpectAsync(Path.Combine(root, "usr/bin/salvor"), "version");
        Assert.StartsWith("salvor ", version.Stdout, StringComparison.Ordinal);
        Assert.DoesNotContain(
            await CompiledByAsync(Path.Combine(root, "usr/bin/salvor")),
            method => method.Contains("JIT compiled Salvor.", StringComparison.Ordinal));

        await ExpectAsync([.. dpkg, "--purge", "salvor"]);
        Assert.False(Directory.Exists(Path.Combine(root, "usr/lib/salvor")));
    }

    /// <summary>The methods that were not compiled beforehand, and that a command had to wait for.</summary>
    static async Task<string[]> CompiledByAsync(string program)
    {
        using var folder = new TemporaryDirectory();
        var list = folder["compiled"];
        await ExpectAsync("env", "DOTNET_JitDisasmSummary=1", $"DOTNET_JitStdOutFile={list}", program, "version");
        return await File.ReadAllLinesAsync(list, TestContext.Current.CancellationToken);
    }

    static async Task RunWithoutShellAsync(string package, string root)
    {
        await ExpectAsync(Path.Combine(Checkout.Root, "packaging/container/rootfs"), package, root);
        Assert.Empty(Directory.EnumerateFiles(root, "*sh", SearchOption.AllDirectories));

        // A container engine mounts these two as well.
        string[] enter =
        [
            "unshare", "--mount", "--map-root-user", "sh", "-euc",
            "mount --rbind /proc \"$0/proc\"; mount --rbind /dev \"$0/dev\"; root=$0; exec chroot \"$root\" /usr/bin/salvor \"$@\"", root,
        ];
        var demo = await ExpectAsync([.. enter, "demo", "--seconds", "1"]);
        Assert.Contains("proved", demo.Stdout, StringComparison.Ordinal);
    }

    static async Task<ProcessResult> ExpectAsync(params string[] command)
    {
        var result = await ChildProcess.RunAsync(command[0], command[1..]);
        Assert.True(result.ExitCode == 0, $"{string.Join(' ', command)}: {result}");
        return result;
    }
}
