namespace Salvor.Jobs.Config;

/// <summary>Reads one of the <c>destinations</c>: each type has keys of its own, besides those that all have.</summary>
static class DestinationReader
{
    /// <summary>The types that can be used.</summary>
    public static readonly string[] Types = ["file"];

    /// <summary>The types that are known and cannot be used yet.</summary>
    public static readonly string[] TypesPlanned = ["s3", "sftp", "azure", "gcs"];

    static readonly string[] CommonKeys = ["price_per_gb_month"];

    /// <param name="type">One of <see cref="Types"/>.</param>
    /// <param name="name">What the configuration calls it.</param>
    /// <param name="destination">Its keys.</param>
    public static DestinationConfig Read(string type, string name, ConfigMapping destination)
    {
        DestinationConfig config = type switch
        {
            "file" => ReadFile(name, destination),
            _ => throw new InvalidOperationException($"no reader for type {type}"),
        };
        return config with { PricePerGbMonth = destination.OptionalAmount("price_per_gb_month", "0.023") };
    }

    static FileDestinationConfig ReadFile(string name, ConfigMapping destination)
    {
        destination.CheckKeys(["type", "path", .. CommonKeys]);
        return new FileDestinationConfig { Name = name, Path = destination.Path("path", "/var/backups/salvor") };
    }
}
