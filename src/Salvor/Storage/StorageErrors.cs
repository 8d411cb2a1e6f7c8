namespace Salvor.Storage;

/// <summary>The failures that mean the same at every destination.</summary>
static class StorageErrors
{
    public static StorageException NotFound(string key, string location) => new(
        StorageFailure.NotFound,
        $"object {key} does not exist at {location}",
        "Restore from another destination with '--from', or an older moment with '--timestamp'.");

    /// <summary>A folder cannot have the name of an object, nor an object that of a folder.</summary>
    public static StorageException InTheWay(string key, string location) => new(
        StorageFailure.Denied,
        $"{key} at {location} has the name of an object but is something else, or the other way round",
        $"Look at what has that name and move it away: 'ls -la {location}'.");
}
