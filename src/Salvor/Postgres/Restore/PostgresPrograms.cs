using System.Globalization;
using Salvor.Platform;

namespace Salvor.Postgres.Restore;

/// <summary>The programs of an installed server: only one of the same major version reads a data directory.</summary>
/// <param name="Folder">Where they are.</param>
/// <param name="Major">Their version.</param>
public sealed record PostgresPrograms(string Folder, int Major)
{
    const string Server = "postgres";

    /// <summary>Finds those of a version: where distributions put them, then on the PATH.</summary>
    public static async Task<PostgresPrograms> FindAsync(int major, CancellationToken cancellationToken)
    {
        var ofVersion = string.Create(CultureInfo.InvariantCulture, $"/usr/lib/postgresql/{major}/bin");
        var path = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':', StringSplitOptions.RemoveEmptyEntries);
        foreach (var folder in (string[])
            [ofVersion, string.Create(CultureInfo.InvariantCulture, $"/usr/pgsql-{major}/bin"), "/usr/local/pgsql/bin", .. path])
        {
            var program = Path.Combine(folder, Server);
            if (File.Exists(program) && await MajorOfAsync(program, cancellationToken) == major)
            {
                return new PostgresPrograms(folder, major);
            }
        }

        throw new SalvorException(
            FailureKind.Failure, $"PostgreSQL {major} is not installed here: neither {ofVersion} nor the PATH has its 'postgres'",
            $"Install it ('apt-get install postgresql-{major}'): no other version can read this cluster.");
    }

    /// <summary>The path of one of them.</summary>
    public string PathOf(string program) => Path.Combine(Folder, program);

    /// <summary>Runs one of them to its end, and returns what it prints. Throws where it fails.</summary>
    public Task<string> RunAsync(string program, IEnumerable<string> arguments, CancellationToken cancellationToken) =>
        OutputOfAsync([PathOf(program), .. arguments], cancellationToken);

    /// <summary>As the other, as the owner of a directory.</summary>
    internal Task<string> RunAsOwnerAsync(
        string path, string program, IEnumerable<string> arguments, CancellationToken cancellationToken) =>
        OutputOfAsync(AsOwnerOf(path, [PathOf(program), .. arguments]), cancellationToken);

    /// <summary>
    /// A command as the owner of a directory: a server refuses to run as root. It begins in a directory that everybody may enter, because
    /// PostgreSQL's programs go back to where they began.
    /// </summary>
    internal static IReadOnlyList<string> AsOwnerOf(string path, IEnumerable<string> command)
    {
        var owner = FileStat.Of(path) ?? throw new PosixException(Errno.NoEntry, "stat", path);
        return Posix.EffectiveUserId() == 0
            ? ["env", "-C", "/", "setpriv", $"--reuid={owner.UserId}", $"--regid={owner.GroupId}", "--clear-groups", .. command]
            : [.. command];
    }

    /// <summary>From <c>postgres (PostgreSQL) 15.18 (Debian 15.18-0)</c>.</summary>
    static async Task<int?> MajorOfAsync(string program, CancellationToken cancellationToken)
    {
        try
        {
            var words = (await OutputOfAsync([program, "-V"], cancellationToken)).Split(' ');
            var digits = words.Length > 2 ? new string([.. words[2].TakeWhile(char.IsAsciiDigit)]) : "";
            return int.TryParse(digits, CultureInfo.InvariantCulture, out var major) ? major : null;
        }
        catch (SalvorException)
        {
            // It is no server, or not for this machine.
            return null;
        }
    }

    static async Task<string> OutputOfAsync(IReadOnlyList<string> command, CancellationToken cancellationToken)
    {
        await using var process = GuardedProcess.Start(new ProgramStart(command)
        {
            Environment = new Dictionary<string, string> { ["LC_ALL"] = "C" },
        });
        var errors = new OutputTail(process.ErrorText);
        var output = await process.OutputText.ReadToEndAsync(cancellationToken);
        await process.WaitAsync([errors], cancellationToken);
        return process.ExitCode == 0
            ? output
            : throw new ProgramException(
                $"'{command[0]}' ended with {process.ExitCode}: {string.Join(" | ", OutputTail.LastLines(errors.Text))}",
                "Run it by itself to see why.");
    }
}
