using System.Text.RegularExpressions;
using Salvor.Tests.Support;

namespace Salvor.Tests.Cli;

/// <summary>
/// What a person at a terminal sees of long work. It is long because its destination is slow: a server on loopback, with a limit for what
/// is fetched from it or sent to it.
/// </summary>
public sealed partial class ProgressTests : IAsyncLifetime
{
    const int Columns = 80;
    const string CopiedDestinations = "fast, slow";

    readonly CliRig rig = new();
    SshServer server = null!;

    public async ValueTask InitializeAsync()
    {
        server = await SshServer.RunningAsync();
        Directory.CreateDirectory(rig["vaults"]);
        Directory.CreateDirectory(rig["copies"]);
    }

    public ValueTask DisposeAsync() => rig.DisposeAsync();

    [Fact]
    public async Task A_restore_shows_what_it_does_and_takes_the_line_away()
    {
        await BackUpDatabaseAsync();

        var result = await AtTerminalAsync("restore", "app", "--output", rig["out.db"]);

        Assert.True(result.Code == 0, result.Screen);
        AssertSeen(result, "app: ");
        Assert.StartsWith($"Restored \"app\" -> {rig["out.db"]}\n", result.Screen, StringComparison.Ordinal);
        Assert.DoesNotContain("app: ", result.Screen, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_verification_shows_how_much_is_checked()
    {
        await BackUpDatabaseAsync();

        var result = await AtTerminalAsync("verify", "app");

        Assert.True(result.Code == 0, result.Screen);
        AssertSeen(result, "app: checking ");
        Assert.StartsWith("✓ app at sftp://", result.Screen, StringComparison.Ordinal);
        Assert.DoesNotContain("checking", result.Screen, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_repair_shows_what_it_compares_and_what_it_heals_stays_on_the_screen()
    {
        await BackUpDatabaseAsync(CopiedDestinations);
        var pack = Directory.GetFiles(rig["copies"], "*", SearchOption.AllDirectories).First(path => path.Contains("/packs/"));
        File.Delete(pack);

        var result = await AtTerminalAsync("repair", "app");

        Assert.True(result.Code == 0, result.Screen);
        AssertSeen(result, "app: comparing ");
        Assert.Contains("it is missing, copied from", result.Screen.Replace("\n", ""), StringComparison.Ordinal);
        Assert.DoesNotContain("comparing", result.Screen, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_backup_of_files_shows_files_bytes_rate_and_the_end_of_the_path_that_fits()
    {
        var path = WriteFiles();
        Configure("max_upload: 12MiB/s", $"docs: {{ type: files, paths: [{path}], to: [slow] }}");

        var result = await AtTerminalAsync("backup", "docs");

        Assert.True(result.Code == 0, result.Screen);
        Assert.True(
            result.Seen.Any(line => ReadingFiles().IsMatch(line) && line.Length >= Columns - 2), string.Join('\n', result.Seen));
        Assert.EndsWith("\nBackup completed successfully\n", result.Screen, StringComparison.Ordinal);
        Assert.DoesNotContain("reading", result.Screen, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_restore_of_files_shows_what_it_writes()
    {
        var path = WriteFiles();
        Configure("max_download: 4MiB/s", $"docs: {{ type: files, paths: [{path}], to: [slow] }}");
        await ExpectAsync("backup", "docs");

        var result = await AtTerminalAsync("restore", "docs", "--output", rig["out"]);

        Assert.True(result.Code == 0, result.Screen);
        AssertSeen(result, "docs: ");
        Assert.DoesNotContain("docs: ", result.Screen, StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_that_is_interrupted_leaves_no_half_line_behind()
    {
        await BackUpDatabaseAsync();

        // So slow that no key comes too late.
        Configure("max_download: 512KiB/s", $"app: {{ type: sqlite, path: {rig.Database}, to: [slow] }}");

        var result = await TestTerminal.RunAsync(
            Columns, [], "app: re", "restore", "app", "--output", rig["out.db"], "--config", rig["salvor.yaml"]);

        Assert.Equal(130, result.Code);
        Assert.Equal("salvor: interrupted\nhint: Nothing was left behind; run it again when ready.\n", result.Screen);
        Assert.False(File.Exists(rig["out.db"]));
    }

    [Fact]
    public async Task Where_characters_beyond_ascii_are_not_shown_nothing_else_is_drawn()
    {
        var path = WriteFiles();
        Configure("max_upload: 12MiB/s", $"docs: {{ type: files, paths: [{path}], to: [slow] }}");

        var result = await TestTerminal.RunAsync(
            Columns, ["LC_ALL=C"], "", "backup", "docs", "--config", rig["salvor.yaml"]);

        Assert.True(result.Code == 0, result.Screen);
        Assert.Contains(result.Seen, line => line.Contains(", ...", StringComparison.Ordinal));
        Assert.All(result.Seen, line => Assert.True(line.All(char.IsAscii), line));
    }

    [Fact]
    public async Task Nothing_is_drawn_where_it_cannot_be_or_is_not_wanted()
    {
        await BackUpDatabaseAsync();
        (string Terminal, string[] Options)[] cases =
            [("TERM=dumb", []), ("TERM=xterm", ["--quiet"]), ("TERM=xterm", ["--json"]), ("TERM=xterm", ["--progress", "never"])];
        foreach (var (terminal, options) in cases)
        {
            var result = await TestTerminal.RunAsync(
                Columns, [terminal], "", ["verify", "app", .. options, "--config", rig["salvor.yaml"]]);

            Assert.True(result.Code == 0, result.Screen);
            Assert.DoesNotContain(result.Seen, line => line.Contains("checking", StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task What_is_asked_for_where_no_line_can_be_drawn_is_written_line_by_line()
    {
        await BackUpDatabaseAsync();

        var result = await TestTerminal.RunAsync(
            Columns, ["TERM=dumb"], "", "verify", "app", "--progress", "always", "--config", rig["salvor.yaml"]);

        Assert.True(result.Code == 0, result.Screen);
        Assert.Contains(result.Screen.Split('\n'), line => line.StartsWith("app: checking ", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_narrow_terminal_gets_less_and_no_line_that_wraps()
    {
        await BackUpDatabaseAsync();

        var result = await TestTerminal.RunAsync(
            30, [], "", "verify", "app", "--config", rig["salvor.yaml"]);

        Assert.Contains(result.Seen, line => line.StartsWith("app: checking ", StringComparison.Ordinal) && line.Length < 30);
        Assert.DoesNotContain("checking", result.Screen, StringComparison.Ordinal);
    }

    /// <summary>What no codec makes smaller, at the slow destination and where else it is to be.</summary>
    async Task BackUpDatabaseAsync(string destinations = "slow")
    {
        const string Rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6) SELECT randomblob(2000000) FROM n";
        await Tool.SqlAsync(rig.Database, $"PRAGMA journal_mode = WAL; CREATE TABLE t(x); INSERT INTO t {Rows};");
        Configure("max_download: 8MiB/s", $"app: {{ type: sqlite, path: {rig.Database}, to: [{destinations}] }}");
        await ExpectAsync("backup", "app");
    }

    /// <summary>A file with a long path, in letters of which some are two columns wide.</summary>
    string WriteFiles()
    {
        var folder = Directory.CreateDirectory(Path.Combine(rig["files"], new string('d', 90), "ü")).FullName;
        var content = new byte[48_000_000];
        new Random(1).NextBytes(content);
        File.WriteAllBytes(Path.Combine(folder, "letter.bin"), content);
        return rig["files"];
    }

    void Configure(string limit, string source)
    {
        var options = server.Options(rig["vaults"]);
        File.WriteAllText(
            rig["salvor.yaml"],
            $$"""
            destinations:
              slow:
                type: sftp
                host: {{options.Host}}
                port: {{options.Port}}
                user: {{options.User}}
                path: {{options.Path}}
                key_file: {{options.KeyFile}}
                known_hosts: {{options.KnownHostsFile}}
                {{limit}}
                required: true
              fast: { type: file, path: {{rig["copies"]}} }
            sources:
              {{source}}

            """);
    }

    async Task ExpectAsync(params string[] arguments)
    {
        var result = await rig.ConfiguredAsync(arguments);
        Assert.True(result.ExitCode == 0, $"{result}");
    }

    Task<TerminalResult> AtTerminalAsync(params string[] arguments) =>
        TestTerminal.RunAsync(Columns, [], "", [.. arguments, "--config", rig["salvor.yaml"]]);

    static void AssertSeen(TerminalResult result, string begin) => Assert.True(
        result.Seen.Any(line => line.StartsWith(begin, StringComparison.Ordinal)), string.Join('\n', result.Seen));

    [GeneratedRegex(@"^docs: reading, [\d.]+ [KM]iB, .*\d files, ….*letter\.bin$")]
    private static partial Regex ReadingFiles();
}
