using Salvor.Jobs.Config;
using Salvor.Jobs.Notify;
using Salvor.Platform;

namespace Salvor.Jobs.Doctor;

/// <summary>What is known of a configuration and of the places that it names.</summary>
sealed record ConfigFacts
{
    public required SalvorConfig Config { get; init; }

    /// <summary>The permission bits of the file; null where it could not be looked at.</summary>
    public uint? Permissions { get; init; }

    /// <summary>The secrets that are written in the file itself, and not in a variable, each as <c>key of owner</c>.</summary>
    public IReadOnlyList<string> PlainSecrets { get; init; } = [];

    /// <summary>What became of messages to people.</summary>
    public IReadOnlyList<NotifierFigures> Notifiers { get; init; } = [];

    /// <summary>All databases that the sources have now.</summary>
    public required IReadOnlyList<(SqliteSourceConfig Source, SourceMember Member)> Members { get; init; }

    /// <summary>The device that holds a path, or would hold it; null where that is not known.</summary>
    public required Func<string, ulong?> DeviceOf { get; init; }

    public static ConfigFacts Gather(SalvorConfig config, IReadOnlyList<(SqliteSourceConfig, SourceMember)> members)
    {
        return new ConfigFacts
        {
            Config = config,
            Permissions = PermissionsOf(config.FileName),
            PlainSecrets = [.. config.PlainSecrets.Select(secret => secret.Split(": ", 2)[1])],
            Notifiers = NotifyState.ReadFigures(config),
            Members = members,
            DeviceOf = Place.DeviceOf,
        };
    }

    static uint? PermissionsOf(string path)
    {
        try
        {
            return FileStat.Of(path)?.Permissions;
        }
        catch (PosixException)
        {
            // It was read a moment ago; the judgement says that it could not be told.
            return null;
        }
    }
}

/// <summary>What can be asked of a path that need not be there yet.</summary>
static class Place
{
    /// <summary>The device of a path, or of the nearest folder above that exists; null where that may not be looked at.</summary>
    public static ulong? DeviceOf(string path)
    {
        try
        {
            return FileStat.Of(Existing(path))?.Identity.Device;
        }
        catch (PosixException)
        {
            // Who may not look does not know, and the judgement says so.
            return null;
        }
    }

    /// <summary>The path itself, or the nearest folder above that exists.</summary>
    public static string Existing(string path)
    {
        var place = Path.GetFullPath(path);
        while (!Path.Exists(place) && Path.GetDirectoryName(place) is { } above)
        {
            place = above;
        }

        return place;
    }

    /// <summary>Whether a path is a folder or lies in it.</summary>
    public static bool IsIn(string path, string folder) =>
        path == folder || path.StartsWith(folder.TrimEnd('/') + "/", StringComparison.Ordinal);
}
