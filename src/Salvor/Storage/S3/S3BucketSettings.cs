using System.Net;
using System.Xml;
using System.Xml.Linq;

namespace Salvor.Storage.S3;

/// <summary>A rule by which a service moves or deletes objects by itself.</summary>
/// <param name="Prefix">Of the keys that it is about; empty for all.</param>
/// <param name="IsFiltered">Whether it is also about tags or sizes, so that it need not hold for every key of the prefix.</param>
/// <param name="ExpiresAfter">What makes a current object go, in words; empty where nothing does.</param>
/// <param name="MovesTo">The storage classes that it moves current objects to.</param>
/// <param name="ExpiresOldVersions">Whether it deletes versions that are no longer current.</param>
public sealed record S3LifecycleRule(
    string Prefix, bool IsFiltered, string ExpiresAfter, IReadOnlyList<string> MovesTo, bool ExpiresOldVersions);

/// <summary>Something that a bucket was asked, and what it answered.</summary>
/// <param name="Value">The answer; null where it was not let known.</param>
/// <param name="Obstacle">Why not; empty where there is an answer.</param>
public readonly record struct Seen<T>(T? Value, string Obstacle)
    where T : class;

/// <summary>What a bucket does with objects by itself, as far as its service says it.</summary>
/// <param name="Versioning"><c>Enabled</c>, <c>Suspended</c> or <c>off</c>.</param>
/// <param name="ObjectLock"><c>off</c>, <c>on</c>, or the mode and time that new objects are locked with.</param>
/// <param name="Lifecycle">The rules that are in force.</param>
public sealed record S3BucketSettings(Seen<string> Versioning, Seen<string> ObjectLock, Seen<IReadOnlyList<S3LifecycleRule>> Lifecycle)
{
    const int AnswerBytesMax = 1 << 20;

    /// <summary>Asks for all three. What the service refuses is an answer too.</summary>
    internal static async Task<S3BucketSettings> ReadAsync(S3Client client, CancellationToken cancellationToken)
    {
        var versioning = AskAsync(client, "versioning", VersioningIn, cancellationToken);
        var objectLock = AskAsync(client, "object-lock", ObjectLockIn, cancellationToken);
        var lifecycle = AskAsync(client, "lifecycle", LifecycleIn, cancellationToken);
        return new S3BucketSettings(await versioning, await objectLock, await lifecycle);
    }

    /// <param name="content">The answer; null where the bucket has no such setting.</param>
    internal static string VersioningIn(XElement? content) => Text(content, "Status") is { Length: > 0 } status ? status : "off";

    /// <inheritdoc cref="VersioningIn"/>
    internal static string ObjectLockIn(XElement? content)
    {
        if (Text(content, "ObjectLockEnabled") != "Enabled")
        {
            return "off";
        }

        var mode = Text(content, "Mode");
        var time = Text(content, "Days") is { Length: > 0 } days ? $"{days} days" : $"{Text(content, "Years")} years";
        return mode.Length == 0 ? "on" : $"{mode} {time}";
    }

    /// <inheritdoc cref="VersioningIn"/>
    internal static IReadOnlyList<S3LifecycleRule> LifecycleIn(XElement? content) =>
        [.. (content?.Elements() ?? []).Where(rule => rule.Name.LocalName == "Rule" && Text(rule, "Status") == "Enabled").Select(RuleOf)];

    static S3LifecycleRule RuleOf(XElement rule)
    {
        var expiration = Child(rule, "Expiration");
        var days = Text(expiration, "Days");
        var date = Text(expiration, "Date");
        return new S3LifecycleRule(
            Text(rule, "Prefix"),
            rule.Descendants().Any(item => item.Name.LocalName is "Tag" or "ObjectSizeGreaterThan" or "ObjectSizeLessThan"),
            days.Length > 0 ? $"after {days} days" : date.Length > 0 ? $"at {date}" : "",
            [
                .. rule.Elements().Where(item => item.Name.LocalName == "Transition").Select(item => Text(item, "StorageClass")),
            ],
            Child(rule, "NoncurrentVersionExpiration") is not null);
    }

    static async Task<Seen<T>> AskAsync<T>(S3Client client, string setting, Func<XElement?, T> read, CancellationToken cancellationToken)
        where T : class
    {
        var call = new S3Call(HttpMethod.Get, $"see {setting}", "")
        {
            Query = setting, Bytes = AnswerBytesMax, Expected = [HttpStatusCode.OK, HttpStatusCode.NotFound],
        };
        try
        {
            return new(await client.SendAsync(call, async (response, deadline) => read(await ContentAsync(response, deadline)),
                cancellationToken), "");
        }
        catch (StorageException e)
        {
            return new(null, e.Message);
        }
        catch (XmlException e)
        {
            return new(null, e.Message);
        }
    }

    /// <summary>Null where the service says that nobody has set it; a bucket that is not there throws.</summary>
    static async Task<XElement?> ContentAsync(HttpResponseMessage response, S3Deadline deadline)
    {
        var content = await S3Client.ReadAllAsync(response, AnswerBytesMax, deadline);
        using var reader = XmlReader.Create(
            new MemoryStream(content), new XmlReaderSettings { DtdProcessing = DtdProcessing.Prohibit, XmlResolver = null });
        var root = XElement.Load(reader);
        var code = Text(root, "Code");
        return response.StatusCode == HttpStatusCode.OK ? root
            : code is "ObjectLockConfigurationNotFoundError" or "NoSuchLifecycleConfiguration" ? null
            : throw new XmlException($"the service answered {(int)response.StatusCode} {code}");
    }

    static XElement? Child(XElement? parent, string name) => parent?.Elements().FirstOrDefault(item => item.Name.LocalName == name);

    static string Text(XElement? parent, string name) =>
        parent?.Descendants().FirstOrDefault(item => item.Name.LocalName == name)?.Value.Trim() ?? "";
}
