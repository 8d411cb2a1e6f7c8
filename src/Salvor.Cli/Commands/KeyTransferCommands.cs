using System.CommandLine;
using Salvor.Cli.Terminal;
using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Jobs.Keys;
using Salvor.Platform;
using Salvor.Sqlite;
using Salvor.Vault;
using Salvor.Vault.Keys;

namespace Salvor.Cli.Commands;

/// <summary><c>key export</c> and <c>key import</c>: the data key leaves its vault, and opens it again.</summary>
static class KeyTransferCommands
{
    const string Stdout = "-";

    static readonly Argument<string> Target = new("FILE") { Description = "The file to make, for its owner only; - for standard output." };

    static readonly Argument<string> Export = new("FILE") { Description = "An exported key, or a form for paper that was typed in." };

    static readonly Option<bool> Paper = new("--paper") { Description = "Write a form for paper instead, with a check for each line." };

    public static Command CreateExport(VaultOptions vault)
    {
        var command = new Command(
            "export", "Write the data key of a vault to a file that opens it even when the vault lost its own copies.") { Target, Paper };
        vault.AddTo(command);
        return command.WithAction(invocation => ExportAsync(invocation, vault));
    }

    public static Command CreateImport(VaultOptions vault, Option<string> label)
    {
        var command = new Command(
            "import", "Make a key slot again for the passphrase or key file of a source, by an exported key.") { Export, label };
        vault.AddTo(command);
        return command.WithAction(invocation => ImportAsync(invocation, vault, label));
    }

    static async Task<int> ExportAsync(Invocation invocation, VaultOptions options)
    {
        var target = invocation.Get(Target);
        if (target == Stdout && invocation.Json)
        {
            throw new SalvorException(
                FailureKind.Usage, "a key is never part of a JSON document", "Export to a file, or leave '--json' out.");
        }

        var vault = await FindOrMakeAsync(invocation, options);
        var export = KeyRotation.Export(vault);
        var text = invocation.Get(Paper) ? Form(export) : export.ToFile();
        if (target == Stdout)
        {
            Console.Out.Write(text);
        }
        else
        {
            Write(Path.GetFullPath(target), text);
        }

        await vault.NoteExportedAsync(invocation.Time, invocation.Cancellation);
        var file = target == Stdout ? "" : Path.GetFullPath(target);
        if (file.Length > 0)
        {
            invocation.Print($"exported the key of vault {vault.Location} to {file}");
            invocation.Print("Keep it away from this machine and from the vault: whoever has both can read everything.");
        }

        invocation.PrintJson(
            new KeyChangeDocument(vault.Identity.Source, vault.Location, vault.Id, "export", [], [], file),
            () => CliJson.Default.KeyChangeDocument);
        return 0;
    }

    /// <summary>Of a source that was never stored, the vault is made now: a daemon that waits for the export goes on then.</summary>
    static async Task<VaultAccess> FindOrMakeAsync(Invocation invocation, VaultOptions options)
    {
        if (options.IsFromGiven(invocation))
        {
            return (await KeyCommand.OpenAsync(invocation, options)).Vault;
        }

        var config = invocation.LoadConfig();
        var vault = VaultOf(config, options.NameIn(invocation));
        var source = vault.Config;
        var keys = KeyOptions.Find(invocation, source) ?? throw new KeyException(
            $"source {source.Name} is not encrypted, so it has no key",
            "Configure 'encryption' of the source first, for example encryption: { key_file: /etc/salvor/app.key }.");
        return await FindOrMakeAsync(invocation, config, vault, keys);
    }

    static ConfiguredVault VaultOf(SalvorConfig config, string? name)
    {
        if (ConfiguredSources.FindTree(config, name) is { } tree)
        {
            return ConfiguredSources.VaultOf(config, tree);
        }

        var (source, member) = ConfiguredSources.Find(config, name);
        return ConfiguredSources.VaultOf(source, member);
    }

