using Salvor.Cli.Terminal;
using Salvor.Platform;
using Salvor.Text;
using Salvor.Vault.Trees;

namespace Salvor.Cli.Commands;

/// <summary>What is at a path in a backup of files, as <c>salvor list BACKUP:/PATH</c> prints it.</summary>
static class TreeListRun
{
    public static async Task<int> RunAsync(Invocation invocation, VaultOptions options, string place)
    {
        var (backup, path) = TreeVerbs.Split(place);
        var opened = await TreeVerbs.OpenAsync(invocation, options, source: null, backup);
        var shown = path.Length == 0 ? "/" : DirectoryCalls.Show(path);
        invocation.Print($"{shown} in backup {opened.Record.Id} of {InstantText.Format(opened.Record.Time)}");
        var (entries, isThere) = (new List<TreeEntryBody>(), path.Length == 0);
        await foreach (var item in TreeSearch.EntriesAsync(opened.Snapshot, invocation.Cancellation))
        {
            var isItself = item.Path.AsSpan().SequenceEqual(path);
            isThere |= isItself;
            if (IsIn(item.Path, path) || (isItself && item.Entry.Kind != TreeEntryKind.Directory))
            {
                entries.Add(TreeVerbs.BodyOf(item));
                invocation.Print(TreeVerbs.LineOf(entries[^1]));
            }
        }

        if (!isThere)
        {
            throw new SalvorException(
                FailureKind.NotRestorable, $"backup {opened.Record.Id} has no {shown}", "'salvor find' looks for names in it.");
        }

        invocation.PrintJson(
            new TreeListDocument(
                opened.Vault.Identity.Source, opened.Vault.Location, opened.Record.Id, opened.Record.Time, shown, entries),
            () => CliJson.Default.TreeListDocument);
        return 0;
    }

    /// <summary>Whether it lies in a directory itself, and not in one below.</summary>
    static bool IsIn(ReadOnlySpan<byte> path, ReadOnlySpan<byte> directory) =>
        path.Length > directory.Length && path.StartsWith(directory) && path[directory.Length] == (byte)'/'
            && path[(directory.Length + 1)..].IndexOf((byte)'/') < 0;
}
