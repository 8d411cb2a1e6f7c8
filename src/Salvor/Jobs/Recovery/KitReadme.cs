using System.Text;
using Salvor.Text;

namespace Salvor.Jobs.Recovery;

/// <summary>The page that is read first, perhaps by somebody who never saw Salvor.</summary>
static class KitReadme
{
    public static string Write(KitFacts facts)
    {
        var page = new StringBuilder();
        page.Append($"""
            # Recovery kit

            Made at {InstantText.Format(facts.MadeAt)} on {facts.MadeOn}, by Salvor {facts.Version}. It has no secrets:
            a recovery needs this file, the credentials of a destination, and the key where the vault is encrypted. Keep
            those apart from each other, and none of them only on the machine that is protected.

            ## What is protected

            | Source | Database or files | Key | Copies |
            |---|---|---|---|

            """);
        foreach (var source in facts.Sources)
        {
            var copies = source.Vaults.Select(vault =>
                $"{vault.Destination}: `{vault.Location}`{(vault.VaultId is { } id ? $" (vault {id})" : "")}");
            page.Append($"| {source.Source} | `{source.Path}` | {source.KeyPlace ?? "none"} | {string.Join("; ", copies)} |\n");
        }

        page.Append("\n## On a bare machine\n\n");
        page.Append($"1. Put `salvor` (version {facts.Version} or later) into the PATH; `salvor version` tells which one it is.\n");
        page.Append(facts.Variables.Count == 0
            ? "2. Nothing is to be filled in: `salvor.yaml` names no variables.\n"
            : $"2. Set these variables, from which `salvor.yaml` is completed: `{string.Join("`, `", facts.Variables)}`.\n");
        page.Append("3. Restore, with this file in place of a configuration:\n\n");
        var first = facts.Sources.Count > 0 ? Shell.Quote(facts.Sources[0].Source) : "SOURCE";
        var key = facts.Sources.Any(source => source.Encrypted) ? " --key-file exported.key" : "";
        page.Append($"       salvor list {first} --config KIT.tar.gz{key}\n")
            .Append($"       salvor restore {first} --config KIT.tar.gz{key} --output recovered\n\n");
        page.Append("4. `tar xzf KIT.tar.gz` unpacks the configuration for the new machine, and `runbook.md` with all further steps.\n\n");
        if (facts.LeftOut.Count > 0)
        {
            page.Append("Left out of `salvor.yaml`, because it may hold secrets or is about the old machine: ")
                .Append($"`{string.Join("`, `", facts.LeftOut)}`.\n\n");
        }

        page.Append("Without this file it works too: `salvor restore SOURCE --from LOCATION` with a location from the table.\n");
        return page.ToString();
    }
}
