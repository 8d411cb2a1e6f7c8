using System.Text.Json;
using Salvor.Postgres.Protocol;
using Salvor.Tests.Support;
using Salvor.Vault.Wal;

namespace Salvor.Tests.Postgres;

/// <summary>Base backups of a real server, unpacked and judged by PostgreSQL's own programs.</summary>
public sealed class BaseBackupReaderTests
{
    static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_backup_is_what_the_manifest_of_the_server_says_and_starts()
    {
        using var scratch = new ScratchDirectory();
        await using var server = await PostgresServer.StartAsync(scratch, "pg", "wal_keep_size = 64MB");
        var space = scratch.Subdirectory("space");
        await PostgresServer.OwnAsync(space);
        await server.SqlAsync($"CREATE TABLESPACE aside LOCATION '{space}'");
        await server.SqlAsync("CREATE TABLE t AS SELECT g FROM generate_series(1, 50000) g");
        await server.SqlAsync("CREATE TABLE u TABLESPACE aside AS SELECT g FROM generate_series(1, 7000) g");
        await using var replication = await ReplicationConnection.OpenAsync(server.Connection, TimeProvider.System, Cancel);
        await using var restored = await PostgresServer.AtAsync(scratch, "restored");
        var (reader, folders) = await UnpackAsync(replication, new BaseBackupOptions { Label = "it's ours" }, scratch);

        Assert.Equal((1u, 1u), (reader.Timeline, reader.EndTimeline));
        Assert.True(reader.Start < reader.End);
        Assert.Equal([space, ""], reader.Tablespaces.Select(item => item.Path));
        var oid = reader.Tablespaces[0].Oid!.Value;
        Assert.Equal($"{oid} {space}\n", await File.ReadAllTextAsync(Path.Combine(folders[""], "tablespace_map"), Cancel));
        var label = await File.ReadAllTextAsync(Path.Combine(folders[""], "backup_label"), Cancel);
        Assert.Contains("LABEL: it's ours\n", label, StringComparison.Ordinal);

        // The directory of the tablespace moves to the place that the map then names.
        Directory.Move(folders[""], restored.Data);
        var moved = scratch["moved"];
        Directory.Move(folders[space], moved);
        await File.WriteAllTextAsync(Path.Combine(restored.Data, "tablespace_map"), $"{oid} {moved}\n", Cancel);
        File.CreateSymbolicLink(Path.Combine(restored.Data, "pg_tblspc", $"{oid}"), moved);
        await PostgresServer.OwnAsync(restored.Data);
        await PostgresServer.OwnAsync(moved);
        var verified = await PostgresServer.RunAsync("pg_verifybackup", "-n", "-i", "tablespace_map", restored.Data);
        Assert.True(verified.ExitCode == 0, $"{verified}");

        foreach (var segment in Directory.GetFiles(server.Wal))
        {
            File.Copy(segment, Path.Combine(restored.Wal, Path.GetFileName(segment)));
        }

        await PostgresServer.OwnAsync(restored.Data);
        await restored.StartAsync();
        Assert.Equal("57000", await restored.SqlAsync("SELECT (SELECT count(*) FROM t) + (SELECT count(*) FROM u)"));
        Assert.Equal(1u, (await replication.IdentifyAsync(Cancel)).Timeline);
    }

    [Fact]
    public async Task A_damaged_page_fails_the_backup_by_file_and_block()
    {
        using var scratch = new ScratchDirectory();
        await using var server = await PostgresServer.StartAsync(scratch);
        await server.SqlAsync("CREATE TABLE t AS SELECT g FROM generate_series(1, 50000) g");
        var path = await server.SqlAsync("SELECT pg_relation_filepath('t')");
        await server.StopAsync();
        await using (var file = File.OpenWrite(Path.Combine(server.Data, path)))
        {
            file.Position = (3 * 8192) + 5000;
            file.Write("damage"u8);
        }

        await server.StartAsync();
        await using var replication = await ReplicationConnection.OpenAsync(server.Connection, TimeProvider.System, Cancel);
        var damaged = await Assert.ThrowsAsync<PostgresException>(
            () => UnpackAsync(replication, new BaseBackupOptions { Label = "x" }, scratch));
        Assert.Equal((FailureKind.Integrity, SqlStates.DamagedData), (damaged.Kind, damaged.SqlState));
        Assert.Contains(
            $"is damaged: checksum verification failed in file \"./{path}\", block 3: ", damaged.Message, StringComparison.Ordinal);

        // Asked not to look, the server sends it; and the connection is in order after both.
        var (reader, _) = await UnpackAsync(replication, new BaseBackupOptions { Label = "x", ChecksPages = false }, scratch, "again");
        Assert.NotNull(reader.End);
    }

