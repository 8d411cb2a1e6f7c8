using Microsoft.Win32.SafeHandles;
using Salvor.Platform;
using Salvor.Vault.Trees;

namespace Salvor.Jobs.Drills;

/// <summary>Counts what is in a directory, by looking at each name: what a restore says of itself proves less.</summary>
static class TreeCount
{
    public static TreeTotals Of(string path, CancellationToken cancellationToken)
    {
        using var top = DirectoryCalls.OpenRoot(path);
        return Inside(top, path, new TreeTotals(), [], cancellationToken);
    }

    static TreeTotals Inside(
        SafeFileHandle directory, string shown, TreeTotals totals, HashSet<(ulong, ulong)> seen, CancellationToken cancellationToken)
    {
        foreach (var name in DirectoryCalls.List(directory, shown))
        {
            cancellationToken.ThrowIfCancellationRequested();
            var path = $"{shown}/{DirectoryCalls.Show(name)}";
            var stat = EntryStat.In(directory, name, out var error)
                ?? throw new PosixException(error, "look at", path, FailureKind.Failure);
            switch (stat.Type)
            {
                case EntryStat.Directory:
                    using (var inner = DirectoryCalls.TryOpenDirectory(directory, name, out error)
                        ?? throw new PosixException(error, "open", path, FailureKind.Failure))
                    {
                        totals = Inside(inner, path, totals with { Directories = totals.Directories + 1 }, seen, cancellationToken);
                    }

                    break;
                case EntryStat.Regular:
                    // Further names of one file have its content once.
                    var bytes = seen.Add((stat.Device, stat.Inode)) ? stat.SizeBytes : 0;
                    totals = totals with { Files = totals.Files + 1, Bytes = totals.Bytes + bytes };
                    break;
                default:
                    totals = totals with { Others = totals.Others + 1 };
                    break;
            }
        }

        return totals;
    }
}
