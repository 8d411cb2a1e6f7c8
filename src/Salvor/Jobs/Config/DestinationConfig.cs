using Salvor.Storage.S3;
using Salvor.Storage.Sftp;
using Salvor.Vault.Copies;

namespace Salvor.Jobs.Config;

/// <summary>A place where copies are kept.</summary>
public abstract record DestinationConfig
{
    public required string Name { get; init; }

    /// <summary>What a gigabyte (1,000,000,000 bytes) costs there in a month, in any currency; null where that is not known.</summary>
    public decimal? PricePerGbMonth { get; init; }

    /// <summary>
    /// Whether a commit counts as durable only when it is here too. The destination that a source is written to first always counts.
    /// </summary>
    public bool IsRequired { get; init; }

    /// <summary>What becomes of it where it lacks what the first destination of a source had before.</summary>
    public IncompleteCopy OnIncomplete { get; init; }

    /// <summary>How many bytes a second may be sent there; null for as many as go.</summary>
    public long? UploadMax { get; init; }

    /// <summary>How many bytes a second may be fetched from there; null for as many as go.</summary>
    public long? DownloadMax { get; init; }

    /// <summary>How many calls may be under way at once; null for what its type can do.</summary>
    public int? ConcurrentCallsMax { get; init; }

    /// <summary>The host to which everything goes unencrypted, because the operator allowed that; null elsewhere.</summary>
    public virtual string? InsecureHost() => null;

    /// <summary>What the place is called where it is not named: a path, or a URL with which it can be opened again. No secrets.</summary>
    public abstract string Location { get; }

    /// <summary>The place of which this one is the folder of that name, or null.</summary>
    public abstract DestinationConfig? ParentOf(string folder);
}

/// <summary>A directory.</summary>
public sealed record FileDestinationConfig : DestinationConfig
{
    /// <summary>Absolute.</summary>
    public required string Path { get; init; }

    public override string Location => Path;

    public override DestinationConfig? ParentOf(string folder) =>
        System.IO.Path.GetFileName(Path) == folder && System.IO.Path.GetDirectoryName(Path) is { } parent
            ? this with { Path = parent }
            : null;
}

/// <summary>One of which only the name was read.</summary>
public sealed record NamedDestinationConfig : DestinationConfig
{
    public override string Location => Name;

    public override DestinationConfig? ParentOf(string folder) => null;
}

/// <summary>A bucket.</summary>
public sealed record S3DestinationConfig : DestinationConfig
{
    public required S3Options Options { get; init; }

    public override string Location => Options.Location;

    public override string? InsecureHost() => S3Place.Of(Options, AwsEnvironment.Current).InsecureHost;

    public override DestinationConfig? ParentOf(string folder)
    {
        var prefix = Options.Prefix;
        return prefix == folder || prefix.EndsWith("/" + folder, StringComparison.Ordinal)
            ? this with { Options = Options with { Prefix = prefix[..^folder.Length].TrimEnd('/') } }
            : null;
    }
}

/// <summary>A directory on an SFTP server.</summary>
public sealed record SftpDestinationConfig : DestinationConfig
{
    public required SftpOptions Options { get; init; }

    public override string Location => Options.Location;

    public override DestinationConfig? ParentOf(string folder)
    {
        var path = Options.Path.TrimEnd('/');
        return path.EndsWith("/" + folder, StringComparison.Ordinal) && path.Length > folder.Length + 1
            ? this with { Options = Options with { Path = path[..^(folder.Length + 1)] } }
            : null;
    }
}
