using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Jobs.Doctor;
using Salvor.Storage;
using Salvor.Tests.Support;

namespace Salvor.Tests.Jobs.Doctor;

/// <summary>A folder with a configuration, which is looked at in this process; <c>app.db</c> in it is the database of source app.</summary>
sealed class DoctorRig : IDisposable
{
    readonly ScratchDirectory scratch = new();

    public DoctorRig()
    {
        Directory.CreateDirectory(this["app"]);
        Directory.CreateDirectory(this["vaults"]);
        Write("app: { type: sqlite, path: ./app/app.db, to: [local] }");
    }

    public string this[string name] => scratch[name];

    public string Database => this["app/app.db"];

    public string ConfigPath => this["salvor.yaml"];

    /// <summary>The configuration: sources, and further lines; <c>local</c> is the folder <c>vaults</c>.</summary>
    public void Write(string source, string destinations = "local: { type: file, path: ./vaults }", string more = "")
    {
        File.WriteAllText(
            ConfigPath,
            $"destinations:\n  {destinations.Replace("\n", "\n  ", StringComparison.Ordinal)}\nsources:\n  "
                + $"{source.Replace("\n", "\n  ", StringComparison.Ordinal)}\n{more}\n");
        File.SetUnixFileMode(ConfigPath, UnixFileMode.UserRead | UnixFileMode.UserWrite);
    }

    public Task SqlAsync(string sql) => Tool.SqlAsync(Database, sql);

    public Task CreateDatabaseAsync() => SqlAsync("PRAGMA journal_mode = WAL; CREATE TABLE t(x); INSERT INTO t VALUES (1);");

    /// <summary>A vault with one restore point, of another path than that of the database.</summary>
    public Task<DatabaseVault> CreateVaultAsync(string folder = "vaults") =>
        DatabaseVault.CreateAsync(4096, 16, new FileStore(this[folder]));

    public async Task<IReadOnlyList<Check>> CheckAsync(string? source = null, string? destination = null, TimeSpan? patience = null)
    {
        var config = ConfigFile.Load(ConfigPath, _ => null);
        var run = new DoctorRun(TimeProvider.System, new Random(1)) { Patience = patience ?? TimeSpan.FromMinutes(1) };
        var request = new DoctorRequest
        {
            Source = source, Destination = destination, KeysOf = ConfiguredSources.KeysOf, Scratch = this["restored"],
        };
        return await run.CheckAsync(config, request, TestContext.Current.CancellationToken);
    }

    public void Dispose() => scratch.Dispose();

    /// <summary>The only check of an area whose words begin so.</summary>
    public static Check Find(IEnumerable<Check> checks, string area, string what)
    {
        Check[] all = [.. checks];
        Check[] found = [.. all.Where(check => check.Area == area && check.What.StartsWith(what, StringComparison.Ordinal))];
        Assert.True(found.Length == 1, $"{found.Length} of {area} begin with '{what}':\n{string.Join('\n', all.Select(Text))}");
        return found[0];
    }

    /// <summary>Asserts how a check came out, what it says, and what it tells to do.</summary>
    public static void AssertFound(
        IEnumerable<Check> checks, CheckLevel level, string area, string what, string detail, string fix, FailureKind? kind = null)
    {
        var check = Find(checks, area, what);
        Assert.True(check.Level == level, Text(check));
        Assert.Contains(detail, check.Detail, StringComparison.Ordinal);
        Assert.Contains(fix, check.Fix, StringComparison.Ordinal);
        Assert.Equal(kind, check.Kind);
    }

    static string Text(Check check) => $"{check.Level} {check.Area} {check.Subject}: {check.What} ({check.Detail}) fix: {check.Fix}";
}
