using Salvor.Tests.Support;

namespace Salvor.Tests.Cli;

/// <summary>The folder of an operator whose source is encrypted: secrets in files, and a shell with <c>salvor</c> in it.</summary>
static class KeyRig
{
    public const string Passphrase = "correct horse battery staple";

    /// <summary>Writes a file for its owner only.</summary>
    public static string WriteSecret(this CliRig rig, string name, string text)
    {
        File.WriteAllText(rig[name], text);
        File.SetUnixFileMode(rig[name], UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return rig[name];
    }

    /// <summary>A source in the configuration, with its encryption.</summary>
    public static string Source(string encryption) =>
        $"app: {{ type: sqlite, path: ./app/app.db, to: [local], encryption: {encryption} }}";

    /// <summary>Runs lines of a shell in the folder. They come from a file that is gone afterwards, so that no argument has them.</summary>
    public static async Task<ProcessResult> ShellAsync(this CliRig rig, string script)
    {
        var program = Path.Combine(AppContext.BaseDirectory, "Salvor.Cli.dll");
        File.WriteAllText(rig["salvor"], $"#!/bin/sh\nexec dotnet '{program}' \"$@\"\n");
        File.SetUnixFileMode(rig["salvor"], UnixFileMode.UserRead | UnixFileMode.UserExecute);
        rig.WriteSecret("script", $"PATH=$PWD:$PATH\n{script}");
        await using var shell = ChildProcess.Start("bash", ["script"], rig.Folder);
        var result = await shell.ExitAsync(TimeSpan.FromMinutes(4));
        File.Delete(rig["script"]);
        return result;
    }

    /// <summary>Replicates the database once to an encrypted vault, whose key counts as saved.</summary>
    public static async Task FillAsync(this CliRig rig, params string[] key)
    {
        await rig.CreateDatabaseAsync();
        await CliRig.StopAsync(await rig.ReplicateAsync(["--encrypt", .. key, "--i-have-saved-the-key"]));
    }
}
