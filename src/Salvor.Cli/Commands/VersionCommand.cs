using System.CommandLine;
using System.Runtime.InteropServices;
using Salvor.Cli.Terminal;
using Salvor.Sqlite;
using Salvor.Sqlite.Native;
using Salvor.Vault.Format;

namespace Salvor.Cli.Commands;

static class VersionCommand
{
    public static Command Create() => new Command(
        "version", "Print the version, the vault format and the libraries.").WithAction(Run);

    static Task<int> Run(Invocation invocation)
    {
        var document = new VersionDocument(
            LocalState.Version, $"v{ObjectHeader.MajorVersion} (read and write)", SqliteConnection.LibraryVersion,
            RuntimeInformation.FrameworkDescription, RuntimeInformation.RuntimeIdentifier);
        invocation.Print($"salvor {document.Version}");
        invocation.Print($"vault format: {document.Format}");
        invocation.Print($"sqlite: {document.Sqlite}");
        invocation.Print($"runtime: {document.Runtime}, {document.Platform}");
        invocation.PrintJson(document, () => CliJson.Default.VersionDocument);
        return Task.FromResult(0);
    }
}
