using System.Security.Cryptography;
using Salvor.Vault.Trees;

namespace Salvor.Tests.Files;

/// <summary>What a backup says when ransomware was there since the one before, and that it says nothing on ordinary days.</summary>
public sealed class AnomalyTests : IDisposable
{
    const int Files = 400;
    readonly TreeRig _rig = new();

    public void Dispose() => _rig.Dispose();

    [Fact]
    public async Task Files_that_are_encrypted_and_renamed_with_a_note_beside_them_are_told_in_three_ways()
    {
        WriteDocuments(length: 100);
        var first = await _rig.BackUpAsync();
        for (var i = 0; i < Files; i++)
        {
            Encrypt(Name(i));
            File.Move(PathOf(i), $"{PathOf(i)}.encrypted");
        }

        var note = _rig.Write("docs/DECRYPT_README.txt", "Pay.");
        _rig.Write("pictures/decrypt-readme.html", "Pay.");
        var anomaly = (await _rig.BackUpAsync()).Anomaly;

        Assert.Null(first.Anomaly);
        Assert.Equal((2UL, 1UL), (anomaly!.BackupId, anomaly.Before));
        Assert.Equal(
            [
                "of 400 file(s) of the backup before 0 changed, and 400 are gone",
                "400 new name(s) end in '.encrypted', as none did before",
                $"{note} is named like a ransom note, and 1 more are",
            ],
            anomaly.Findings);
        Assert.Equal(
            "Run 'salvor diff uploads 1 2' to see what changed. If that was nobody of yours, backup 1 is the last one before it: "
                + "stop what writes there, and set 'prune: off' for the source, so that nothing drops it.",
            anomaly.Hint("uploads"));
        Assert.Null((await _rig.BackUpAsync()).Anomaly);
    }

    /// <summary>Fewer than a quarter of all, so that only what the content became tells.</summary>
    [Fact]
    public async Task Files_that_are_encrypted_in_place_are_told_by_what_they_became()
    {
        const int Encrypted = 60;
        WriteDocuments(length: 100);
        WriteDocuments(length: 150_000, Encrypted);
        await _rig.BackUpAsync();
        for (var i = 0; i < Encrypted; i++)
        {
            Encrypt(Name(i));
        }

        Assert.Equal(
            ["60 file(s) changed into 8.51 MiB that do not compress and have nothing of what they were"],
            (await _rig.BackUpAsync()).Anomaly?.Findings);
    }

    [Fact]
    public async Task A_new_ending_in_place_of_other_files_is_told_whatever_it_is()
    {
        const int Renamed = 60;
        WriteDocuments(length: 100);
        await _rig.BackUpAsync();
        for (var i = 0; i < Renamed; i++)
        {
            Encrypt(Name(i));
            File.Move(PathOf(i), $"{PathOf(i)}.Zq{i}");
        }

        Assert.Equal(["60 new name(s) end in '.zq', as none did before"], (await _rig.BackUpAsync()).Anomaly?.Findings);
    }

    [Fact]
    public async Task Many_files_that_are_gone_are_told()
    {
        WriteDocuments(length: 100);
        await _rig.BackUpAsync();
        for (var i = 0; i < Files / 2; i++)
        {
            File.Delete(PathOf(i));
        }

        Assert.Equal(
            ["of 400 file(s) of the backup before 0 changed, and 200 are gone"], (await _rig.BackUpAsync()).Anomaly?.Findings);
    }

    [Fact]
    public async Task Many_files_that_changed_are_told_and_another_owner_is_no_change()
    {
        WriteDocuments(length: 100);
        await _rig.BackUpAsync();
        for (var i = 0; i < Files; i++)
        {
            File.SetUnixFileMode(PathOf(i), UnixFileMode.UserRead | UnixFileMode.UserWrite);
        }

        var owned = await _rig.BackUpAsync();
        for (var i = 0; i < Files / 4; i++)
        {
            File.AppendAllText(PathOf(i), "more");
        }

        Assert.Equal((Files, null), (owned.FilesRead, owned.Anomaly));
        Assert.Equal(
            ["of 400 file(s) of the backup before 100 changed, and 0 are gone"], (await _rig.BackUpAsync()).Anomaly?.Findings);
    }

    [Fact]
    public async Task Ordinary_days_are_not_told()
    {
        WriteDocuments(length: 100);
        _rig.Write("pictures/first.jpg", TreeRig.Bytes(1, 1000));
        _rig.Write("log/app.log", "started\n");
        Assert.Null((await _rig.BackUpAsync()).Anomaly);

        // A few changes.
        for (var i = 0; i < 20; i++)
        {
            File.AppendAllText(PathOf(i), "a correction");
        }

        _rig.Write("restore-files.sh", "#!/bin/sh");
        Assert.Null((await _rig.BackUpAsync()).Anomaly);

        // Many new photos, which do not compress, and more of a kind that was not there before.
        for (var i = 0; i < 100; i++)
        {
            _rig.Write($"pictures/{i}.JPG", TreeRig.Bytes(i + 2, 100_000));
            _rig.Write($"pictures/{i}.heic", TreeRig.Bytes(i + 200, 100));
        }

        Assert.Null((await _rig.BackUpAsync()).Anomaly);

        // A log that grows, and others that are put away under the date.
        File.AppendAllText(Path.Combine(_rig.Source, "log/app.log"), new string('x', 10_000_000));
        for (var i = 0; i < 60; i++)
        {
            File.Move(PathOf(i), $"{PathOf(i)}.20261130");
        }

        Assert.Null((await _rig.BackUpAsync()).Anomaly);
    }

    static string Name(int i) => $"docs/{i:d3}.txt";

    string PathOf(int i) => Path.Combine(_rig.Source, Name(i));

    void WriteDocuments(int length, int count = Files)
    {
        for (var i = 0; i < count; i++)
        {
            _rig.Write(Name(i), string.Concat(Enumerable.Repeat($"line of document {i}\n", (length / 20) + 1)));
        }
    }

    void Encrypt(string name)
    {
        using var aes = Aes.Create();
        var path = Path.Combine(_rig.Source, name);
        File.WriteAllBytes(path, aes.EncryptCbc(File.ReadAllBytes(path), aes.IV));
    }
}