    [Fact]
    public async Task What_a_server_cannot_do_is_refused()
    {
        using var scratch = new ScratchDirectory();
        await using var server = await PostgresServer.StartAsync(scratch);
        await using var replication = await ReplicationConnection.OpenAsync(server.Connection, TimeProvider.System, Cancel);
        var upload = await Assert.ThrowsAnyAsync<SalvorException>(() => replication.UploadManifestAsync(Stream.Null, Cancel));
        Assert.Contains(
            PostgresServer.Major < 17 ? "is older than version 17, which makes no incremental backups" : "could not parse backup manifest",
            upload.Message, StringComparison.Ordinal);
        var refused = await Assert.ThrowsAsync<PostgresException>(
            () => replication.BackUpAsync(new BaseBackupOptions { Label = "x", Compression = "rot13" }, Cancel));
        Assert.Contains("rot13", refused.Message, StringComparison.Ordinal);
        Assert.Equal(1u, (await replication.IdentifyAsync(Cancel)).Timeline);
    }

    [Theory]
    [InlineData("gzip", ".tar.gz", "gzip")]
    [InlineData("lz4", ".tar.lz4", "lz4")]
    [InlineData("zstd", ".tar.zst", "zstd")]
    public async Task A_server_compresses_what_it_sends(string method, string ending, string program)
    {
        using var scratch = new ScratchDirectory();
        await using var server = await PostgresServer.StartAsync(scratch);
        await using var replication = await ReplicationConnection.OpenAsync(server.Connection, TimeProvider.System, Cancel);
        var reader = await replication.BackUpAsync(
            new BaseBackupOptions { Label = "x", Compression = method, CompressionDetail = "level=1" }, Cancel);
        var path = scratch["base" + ending];
        await using (var file = File.Create(path))
        {
            var isArchive = false;
            while (await reader.ReadAsync(Cancel) is { } part)
            {
                isArchive = part.Kind switch { BackupPartKind.Archive => true, BackupPartKind.Manifest => false, _ => isArchive };
                if (isArchive && part.Kind == BackupPartKind.Data)
                {
                    await file.WriteAsync(part.Bytes, Cancel);
                }
            }
        }

        var listed = await ChildProcess.RunAsync(
            "/bin/sh", ["-c", $"command -v {program} > /dev/null || exit 77; {program} -dc {path} | tar -t"]);
        Assert.SkipWhen(listed.ExitCode == 77, $"{program} is not there");
        Assert.Contains("global/pg_control\n", listed.Stdout, StringComparison.Ordinal);
    }

    /// <summary>Unpacks each archive by <c>tar</c> into a folder; returns these by the path of the tablespace.</summary>
    static async Task<(BaseBackupReader Reader, Dictionary<string, string> Folders)> UnpackAsync(
        ReplicationConnection replication, BaseBackupOptions options, ScratchDirectory scratch, string name = "unpacked")
    {
        var reader = await replication.BackUpAsync(options, Cancel);
        var folders = new Dictionary<string, string>();
        var manifest = "";
        var file = Stream.Null;
        var told = 0L;
        while (await reader.ReadAsync(Cancel) is { } part)
        {
            switch (part.Kind)
            {
                case BackupPartKind.Archive:
                    await file.DisposeAsync();
                    var folder = scratch.Subdirectory($"{name}-{folders.Count}");
                    folders[part.Tablespace!.Path] = folder;
                    file = File.Create(folder + ".tar");
                    break;
                case BackupPartKind.Manifest:
                    await file.DisposeAsync();
                    manifest = scratch[name + "-manifest"];
                    file = File.Create(manifest);
                    break;
                case BackupPartKind.Data:
                    await file.WriteAsync(part.Bytes, Cancel);
                    break;
                default:
                    Assert.True(part.Done >= told);
                    told = part.Done;
                    break;
            }
        }

        await file.DisposeAsync();
        Assert.True(told > 0);
        foreach (var folder in folders.Values)
        {
            var unpacked = await ChildProcess.RunAsync("tar", ["-xf", folder + ".tar", "-C", folder]);
            Assert.True(unpacked.ExitCode == 0, $"{unpacked}");
        }

        using var read = JsonDocument.Parse(await File.ReadAllBytesAsync(manifest, Cancel));
        Assert.True(read.RootElement.GetProperty("Files").GetArrayLength() > 500);
        File.Copy(manifest, Path.Combine(folders[""], "backup_manifest"));
        return (reader, folders);
    }
}
