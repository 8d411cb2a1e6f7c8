using Microsoft.Win32.SafeHandles;
using Salvor.Platform;
using Salvor.Vault.Trees;

namespace Salvor.Files;

/// <summary>Gives what is restored owner, attributes, permissions and time, in the order in which one does not undo the other.</summary>
sealed class EntryDress(TreeRestoreOptions options, RestoreNotes notes)
{
    /// <param name="opened">A file or directory.</param>
    /// <param name="entry">What it is to be like.</param>
    /// <param name="path">For messages.</param>
    /// <param name="isNew">Whether it was made just now, and so has no attributes that are not to be there.</param>
    public void Dress(SafeFileHandle opened, TreeEntry entry, byte[] path, bool isNew)
    {
        if (!isNew)
        {
            Redress(opened, entry, path);
            return;
        }

        var isOwned = IsOwned(entry, path, (user, group) => Posix.ChangeOwner(opened, user, group));
        SetAttributes(opened, entry, path, []);
        Posix.ChangeMode(opened, PermissionsOf(entry, path, isOwned), DirectoryCalls.Show(path));
        DirectoryCalls.SetModified(opened, entry.ModifiedNanoseconds, entry.Name);
    }

    /// <summary>Changes what differs. What belongs to others is changed by root alone: for others it stays, and that is told.</summary>
    void Redress(SafeFileHandle opened, TreeEntry entry, byte[] path)
    {
        var (before, name) = (EntryStat.Of(opened, DirectoryCalls.Show(path)), DirectoryCalls.Show(path));
        var isOwned = (before.UserId, before.GroupId) == options.Owners.Of(entry)
            || IsOwned(entry, path, (user, group) => Posix.ChangeOwner(opened, user, group));
        var there = ExtendedAttributes.Of(opened, name);
        Strip(opened, entry, path, there);
        SetAttributes(opened, entry, path, there);
        try
        {
            var permissions = PermissionsOf(entry, path, isOwned);
            if (EntryStat.Of(opened, name).Permissions != permissions)
            {
                Posix.ChangeMode(opened, permissions, name);
            }

            if (before.ModifiedNanoseconds != entry.ModifiedNanoseconds)
            {
                DirectoryCalls.SetModified(opened, entry.ModifiedNanoseconds, entry.Name);
            }
        }
        catch (PosixException e) when (e.Error == Errno.NotPermitted)
        {
            notes.Note(path, "it belongs to somebody else, and its permissions and time stay");
        }
    }

    /// <summary>The same of what cannot be opened and was made just now.</summary>
    public void DressPlace(SafeFileHandle parent, TreeEntry entry, byte[] path)
    {
        var isOwned = IsOwned(entry, path, (user, group) => DirectoryCalls.TryChangeOwner(parent, entry.Name, user, group));
        if (entry.Attributes.Count > 0)
        {
            using var place = DirectoryCalls.TryOpenPlace(parent, entry.Name, out var error)
                ?? throw new PosixException(error, "open", DirectoryCalls.Show(path));
            SetAttributes(place, entry, path, []);
        }

        if (entry.Kind != TreeEntryKind.Link)
        {
            DirectoryCalls.ChangeMode(parent, entry.Name, PermissionsOf(entry, path, isOwned));
        }

        DirectoryCalls.SetModified(parent, entry.Name, entry.ModifiedNanoseconds);
    }

    /// <summary>What the file system or a policy keeps there by itself stays: it says so.</summary>
    void Strip(SafeFileHandle opened, TreeEntry entry, byte[] path, IReadOnlyList<ExtendedAttribute> attributes)
    {
        foreach (var there in attributes)
        {
            if (!entry.Attributes.Any(wanted => wanted.Name.AsSpan().SequenceEqual(there.Name))
                && ExtendedAttributes.TryRemove(opened, there.Name) is not 0 and var error)
            {
                notes.Note(path, $"attribute {DirectoryCalls.Show(there.Name)} was not removed: {Errno.Describe(error)}");
            }
        }
    }

    void SetAttributes(SafeFileHandle opened, TreeEntry entry, byte[] path, IReadOnlyList<ExtendedAttribute> there)
    {
        foreach (var (name, value) in entry.Attributes)
        {
            if (!there.Any(item => item.Name.AsSpan().SequenceEqual(name) && item.Value.AsSpan().SequenceEqual(value))
                && ExtendedAttributes.TrySet(opened, new ExtendedAttribute(name, value)) is not 0 and var error)
            {
                notes.Note(path, $"attribute {DirectoryCalls.Show(name)} was not set: {Errno.Describe(error)}");
            }
        }
    }

    uint PermissionsOf(TreeEntry entry, byte[] path, bool isOwned)
    {
        var permissions = options.Modes.Of(entry, options.Owners, isOwned);
        if (isOwned && permissions != options.Modes.Of(entry))
        {
            notes.Note(path, "it ran as its owner, who is another one here: it no longer does");
        }

        return permissions;
    }

    bool IsOwned(TreeEntry entry, byte[] path, Func<uint, uint, int> change)
    {
        var (user, group) = options.Owners.Of(entry);
        var error = change(user, group);
        if (error != 0)
        {
            notes.NoteForeign(path, error);
        }

        return error == 0;
    }
}
