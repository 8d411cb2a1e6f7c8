using Salvor.Jobs.Config;

namespace Salvor.Jobs.Doctor;

/// <summary>Judges a configuration: what can be read, and still does not work or protects less than it seems to.</summary>
static class ConfigChecks
{
    public static IReadOnlyList<Check> Judge(ConfigFacts facts)
    {
        var config = facts.Config;
        var list = new CheckList("config");
        list.Ok(
            "the configuration is read",
            $"{config.FileName}: {config.SourceCount} source(s), {facts.Members.Count} database(s), "
                + $"{config.Destinations.Count} destination(s)");
        JudgeSecrets(facts, list);
        JudgeNames(facts, list);
        foreach (var (source, member) in facts.Members)
        {
            JudgeMember(facts, source, member, list);
        }

        JudgeScratch(config, list);
        NotifyChecks.Judge(facts, list);
        return list.Checks;
    }

    /// <summary>A secret in a file is as secret as the file.</summary>
    static void JudgeSecrets(ConfigFacts facts, CheckList list)
    {
        const uint Group = 0b000_110_000;
        const uint World = 0b000_000_110;
        if (facts.PlainSecrets.Count == 0)
        {
            return;
        }

        var file = facts.Config.FileName;
        var secrets = string.Join(", ", facts.PlainSecrets);
        var fix = $"chmod 600 {file}; better, write ${{NAME}} and set the variable in a file of mode 0600.";
        if (facts.Permissions is not { } permissions)
        {
            list.Unknown($"{file} holds {secrets} in plain text", "its mode cannot be read", fix);
        }
        else if ((permissions & World) != 0)
        {
            list.Fail(FailureKind.Usage, $"everybody may read the secrets in {file}", $"{secrets}; {Mode(permissions)}", fix);
        }
        else if ((permissions & Group) != 0)
        {
            list.Warn($"the group may read the secrets in {file}", $"{secrets}; {Mode(permissions)}", fix);
        }
        else
        {
            list.Ok($"only its owner may read the secrets in {file}", $"{secrets}; {Mode(permissions)}");
        }
    }

    static string Mode(uint permissions) => $"mode {Convert.ToString(permissions, 8).PadLeft(4, '0')}";

    /// <summary>What the patterns of one source find may be a database of another.</summary>
    static void JudgeNames(ConfigFacts facts, CheckList list)
    {
        foreach (var same in facts.Members.GroupBy(item => item.Member.Path).Where(group => group.Count() > 1))
        {
            list.Fail(
                FailureKind.Usage,
                $"sources {string.Join(" and ", same.Select(item => item.Source.Name))} are one database",
                $"{same.Key}: the second one is refused for the lock of the first",
                "Keep one of them, and give it all destinations: 'to: [..]'.");
        }
    }

    static void JudgeMember(ConfigFacts facts, SqliteSourceConfig source, SourceMember member, CheckList list)
    {
        var folder = Path.GetDirectoryName(member.Path)!;
        var destinations = source.To.Select(name => facts.Config.Destinations[name]).ToList();
        foreach (var file in destinations.OfType<FileDestinationConfig>().Where(file => Place.IsIn(file.Path, folder)))
        {
            list.Warn(
                $"destination {file.Name} is in the folder of {member.Name}",
                $"{file.Path}: who deletes the app's folder deletes its copies",
                $"Move it: 'path: /var/backups/salvor' under destinations, {file.Name}.");
        }

        if (facts.DeviceOf(member.Path) is not { } device)
        {
            list.Unknown($"whether the copies of {member.Name} are on another disk", "its folder cannot be looked at", "Run as its owner.");
        }
        else if (destinations.All(item => item is FileDestinationConfig file && facts.DeviceOf(file.Path) == device))
        {
            list.Warn(
                $"every copy of {member.Name} is on the disk of the database",
                string.Join(", ", destinations.Select(item => item.Location)),
                "Add a destination on another disk or machine, and name it in 'to': one disk that dies takes all.");
        }
    }

    /// <summary>What is restored must not be taken for a database to protect.</summary>
    static void JudgeScratch(SalvorConfig config, CheckList list)
    {
        foreach (var source in config.Sources.Values.Where(source => source.Paths is not null))
        {
            var paths = source.Paths!;
            if (config.Restore.Scratch is { } scratch && paths.Patterns.Any(pattern => paths.IsMatch(Restored(scratch, pattern))))
            {
                list.Warn(
                    $"restores go where {source.Name} looks for databases",
                    $"{scratch}: each restored database would be protected as one more",
                    "Set 'restore: { scratch: /var/tmp/restored }', outside of every pattern.");
            }
        }
    }

    /// <summary>Where a database that the pattern matches would be restored to.</summary>
    static string Restored(string scratch, string pattern) =>
        Path.Combine(scratch, "restored", Path.GetFileName(pattern).Replace('*', 'x').Replace('?', 'x'));
}
