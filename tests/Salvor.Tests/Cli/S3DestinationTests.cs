using System.Text;
using Salvor.Storage.S3;
using Salvor.Tests.Support;

namespace Salvor.Tests.Cli;

/// <summary>A bucket as a destination, as an operator has it.</summary>
public sealed class S3DestinationTests : IAsyncDisposable
{
    readonly CliRig _rig = new();

    public ValueTask DisposeAsync() => _rig.DisposeAsync();

    [Fact]
    public async Task A_daemon_keeps_a_copy_in_a_bucket_from_which_everything_is_read_by_url_alone()
    {
        var (url, bucket) = await ConfigureAsync("local, offsite", "");
        await _rig.CreateDatabaseAsync();
        var daemon = await _rig.DaemonAsync("app", "healthy");
        await _rig.CommitAsync(2);
        Assert.Equal(0, (await _rig.ConfiguredAsync("sync", "app", "--timeout", "20s")).ExitCode);
        await CliRig.StopAsync(daemon);

        Assert.Contains("app", (await _rig.ExpectAsync(0, "list", "--from", url)).Stdout, StringComparison.Ordinal);
        await _rig.ExpectAsync(0, "verify", "--from", url);
        await _rig.ExpectAsync(0, "usage", "--from", url);
        await _rig.ExpectAsync(0, "restore", "--from", url, "--output", "a.db");
        await _rig.ExpectAsync(0, "restore", "app", "--from", url.Replace("?", "/app?", StringComparison.Ordinal), "--output", "b.db");
        Assert.Equal("1 2", await CliRig.RowsAsync(_rig["a.db"]));
        Assert.Equal("1 2", await CliRig.RowsAsync(_rig["b.db"]));

        // The copy in the folder is lost; what the configuration names next has everything.
        Directory.Delete(_rig["vaults"], recursive: true);
        Assert.Equal(0, (await _rig.ConfiguredAsync("restore", "app", "--output", "c.db")).ExitCode);
        Assert.Equal("1 2", await CliRig.RowsAsync(_rig["c.db"]));
        Assert.NotEmpty(await CephGateway.Open(bucket).ListAsync("app/packs/", null, default).ToListAsync());
    }

    [Fact]
    public async Task A_bucket_can_be_the_only_destination()
    {
        var (url, _) = await ConfigureAsync("offsite", "storage_class: STANDARD_IA, prefix: some/where, ");
        await _rig.CreateDatabaseAsync();
        var daemon = await _rig.DaemonAsync("app", "healthy");
        await _rig.CommitAsync(2);
        Assert.Equal(0, (await _rig.ConfiguredAsync("sync", "app", "--timeout", "20s")).ExitCode);
        Assert.Equal(0, (await _rig.ConfiguredAsync("backup", "app", "--label", "before", "--verify")).ExitCode);
        await CliRig.StopAsync(daemon);

        Assert.Equal(0, (await _rig.ConfiguredAsync("verify", "app", "--deep")).ExitCode);
        Assert.Equal(0, (await _rig.ConfiguredAsync("prune", "app", "--dry-run")).ExitCode);
        await _rig.ExpectAsync(
            0, "restore", "--from", url.Replace("?", "/some/where?", StringComparison.Ordinal), "--backup-id", "1", "--output", "a.db");
        Assert.Equal("1 2", await CliRig.RowsAsync(_rig["a.db"]));
    }

    [Fact]
    public async Task Whoever_hides_and_overwrites_all_of_a_locked_bucket_is_seen_through_named_and_undone()
    {
        var (_, bucket) = await ConfigureAsync("offsite", "object_lock: { mode: compliance, days: 1 }, ", isLockable: true);
        await _rig.CreateDatabaseAsync();
        var daemon = await _rig.DaemonAsync("app", "healthy");
        await _rig.CommitAsync(2);
        Assert.Equal(0, (await _rig.ConfiguredAsync("sync", "app", "--timeout", "20s")).ExitCode);
        await CliRig.StopAsync(daemon);
        var attacker = CephGateway.Open(bucket);
        foreach (var (index, row) in (await attacker.ListAsync("", null, default).ToListAsync()).Index())
        {
            await (index % 2 == 0
                ? attacker.Locks.HideAsync(row.Key, default)
                : attacker.Locks.PutAsync(row.Key, new byte[400], only: null, default));
        }

        await _rig.ExpectAsync(0, "restore", "--from", bucket.Location, "--output", "a.db");
        var damaged = await _rig.ConfiguredAsync("verify", "app");
        var repaired = await _rig.ConfiguredAsync("repair", "app");
        var healed = await _rig.ConfiguredAsync("verify", "app", "--deep");
        daemon = await _rig.DaemonAsync("app", "healthy");
        await _rig.CommitAsync(3);
        Assert.Equal(0, (await _rig.ConfiguredAsync("sync", "app", "--timeout", "20s")).ExitCode);
        await CliRig.StopAsync(daemon);
        await _rig.ExpectAsync(0, "restore", "--from", bucket.Location, "--output", "b.db");

        Assert.Equal("1 2", await CliRig.RowsAsync(_rig["a.db"]));
        Assert.True(damaged.ExitCode == 5, $"{damaged}");
        Assert.Contains("somebody deleted it, and the destination keeps it still", damaged.Stderr, StringComparison.Ordinal);
        Assert.Contains(
            "it was overwritten, and what was there before is kept and whole", damaged.Stderr, StringComparison.Ordinal);
        Assert.True(repaired.ExitCode == 0 && repaired.Stdout.Contains(" 0 lost, 0 not writable", StringComparison.Ordinal), $"{repaired}");
        Assert.True(healed.ExitCode == 0, $"{healed}");
        Assert.Equal("1 2 3", await CliRig.RowsAsync(_rig["b.db"]));
    }

