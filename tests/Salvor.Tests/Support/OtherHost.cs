namespace Salvor.Tests.Support;

/// <summary>Runs a command as if on another machine: with its own name and boot, and a folder where others have theirs.</summary>
static class OtherHost
{
    const string Script = """
        hostname "$1"
        mount --bind "$2" /proc/sys/kernel/random/boot_id
        mount --bind "$3" "$4"
        shift 4
        exec "$@"
        """;

    /// <summary>The first words of a command line; needs root, as the tests that mount something do.</summary>
    /// <param name="name">The name of the machine.</param>
    /// <param name="bootIdFile">Is made, and holds the id of its boot.</param>
    /// <param name="folder">What it has at <paramref name="place"/>.</param>
    /// <param name="place">An existing folder.</param>
    public static string[] Prefix(string name, string bootIdFile, string folder, string place)
    {
        File.WriteAllText(bootIdFile, $"{Guid.NewGuid()}\n");
        return ["unshare", "--uts", "--mount", "sh", "-ec", Script, "sh", name, bootIdFile, folder, place];
    }
}
