using System.Text.Json;
using System.Text.Json.Serialization;

namespace Salvor.Text;

/// <summary>Times in JSON are spelled like everywhere else: in UTC with <c>Z</c>.</summary>
public sealed class InstantJsonConverter : JsonConverter<DateTimeOffset>
{
    public override DateTimeOffset Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        InstantText.TryParse(reader.GetString(), out var value) ? value : throw new JsonException("not a time");

    public override void Write(Utf8JsonWriter writer, DateTimeOffset value, JsonSerializerOptions options) =>
        writer.WriteStringValue(InstantText.Format(value));
}
