using Microsoft.Win32.SafeHandles;
using Salvor.Vault.Trees;

namespace Salvor.Files;

/// <summary>
/// Looks, before anything is fetched or made, whether something in a directory that is restored into is in the way: goes through the
/// listing beside it as <see cref="TreeStaging"/> does. What changes afterwards is met there.
/// </summary>
sealed class TreeConflicts(TreeSnapshot snapshot, TreeRestoreOptions options, ExistingTree existing) : IDisposable
{
    readonly List<Level> levels = 
    [
        new(new WantedEntry(TreeEntry.End, [], false, 0), options.HasAll) { There = existing.Root },
    ];

    sealed record Level(WantedEntry Item, bool IsInside)
    {
        public SafeFileHandle? There { get; set; }

        public bool IsEntered { get; set; }
    }

    /// <summary>Throws where something is in the way, and stays.</summary>
    public async Task ExpectNoneAsync(CancellationToken cancellationToken)
    {
        await using var listing = new WantedListing(snapshot, options);
        while (await listing.ReadAsync(cancellationToken) is { } item)
        {
            if (item.Entry.Kind == TreeEntryKind.End)
            {
                levels[^1].There?.Dispose();
                levels.RemoveAt(levels.Count - 1);
                continue;
            }

            var parent = levels[^1];
            if (item.Entry.Kind == TreeEntryKind.Directory)
            {
                levels.Add(new Level(item, parent.IsInside || TreeSurplus.MayRemove(item.Entry)));
            }

            if (item.IsWanted)
            {
                Reach();
                _ = item.Entry.Kind == TreeEntryKind.Directory ? null : existing.Meet(parent.There, item, parent.IsInside);
            }
        }
    }

    public void Dispose() => levels.Skip(1).ToList().ForEach(level => level.There?.Dispose());

    /// <summary>What only leads to what is wanted is looked at when something wanted is below it.</summary>
    void Reach()
    {
        for (var i = 1; i < levels.Count; i++)
        {
            if (levels[i] is { IsEntered: false } level)
            {
                level.There = existing.Enter(levels[i - 1].There, level.Item, levels[i - 1].IsInside);
                level.IsEntered = true;
            }
        }
    }
}
