using System.CommandLine;
using Salvor.Cli.Terminal;
using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Jobs.Keys;
using Salvor.Text;
using Salvor.Vault;
using Salvor.Vault.Keys;

namespace Salvor.Cli.Commands;

/// <summary>The keys of an encrypted vault: which secrets open it, and its data key outside of it.</summary>
static class KeyCommand
{
    static readonly VaultOptions Vault = new();

    static readonly Argument<ulong> Slot = new("SLOT") { Description = "The number of a key slot; 'salvor key list' shows them." };

    static readonly Option<string?> NewKeyFile = new("--new-key-file")
    {
        Description = "The key file that is to open the vault.", HelpName = "FILE",
    };

    static readonly Option<string?> NewPassphraseFile = new("--new-passphrase-file")
    {
        Description = "The file with the passphrase that is to open the vault (or $SALVOR_NEW_PASSPHRASE, or that with _FILE, _COMMAND "
            + "or _FD, or $SALVOR_NEW_KEY_FILE).",
        HelpName = "FILE",
    };

    static readonly Option<string> Label = new("--label")
    {
        Description = "Whose the new slot is, for 'key list'.", HelpName = "TEXT", DefaultValueFactory = _ => "",
    };

    public static Command Create() => new("key", "Export, import, list, add, remove and rotate the keys of an encrypted vault.")
    {
        KeyTransferCommands.CreateExport(Vault),
        KeyTransferCommands.CreateImport(Vault, Label),
        CreateOf("list", "Print the key slots of a vault: what opens it.", [], ListAsync),
        CreateOf("add", "Let another passphrase or key file open the vault too.", [NewKeyFile, NewPassphraseFile, Label], AddAsync),
        CreateRemove(),
        CreateOf(
            "rotate", "Replace the passphrase or key file by another one. Nothing that is stored changes.",
            [NewKeyFile, NewPassphraseFile, Label], RotateAsync),
    };

    /// <summary>The vault, open.</summary>
    public static async Task<(VaultAccess Vault, Keyring Keys)> OpenAsync(Invocation invocation, VaultOptions options)
    {
        var (vault, source, keys) = await options.FindWithKeysAsync(invocation);
        if (vault is null)
        {
            throw new SalvorException(
                FailureKind.NotRestorable,
                $"source {source!.Name} has no vault yet",
                "'salvor key export' makes one, and 'salvor daemon' does when it runs.");
        }

        return keys is not null
            ? (vault, keys)
            : throw new KeyException(
                $"vault {vault.Location} is not encrypted, so it has no keys",
                "A vault stays what it was made as: give the source another name or destination for an encrypted one.");
    }

    static Command CreateOf(string name, string description, Option[] options, Func<Invocation, Task<int>> action)
    {
        var command = new Command(name, description);
        foreach (var option in options)
        {
            command.Add(option);
        }

        Vault.AddTo(command);
        return command.WithAction(action);
    }

    static Command CreateRemove()
    {
        var command = new Command("remove", "Remove a key slot. The last one is refused.") { Slot };
        Vault.AddTo(command);
        return command.WithAction(RemoveAsync);
    }

    static async Task<int> ListAsync(Invocation invocation)
    {
        var (vault, keys) = await OpenAsync(invocation, Vault);
        var secret = await keys.SecretAsync(invocation.Cancellation);
        var damaged = new List<DamagedObject>();
        var slots = await vault.KeySlots.ListAsync(e => damaged.Add(new(e.Key, e.Message)), invocation.Cancellation);
        var document = new KeyListDocument(
            vault.Identity.Source, vault.Location, vault.Id, await vault.KeySlots.IsExportedAsync(invocation.Cancellation),
            [.. slots.Select(slot => Body(slot, secret))], [.. damaged.Select(item => item.Key)]);
        invocation.Print($"{document.Source} at {document.Location}: the key was {(document.Exported ? "" : "not ")}exported");
        foreach (var slot in document.Slots)
        {
            var label = (slot.Label.Length == 0 ? "" : $"  \"{slot.Label}\"") + (slot.Opened ? "  (given)" : "");
            invocation.Print($"  slot {slot.Slot}  {slot.Kind}  {slot.Kdf}  {InstantText.Format(slot.CreatedAt)}{label}");
        }

        foreach (var item in damaged)
        {
            invocation.Print($"  {item.Message}");
        }

        invocation.PrintJson(document, () => CliJson.Default.KeyListDocument);
        return damaged.Count == 0 ? 0 : (int)FailureKind.Integrity;
    }

