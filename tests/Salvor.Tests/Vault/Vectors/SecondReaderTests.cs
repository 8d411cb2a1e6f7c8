using System.Security.Cryptography;
using System.Text.Json;
using Salvor.Storage;
using Salvor.Tests.Files;
using Salvor.Tests.Support;
using Salvor.Tests.Vault.Compaction;
using Salvor.Tests.Vault.Pruning;
using Salvor.Vault;
using Salvor.Vault.Compaction;
using Salvor.Vault.Keys;
using Salvor.Vault.Restore;

namespace Salvor.Tests.Vault.Vectors;

/// <summary>Whatever we write, the second reader restores, byte for byte: so the page of the format is true and enough.</summary>
public sealed class SecondReaderTests
{
    const int QuickSeeds = 8;
    const int PointsMax = 24;

    [Fact]
    public Task It_restores_what_the_model_remembers_from_random_histories() => Seeds.ForEachAsync(QuickSeeds, async seed =>
    {
        using var directory = new TemporaryDirectory();
        var (random, store, isEncrypted) = (new Random(seed), new MemoryStore(), seed % 2 == 0);
        uint[] sizes = [512, 1024, 4096, 16384, 65536];
        var model = await VaultModel.CreateAsync(
            store, random, sizes[random.Next(sizes.Length)], keys: isEncrypted ? TestKeys.Keyring() : null);
        await model.BeginAsync();
        for (var step = 0; step < 16; step++)
        {
            if (step % 3 == 0)
            {
                model.Compress(random.GetItems(Compressions.All, 1)[0]);
            }

            await model.StepAsync();
            if (step % 4 == 3)
            {
                await MergeAsync(model, random);
            }
        }

        var points = model.Points.ToArray();
        random.Shuffle(points);
        await BackUpAsync(model, points[0]);
        await SecondReader.SaveAsync(store, directory.Path);
        var vault = Path.Combine(directory.Path, "app");
        string[] options = isEncrypted ? KeyOptions(directory.Path) : [];
        var expected = points.Take(PointsMax).ToDictionary(NameOf, point => Convert.ToHexStringLower(SHA256.HashData(point.Content)));
        expected["backup:1"] = expected[NameOf(points[0])];

        var answers = await SecondReader.AnswersAsync(
            [.. options, vault, "digest", .. expected.Keys], [.. options, vault, "verify"], [.. options, vault, "list"]);
        Assert.Equal(expected, answers[0].Deserialize<Dictionary<string, string>>()!);
        Assert.Equal(model.Points.Select(NameOf), SecondReader.PointsOf(answers[2]));
    });

    [Fact]
    public async Task It_offers_and_restores_what_a_prune_left_before_and_after_it_was_deleted()
    {
        var aged = await AgedVault.CreateAsync();
        await aged.CondemnAsync();
        var offered = await aged.OfferedAsync();
        await ExpectAsync();
        aged.Time.Advance(TimeSpan.FromDays(7));
        Assert.True((await aged.DeleteAsync()).Objects > 0);
        await ExpectAsync();

        async Task ExpectAsync()
        {
            using var directory = new TemporaryDirectory();
            await SecondReader.SaveAsync(aged.Store, directory.Path);
            var vault = Path.Combine(directory.Path, "app");
            var points = aged.Model.Points.Where(point => offered.Contains(point.Position.Value)).ToArray();
            var some = points.ToArray();
            new Random(TestSeed.Take()).Shuffle(some);
            var expected = some.Take(PointsMax).ToDictionary(NameOf, point => Convert.ToHexStringLower(SHA256.HashData(point.Content)));

            var answers = await SecondReader.AnswersAsync(
                [vault, "digest", .. expected.Keys], [vault, "verify"], [vault, "list"]);

            Assert.Equal(expected, answers[0].Deserialize<Dictionary<string, string>>()!);
            Assert.Equal(points.Select(NameOf), SecondReader.PointsOf(answers[2]));
        }
    }