    [Fact]
    public async Task A_bucket_that_is_not_there_is_named_with_the_next_command()
    {
        var gateway = await CephGateway.StartedAsync();
        var url = $"s3://nowhere?endpoint={gateway.Endpoint}";

        CliRig.AssertError(
            await _rig.RunAsync("list", "--from", url),
            4,
            $"cannot read vault at {url}: there is no bucket nowhere at {new Uri(gateway.Endpoint).Authority}",
            "Correct 'bucket', 'region' and 'endpoint', or make it: 'aws s3 mb s3://nowhere --region us-east-1'.");
    }

    [Fact]
    public async Task A_bucket_without_a_vault_is_told_as_such()
    {
        var url = await (await CephGateway.StartedAsync()).NewUrlAsync();

        CliRig.AssertError(
            await _rig.RunAsync("list", "--from", url),
            6,
            $"there is no vault at {url}",
            "Nothing was backed up there yet; check the path, or start 'salvor replicate DB DEST'.");
    }

    [Fact]
    public async Task Who_uses_no_bucket_loads_nothing_for_one()
    {
        await _rig.CreateDatabaseAsync();
        _rig.Configure(CliRig.Source("app", "./app/app.db"));
        var daemon = await _rig.DaemonAsync("app", "healthy");

        var loaded = await File.ReadAllTextAsync($"/proc/{daemon.Id}/maps", TestContext.Current.CancellationToken);

        Assert.Contains("Salvor.dll", loaded, StringComparison.Ordinal);
        Assert.DoesNotContain("System.Net.Http.dll", loaded, StringComparison.Ordinal);
        Assert.DoesNotContain("System.Private.Xml.dll", loaded, StringComparison.Ordinal);
    }

    [Fact]
    public async Task No_secret_is_in_any_output_state_or_command_line()
    {
        var (url, _) = await ConfigureAsync("local, offsite", "access_key_id: '${ID}', secret_access_key: '${KEY}', ");
        await _rig.CreateDatabaseAsync();

        // First with keys that fail, then with those that work; with the traces of errors switched on.
        var result = await _rig.ShellAsync(
            $$"""
            export SALVOR_DEBUG=1 ID=testkey
            for key in canary-wrong-secret {{CephGateway.Secret}}; do
                export KEY=$key AWS_SECRET_ACCESS_KEY=$key
                salvor daemon --config salvor.yaml & pid=$!
                for i in $(seq 60); do salvor status app --config salvor.yaml | grep -q healthy && break; sleep 0.2; done
                sleep 1
                tr '\0' ' ' < /proc/$pid/cmdline
                for verb in 'list app' 'status --json' 'sync app' 'restore app --output a.db' 'verify app' 'usage app --json'; do
                    salvor $verb --config salvor.yaml
                done
                salvor list --from '{{url}}'
                salvor list --from 's3://x:'$key'@bucket'
                kill $pid; wait $pid
            done
            """);

        Assert.Contains("is not the right one", result.ToString(), StringComparison.Ordinal);
        AssertClean("the output", Encoding.UTF8.GetBytes(result.ToString()));
        var all = new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = 0 };
        foreach (var file in Directory.EnumerateFiles(_rig.Folder, "*", all))
        {
            AssertClean(file, File.ReadAllBytes(file));
        }
    }

    static void AssertClean(string what, byte[] bytes)
    {
        foreach (var secret in (string[])["canary-wrong-secret", CephGateway.Secret])
        {
            var isThere = bytes.AsSpan().IndexOf(Encoding.UTF8.GetBytes(secret)) >= 0;
            Assert.False(isThere, $"{what} holds {secret}: {Encoding.UTF8.GetString(bytes)}");
        }
    }

    /// <summary>A configuration of the database with a folder and a new bucket as destinations; the bucket's URL.</summary>
    async Task<(string Url, S3Options Bucket)> ConfigureAsync(string to, string options, bool isLockable = false)
    {
        var gateway = await CephGateway.StartedAsync();
        var bucket = isLockable ? await gateway.NewLockableBucketAsync() : await gateway.NewBucketAsync();
        File.WriteAllText(
            _rig["salvor.yaml"],
            $$"""
            destinations:
              local: { type: file, path: ./vaults }
              offsite: { type: s3, bucket: {{bucket.Bucket}}, {{options}}endpoint: '{{bucket.Endpoint}}' }
            sources:
              app: { type: sqlite, path: ./app/app.db, to: [{{to}}] }

            """);
        return (bucket.Location, bucket);
    }
}