    static async Task<VaultAccess> FindOrMakeAsync(
        Invocation invocation, SalvorConfig config, ConfiguredVault vault, Keyring keys)
    {
        if (await Destinations.FindVaultAsync(config, vault.Name, vault.Config.To, keys, invocation.Cancellation) is { } found)
        {
            return found;
        }

        // The disk may be away: a second history would begin beside the one that is on it.
        var destination = config.Destinations[vault.Config.To[0]];
        VaultMark.ExpectNone(
            LocalState.VaultPath(vault.State, vault.Path), VaultAccess.LocationOf(Destinations.Open(destination), vault.Name));
        return await VaultAccess.OpenOrCreateAsync(
            Destinations.OpenForWriting(destination), vault.Name, vault.Config is TreeSourceConfig tree ? tree.Kind : "sqlite",
            vault.Path, keys, invocation.Time, invocation.Cancellation);
    }

    /// <summary>Exports the key of a source with one vault to a file, unless that was done before. Whether it was done now.</summary>
    public static async Task<bool> ExportOnceAsync(Invocation invocation, SalvorConfig config, SourceConfig source, string file)
    {
        var configured = ConfiguredSources.Vaults(config, item => item == source).Single();
        var vault = await FindOrMakeAsync(invocation, config, configured, ConfiguredSources.KeysOf(source)!);
        if (await vault.KeySlots.IsExportedAsync(invocation.Cancellation))
        {
            return false;
        }

        Write(file, KeyRotation.Export(vault).ToFile());
        await vault.NoteExportedAsync(invocation.Time, invocation.Cancellation);
        return true;
    }

    static void Write(string path, string text)
    {
        var temporary = DurableFile.WriteTemporary(Path.GetDirectoryName(path)!, System.Text.Encoding.UTF8.GetBytes(text));
        if (!DurableFile.RenameNoReplace(temporary, path))
        {
            File.Delete(temporary);
            throw new SalvorException(
                FailureKind.Usage, $"{path} exists, and an export replaces nothing", "Name another file, or move that one away.");
        }

        DurableFile.FlushDirectory(Path.GetDirectoryName(path)!);
    }

    static string Form(KeyExport export) => $"""
        {export.ToPaper()}
        What this is: the key of a backup made by Salvor. Whoever has it and the vault can read everything in it; without it,
        or a passphrase or key file of the vault, nobody can.
        Where to keep it: with papers that matter, away from the machine and from the copies.
        How to use it: type the lines from "salvor data key" to "check" into a file of mode 0600; the spaces do not matter.
          salvor restore --from VAULT --key-file FILE
          salvor key import FILE --from VAULT        makes a key slot again, if the vault lost all of its own

        """;

    static async Task<int> ImportAsync(Invocation invocation, VaultOptions options, Option<string> label)
    {
        var file = Path.GetFullPath(invocation.Get(Export));
        var export = await SecretReader.ReadAsync(new KeySource.KeyFile(file), invocation.Cancellation);
        if (export.Export is null)
        {
            throw new KeyException($"{file} is not an exported key", "Import what 'salvor key export' made, in either form.");
        }

        var (vault, keys) = await options.OpenByAsync(invocation, Keyring.Of(export));
        var secret = await (keys ?? throw new KeyException(
            "the passphrase or key file that is to open the vault is not given",
            "Name it with '--key-file FILE', or set SALVOR_PASSPHRASE.")).SecretAsync(invocation.Cancellation);
        var slots = await vault.KeySlots.ListAsync(damaged => invocation.Tell($"salvor: {damaged.Message}"), invocation.Cancellation);
        ulong[] added = slots.Any(slot => KeyRotation.Fits(slot, secret))
            ? []
            : [await KeyRotation.AddAsync(vault, secret, invocation.Get(label), invocation.Time, invocation.Cancellation)];
        await vault.NoteExportedAsync(invocation.Time, invocation.Cancellation);
        invocation.Print(added.Length == 0
            ? $"nothing to do: {secret.Origin} opens vault {vault.Location} already"
            : $"added slot {added[0]}: {secret.Origin} opens vault {vault.Location}");
        invocation.PrintJson(
            new KeyChangeDocument(vault.Identity.Source, vault.Location, vault.Id, "import", added, [], file),
            () => CliJson.Default.KeyChangeDocument);
        return 0;
    }
}