    [Theory]
    [InlineData("wal", false)]
    [InlineData("delete", true)]
    public async Task It_restores_what_the_program_stored_while_an_app_wrote(string journal, bool isEncrypted)
    {
        var options = new WorkloadOptions { Profile = "mixed", Journal = journal, Rate = 100, CacheKib = 64, Seed = TestSeed.Take() };
        await using var rig = new ReplicationRig(options, writerCount: 2) { IsEncrypted = isEncrypted };
        await rig.App.StartAsync();
        await rig.StartSalvorAsync();
        await rig.SalvorReadyAsync();
        await Task.Delay(TimeSpan.FromSeconds(3));
        await rig.App.StopAsync();
        await rig.StopSalvorAsync();

        string[] keys = isEncrypted ? rig.KeyArguments : [];
        var listing = await SecondReader.AnswerAsync([.. keys, rig.Vault, "list"]);
        var positions = SecondReader.PointsOf(listing).Select(point => ulong.Parse(point.Split(':')[1])).ToArray();
        new Random(options.Seed).Shuffle(positions);
        positions = positions[..Math.Min(PointsMax, positions.Length)];
        Assert.True(positions.Length == PointsMax || journal != "wal", $"only {positions.Length} points");
        var read = await SecondReader.DigestsAsync(rig.Vault, keys, positions.Select(position => $"1:{position}"));

        var keyring = isEncrypted ? Keyring.Of(VaultSecret.KeyFile(await File.ReadAllBytesAsync(keys[1]), "key file")) : null;
        var vault = await VaultAccess.FindAsync(new FileStore(rig.Destination), "app", keyring, default);
        var catalog = await VaultCatalog.LoadAsync(vault!, default);
        foreach (var position in positions)
        {
            var plan = await new RestorePlanner(catalog).PlanAsync(1, new Position(position), default);
            var ours = Convert.ToHexStringLower(SHA256.HashData(await VaultReading.WriteAsync(catalog, plan)));
            Assert.True(read[$"1:{position}"] == ours, $"the readers differ at position {position}");
        }
    }

    [Fact]
    public async Task It_restores_what_the_program_backed_up_of_files()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "only root gives files away and makes devices");
        using var rig = new TreeRig();
        var made = await Tool.RunAsync("make_tree.py", rig.Source);
        Assert.Equal("", made.Stderr);
        rig.Write("d/more", TreeRig.Bytes(1, 5_000_000));
        await rig.BackUpAsync();
        rig.Write("d/more", TreeRig.Bytes(2, 4_000_000));
        await rig.BackUpAsync();
        await SecondReader.SaveAsync(rig.Store, rig["vault"]);

        var vault = rig["vault/tree"];
        await SecondReader.AnswersAsync(
            [vault, "restore", "backup:2", rig["out"]], [vault, "verify"], [vault, "restore", "backup:1", rig["first"]]);

        Assert.Equal("", await TreeRig.DifferenceAsync(rig.Source, rig["out"] + rig.Source));
        Assert.Equal(TreeRig.Bytes(1, 5_000_000), await File.ReadAllBytesAsync($"{rig["first"]}{rig.Source}/d/more"));
    }

    static string NameOf(ModelPoint point) => $"{point.Branch}:{point.Position}";

    static string[] KeyOptions(string directory)
    {
        var path = Path.Combine(directory, "key");
        File.WriteAllText(path, "one".PadRight(VaultSecret.KeyFileBytesMin, '-'));
        return ["--key-file", path];
    }

    static Task<BackupRecord> BackUpAsync(VaultModel model, ModelPoint point) => Backups.PutAsync(
        model.Vault,
        new BackupRecord
        {
            Id = 0,
            Branch = point.Branch,
            Position = point.Position.Value,
            Time = point.Time,
            Label = "before the upgrade",
            Mode = "full",
            CreatedAt = point.Time,
            Host = "model",
            SizeBytes = point.Content.Length,
            Checksum = "0000000000000000",
            AddedBytes = 0,
        },
        default);

    /// <summary>Merges of all kinds, of which what they were made of stays.</summary>
    static async Task MergeAsync(VaultModel model, Random random)
    {
        var catalog = await VaultCatalog.LoadAsync(model.Vault, default);
        foreach (var branch in catalog.Branches.Select(item => item.Number))
        {
            if (await CompactorTests.RandomRunAsync(catalog, branch, random) is { } run)
            {
                await new Compactor(catalog).RunAsync(branch, run, default);
                if (random.Next(2) == 0)
                {
                    await CompactorTests.DeleteSupersededAsync(model.Vault);
                }
            }

            catalog = await VaultCatalog.LoadAsync(model.Vault, default);
        }
    }
}
