using Salvor.Platform;
using Salvor.Vault.Trees;

namespace Salvor.Files;

/// <summary>What a walk does about databases that apps write to.</summary>
sealed partial class TreeWalk
{
    readonly LiveDatabases? databases = options.Databases is { } copying ? new LiveDatabases(copying) : null;
    byte[]? readAsFile;

    /// <summary>
    /// Whether an app may write to a database while it is read. Where no log and no journal is beside it nobody does, unless it changed
    /// just now: a write that follows need not show in its time.
    /// </summary>
    bool IsLive(Place place, byte[] name, EntryStat stat)
    {
        if (databases is null || databases.IsOpenHere(stat))
        {
            return databases is not null;
        }

        if (databases.IsForOpenAlone)
        {
            return false;
        }

        var hasSide = place.WithSides?.Contains(name) ?? LiveDatabases.HasSide(place.Directory, name);
        if (!hasSide && !IsYoung(stat))
        {
            return false;
        }

        using var file = DirectoryCalls.TryOpenFile(place.Directory, name, out _);
        return file is not null && LiveDatabases.IsDatabase(file, withJournal: !hasSide);
    }

    /// <summary>Writes down a database as of one commit. False where it has to be read as a file, which was told then.</summary>
    async Task<bool> TryDatabaseAsync(Place place, byte[] name, byte[] path, EntryStat stat, CancellationToken cancellationToken)
    {
        using var opened = DirectoryCalls.TryOpenPlace(place.Directory, name, out _);
        if (opened is null)
        {
            return true;
        }

        try
        {
            using var copy = databases!.Copy(path, stat);
            var attributes = ReadAttributes(opened, path);
            var taken = await intake.ReadAsync(copy, EntryStat.Of(copy, "copy"), DirectoryCalls.Show(path), cancellationToken);
            var entry = Describe(stat, name, TreeEntryKind.File, attributes) with
            {
                SizeBytes = taken.SizeBytes,
                Extents = taken.Extents,
                Marks = taken.IsChanged ? TreeEntryMarks.Changed : TreeEntryMarks.Young,
            };
            if (taken.IsChanged)
            {
                report.Note(path, WhatHappened(taken));
            }

            place.Copied.Add(name);
            report.CountRead(entry.ContentBytes);
            Repeat(taken.Chunks ?? []);
            await AddAsync(entry, cancellationToken);
            return true;
        }
        catch (SalvorException e) when (e.Kind == FailureKind.SourceUnreadable)
        {
            if (!databases!.IsOpenHere(stat))
            {
                readAsFile = path;
                report.NoteUnreadable(path, $"it is a database, and was read as a file, which may be torn: {e.Message}");
                return false;
            }

            report.Note(path, e.Message);
            await AddAsync(Unreadable(stat, name), cancellationToken);
            return true;
        }
    }

    /// <summary>Whether a database that was read as a file may have been written to meanwhile, and was not tried as one yet.</summary>
    bool MayBeTorn(Place place, byte[] name, byte[] path, TakenFile taken) =>
        databases is { IsForOpenAlone: false } && path != readAsFile && (taken.IsChanged || LiveDatabases.HasSide(place.Directory, name));
}
