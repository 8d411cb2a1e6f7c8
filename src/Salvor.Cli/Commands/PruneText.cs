using Salvor.Cli.Terminal;
using Salvor.Text;

namespace Salvor.Cli.Commands;

/// <summary>What a prune prints of one vault.</summary>
static class PruneText
{
    public static void Print(Invocation invocation, PruneBody body, bool dryRun)
    {
        invocation.Print($"{body.Source} at {body.Location}");
        foreach (var line in body.Lines)
        {
            invocation.Print($"  {(line.Kept ? "keeps" : "drops")} {line.Subject}: {line.Reason}");
        }

        var would = dryRun ? "would be " : "";
        if (body.CutBefore is { } cut)
        {
            invocation.Print($"  max_total_size leaves no room for what is before {InstantText.Format(cut)}, but for what nothing drops");
        }

        if (body.CondemnedObjects > 0)
        {
            invocation.Print(
                $"  {body.CondemnedObjects} object(s) with {SizeText.Format(body.CondemnedBytes)} {would}condemned, "
                    + $"{body.Rewrites} {would}made in their place");
        }

        if (body.Number is { } number)
        {
            invocation.Print(
                $"  a prune after {InstantText.Format(body.GraceEnds!.Value)} deletes them; "
                    + $"until then 'salvor prune undelete {number}' takes them back");
        }

        if (body.DeletedObjects > 0)
        {
            invocation.Print(
                $"  {body.DeletedObjects} object(s) with {SizeText.Format(body.DeletedBytes)} of earlier prunes {would}deleted");
        }

        if (body.RefusedObjects > 0)
        {
            invocation.Print($"  {body.RefusedObjects} object(s) not deleted: the destination does not allow it. reported, not done");
        }

        // What a dry run would delete is due; what was condemned just now begins its grace.
        var held = body.HeldBytes + body.RefusedBytes + (dryRun ? body.DeletedBytes : body.CondemnedBytes);
        if (held > 0)
        {
            invocation.Print($"  {held} bytes still held until prune");
        }

        if (body is { CondemnedObjects: 0, DeletedObjects: 0, RefusedObjects: 0 })
        {
            invocation.Print("  nothing to do");
        }

        if (body.ExcessBytes > 0)
        {
            invocation.Tell(
                $"warning: {body.Source} at {body.Location} cannot be kept within max_total_size "
                    + $"{SizeText.FormatExact(body.MaxTotalSize!.Value)}: without all that may go now, it would have {body.ExcessBytes} "
                    + "bytes more, so nothing was dropped for it. "
                    + "hint: Raise max_total_size, or let 'keep' be shorter.");
        }
    }
}
