using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace Salvor.Platform;

/// <summary>Small files of local state that say in JSON what was done last: whoever cannot read one goes on without.</summary>
static class JsonMark
{
    /// <summary>What the file says; null where there is none that can be read, and the caller knows what that means.</summary>
    public static T? TryRead<T>(string path, JsonTypeInfo<T> type)
        where T : class
    {
        try
        {
            return File.Exists(path) ? JsonSerializer.Deserialize(File.ReadAllBytes(path), type) : null;
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            // Half written by a machine that lost power, or of another user.
            return null;
        }
    }
}
