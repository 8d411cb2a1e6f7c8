namespace Salvor.Jobs.Config;

/// <summary>Reads one of the <c>destinations</c>: each type has keys of its own, besides those that all have.</summary>
static class DestinationReader
{
    /// <summary>The types that can be used.</summary>
    public static readonly string[] Types = ["file", "s3", "azure"];

    /// <summary>The types that are known and cannot be used yet.</summary>
    public static readonly string[] TypesPlanned = ["sftp", "gcs"];

    static readonly string[] CommonKeys = ["required", "price_per_gb_month"];

    /// <param name="type">One of <see cref="Types"/>.</param>
    /// <param name="name">What the configuration calls it.</param>
    /// <param name="destination">Its keys.</param>
    public static DestinationConfig Read(string type, string name, ConfigMapping destination)
    {
        DestinationConfig config = type switch
        {
            "file" => ReadFile(name, destination),
            "s3" => S3Reader.Read(name, destination, CommonKeys),
            "azure" => ReadAzure(name, destination),
            _ => throw new InvalidOperationException($"no reader for type {type}"),
        };
        return config with
        {
            IsRequired = destination.Choice("required", false, ("true", true), ("false", false)),
            PricePerGbMonth = destination.OptionalAmount("price_per_gb_month", "0.023"),
        };
    }

    static FileDestinationConfig ReadFile(string name, ConfigMapping destination)
    {
        destination.CheckKeys(["type", "path", .. CommonKeys]);
        return new FileDestinationConfig { Name = name, Path = destination.Path("path", "/var/backups/salvor") };
    }

    static AzureDestinationConfig ReadAzure(string name, ConfigMapping destination)
    {
        destination.CheckKeys(["type", .. AzureReader.Keys.Select(item => item.Key), .. CommonKeys]);
        var examples = AzureReader.Keys.ToDictionary(item => item.Key, item => item.Example);
        return new AzureReader(
            $"destination {name}", key => destination.OptionalText(key, examples[key]), destination.Error, destination.Variable).Read(name);
    }
}
