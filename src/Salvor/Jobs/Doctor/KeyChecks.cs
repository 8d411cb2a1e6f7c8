using Salvor.Jobs.Config;
using Salvor.Jobs.Keys;
using Salvor.Vault.Keys;

namespace Salvor.Jobs.Doctor;

/// <summary>Judges what opens the vaults of a source: without it, all else is lost too.</summary>
static class KeyChecks
{
    /// <param name="source">The name of the source.</param>
    /// <param name="key">Where its key is configured to be; null where it is plain, or opened by what the command line says.</param>
    /// <param name="vaults">Its vaults.</param>
    /// <param name="destinations">Its destinations that are directories of this machine.</param>
    /// <param name="deviceOf">The device of a path.</param>
    public static IReadOnlyList<Check> Judge(
        string source, KeySource? key, IReadOnlyList<VaultFacts> vaults, IEnumerable<FileDestinationConfig> destinations,
        Func<string, ulong?> deviceOf)
    {
        var list = new CheckList("key", source);
        foreach (var vault in vaults)
        {
            JudgeVault(vault, list);
        }

        if (FileOf(key) is { } file)
        {
            JudgePlace(file, [.. destinations], deviceOf, list);
        }

        return list.Checks;
    }

    /// <summary>The secret could not be had at all: where no vault was reached, nothing else would say so.</summary>
    public static IReadOnlyList<Check> JudgeSecret(string source, SalvorException failure)
    {
        var list = new CheckList("key", source);
        list.Fail("the key cannot be had", failure);
        return list.Checks;
    }

    static void JudgeVault(VaultFacts facts, CheckList list)
    {
        if (facts.Failure is KeyException e)
        {
            list.Fail($"the vault at {facts.Destination} does not open", e);
            return;
        }

        if (!facts.IsEncrypted)
        {
            return;
        }

        foreach (var damage in facts.DamagedSlots)
        {
            list.Warn(
                $"a key slot at {facts.Destination} is damaged", damage.Message,
                $"salvor repair {facts.Source}   (from another copy), or 'salvor key add' and 'salvor key remove'");
        }

        if (facts is { Newest: not null, Failure: null })
        {
            list.Ok(
                $"the key opens the newest object at {facts.Destination}",
                $"{facts.Slots.Count} key slot(s): {string.Join(", ", facts.Slots.Select(slot => $"{slot.Number} ({slot.Record.Kind})"))}");
        }

        JudgeExport(facts, list);
    }

    static void JudgeExport(VaultFacts facts, CheckList list)
    {
        var export = $"salvor key export FILE {facts.Source}   (and keep the file elsewhere; '--paper' prints it)";
        if (facts.Exported is null)
        {
            list.Fail(
                FailureKind.Usage, $"the key at {facts.Destination} was not exported, so nothing is written", facts.Location, export);
        }
        else if (facts.Exported.Waived && facts.Slots.Count < 2)
        {
            list.Warn(
                $"one secret alone opens the vault at {facts.Destination}", "somebody said that the key is safe; no export was made of it",
                $"{export}; or a second secret: 'salvor key add {facts.Source}'");
        }
    }

    /// <summary>Who takes the disk must not have both.</summary>
    static void JudgePlace(
        string file, IReadOnlyList<FileDestinationConfig> destinations, Func<string, ulong?> deviceOf, CheckList list)
    {
        const string Fix =
            "Keep the key on another disk than the copies, such as a systemd credential ('encryption: { credential: NAME }').";
        foreach (var destination in destinations)
        {
            if (Place.IsIn(file, destination.Path))
            {
                list.Fail(
                    FailureKind.Usage, $"the key lies in destination {destination.Name}", $"{file}: who has the copies has the key", Fix);
            }
            else if (deviceOf(file) is { } device && deviceOf(destination.Path) == device)
            {
                list.Warn(
                    $"the key is on the disk of destination {destination.Name}", $"{file}, {destination.Path}: who takes the disk has both",
                    Fix);
            }
        }
    }

    static string? FileOf(KeySource? key) => key switch
    {
        KeySource.KeyFile file => file.Path,
        KeySource.PassphraseFile file => file.Path,
        _ => null,
    };
}
