namespace Salvor.Jobs;

/// <summary>The room on a disk.</summary>
static class DiskSpace
{
    /// <summary>Bytes that this user may still write below a folder; null where that cannot be said.</summary>
    public static long? FreeBytes(string folder)
    {
        if (!Path.IsPathRooted(folder))
        {
            return null;
        }

        try
        {
            return new DriveInfo(folder).AvailableFreeSpace;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            // Not a local folder, or one that is not ours to ask about.
            return null;
        }
    }
}
