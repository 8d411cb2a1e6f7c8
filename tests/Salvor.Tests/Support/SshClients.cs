using System.Diagnostics;

namespace Salvor.Tests.Support;

/// <summary>The running clients of OpenSSH.</summary>
static class SshClients
{
    /// <summary>Those that were started with this text among their arguments.</summary>
    public static List<Process> With(string argument) =>
        [.. Process.GetProcessesByName("ssh").Where(client => Arguments(client).Contains(argument, StringComparison.Ordinal))];

    static string Arguments(Process client)
    {
        try
        {
            return File.ReadAllText($"/proc/{client.Id}/cmdline");
        }
        catch (IOException)
        {
            // It has ended meanwhile.
            return "";
        }
    }
}
