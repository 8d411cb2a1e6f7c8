using Salvor.Cli.Commands;
using Salvor.Cli.Terminal;
using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Vault;
using Salvor.Vault.Trees;

namespace Salvor.Cli.Init;

/// <summary>A backup that counts: at every destination, and restored from each.</summary>
static class FirstBackup
{
    const string Label = "first";

    /// <summary>Of files: all of it is read back from each destination, as a restore does.</summary>
    public static async Task<InitSourceBody> MakeAsync(Invocation invocation, SalvorConfig config, TreeSourceConfig tree)
    {
        var keys = ConfiguredSources.KeysOf(tree);
        var source = new TreeSource(config, tree, invocation.Time) { Command = $"salvor init {tree.Name}" };
        var (result, copies, hook) = await source.BackUpAsync(
            new BackupRequest(Label, "incremental", null), keys, invocation.Cancellation);
        if (copies is [var missing, ..])
        {
            throw missing.Failure;
        }

        foreach (var problem in result.Problems)
        {
            invocation.Tell($"warning: {problem}");
        }

        if (hook is not null)
        {
            throw hook;
        }

        foreach (var name in tree.To)
        {
            var vault = await Destinations.FindVaultAsync(config, tree.Name, [name], keys, invocation.Cancellation)
                ?? throw new SalvorException(
                    FailureKind.Integrity, $"the backup is not at {name}", "Run 'salvor repair', then 'salvor verify'.");
            await (await TreeBackups.OpenAsync(vault, result.Record, invocation.Cancellation)).ReadAllAsync(invocation.Cancellation);
        }

        var backup = result.Record;
        return new(tree.Name, tree.Subject, backup.Id, backup.Position, backup.Time, tree.To);
    }

    public static async Task<InitSourceBody> MakeAsync(
        Invocation invocation, SalvorConfig config, SqliteSourceConfig source, SourceMember member)
    {
        var options = ConfiguredSources.OptionsOf(source, member);
        var request = new ControlRequest("backup", member.Path) { Label = Label, Mode = "incremental" };
        var served = (await OneShot.AskAsync(invocation, options.StateDirectory, request, invocation.Cancellation))?.Backup;
        var backup = served ?? await OneShot.AttachAsync(
            invocation, $"salvor init {options.Name}", WithAllRequired(config), source, options, async host =>
            {
                var made = await host.BackUpAsync(options.Name, new BackupRequest(Label, "incremental", null), invocation.Cancellation);
                await host.SyncAsync(options.Name, invocation.Cancellation);
                return made;
            });

        // A daemon that serves it already fills the further copies in its own time.
        var verified = new List<string>();
        foreach (var name in served is null ? source.To : source.To.Take(1))
        {
            var vault = await VaultAccess.FindAsync(
                Destinations.Open(config.Destinations[name]), member.Name, ConfiguredSources.KeysOf(source), invocation.Cancellation);
            await BackupCommand.VerifyAsync(
                invocation,
                vault ?? throw new SalvorException(
                    FailureKind.Integrity, $"the backup is not at {name}", "Run 'salvor repair', then 'salvor verify'."),
                backup,
                config.Restore.Scratch);
            verified.Add(name);
        }

        return new(member.Name, member.Path, backup.Id, backup.Position, backup.Time, verified);
    }

    /// <summary>So that what is waited for is a copy everywhere.</summary>
    static SalvorConfig WithAllRequired(SalvorConfig config) => config with
    {
        Destinations = config.Destinations.ToDictionary(item => item.Key, item => item.Value with { IsRequired = true }),
    };
}