    static KeySlotBody Body(KeySlot slot, VaultSecret secret) => new(
        slot.Number, slot.Record.Kind, OneLine(slot.Record.Label), slot.Record.Kdf.Name, slot.Record.CreatedAt,
        KeyRotation.Fits(slot, secret));

    /// <summary>A label comes from the vault, where anybody who may write to it may have put anything.</summary>
    static string OneLine(string label) => new([.. label.Where(c => !char.IsControl(c)).Take(100)]);

    static async Task<int> AddAsync(Invocation invocation)
    {
        var (vault, _) = await OpenAsync(invocation, Vault);
        var secret = await NewSecretAsync(invocation);
        var number = await KeyRotation.AddAsync(vault, secret, invocation.Get(Label), invocation.Time, invocation.Cancellation);
        Say(invocation, vault, "add", [number], [], $"added slot {number}: {secret.Origin} opens vault {vault.Location} too");
        return 0;
    }

    static async Task<int> RemoveAsync(Invocation invocation)
    {
        var (vault, _) = await OpenAsync(invocation, Vault);
        var number = invocation.Get(Slot);
        await vault.KeySlots.RemoveAsync(number, invocation.Cancellation);
        Say(invocation, vault, "remove", [], [number], $"removed slot {number} of vault {vault.Location}");
        return 0;
    }

    static async Task<int> RotateAsync(Invocation invocation)
    {
        var (vault, keys) = await OpenAsync(invocation, Vault);
        var old = await keys.SecretAsync(invocation.Cancellation);
        var next = await NewSecretAsync(invocation);
        var (added, removed) = await KeyRotation.RotateAsync(
            vault, old, next, invocation.Get(Label), invocation.Time, invocation.Cancellation);
        var gone = removed.Count == 0 ? "no slot was removed" : $"slot {string.Join(", ", removed)} was removed";
        Say(invocation, vault, "rotate", [added], removed, $"{next.Origin} opens vault {vault.Location} by slot {added}; {gone}");
        invocation.Print("Put the new one where the daemon takes it from; one that runs goes on. Exported keys stay valid.");
        return 0;
    }

    static void Say(
        Invocation invocation, VaultAccess vault, string what, IReadOnlyList<ulong> added, IReadOnlyList<ulong> removed, string line)
    {
        invocation.Print(line);
        invocation.PrintJson(
            new KeyChangeDocument(vault.Identity.Source, vault.Location, vault.Id, what, added, removed, ""),
            () => CliJson.Default.KeyChangeDocument);
    }

    static Task<VaultSecret> NewSecretAsync(Invocation invocation)
    {
        KeySource?[] given =
        [
            invocation.Get(NewKeyFile) is { } keyFile ? new KeySource.KeyFile(Path.GetFullPath(keyFile)) : null,
            invocation.Get(NewPassphraseFile) is { } file ? new KeySource.PassphraseFile(Path.GetFullPath(file)) : null,
        ];
        var source = given.OfType<KeySource>().FirstOrDefault()
            ?? KeyVariables.Find(KeyVariables.New, Environment.GetEnvironmentVariable)
            ?? throw new KeyException(
                "the new passphrase or key file is not given",
                "Name it with '--new-key-file FILE' or '--new-passphrase-file FILE', or set SALVOR_NEW_PASSPHRASE.");
        return SecretReader.ReadAsync(source, invocation.Cancellation);
    }

    sealed record DamagedObject(string Key, string Message);
}
