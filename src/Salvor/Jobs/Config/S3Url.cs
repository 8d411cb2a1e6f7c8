using System.Globalization;
using Salvor.Storage.S3;
using Salvor.Text;

namespace Salvor.Jobs.Config;

/// <summary>
/// <c>s3://bucket/prefix?region=eu-west-1</c>, or <c>gs://bucket/prefix</c>: the same settings as in a configuration, without secrets.
/// </summary>
static class S3Url
{
    const string Example = "Write it as in s3://acme-backups/salvor?region=eu-west-1.";

    public static S3DestinationConfig Parse(string url)
    {
        var service = url.StartsWith("gs://", StringComparison.Ordinal) ? S3Service.Google : S3Service.Amazon;
        var rest = url["s3://".Length..];
        var question = rest.IndexOf('?', StringComparison.Ordinal);
        var path = question < 0 ? rest : rest[..question];
        if (path.Contains('@', StringComparison.Ordinal))
        {
            // Not repeated: that is where others write keys.
            throw new SalvorException(
                FailureKind.Usage,
                $"the {url[..5]} URL has a user in it",
                service == S3Service.Google
                    ? "Keys belong into GCS_ACCESS_KEY_ID and GCS_SECRET_ACCESS_KEY: others can see the command line."
                    : "Keys belong into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: others can see the command line.");
        }

        var slash = path.IndexOf('/', StringComparison.Ordinal);
        var options = new S3Options
        {
            Service = service,
            Bucket = slash < 0 ? path : path[..slash],
            Prefix = slash < 0 ? "" : path[slash..].Trim('/'),
        };
        foreach (var pair in question < 0 ? [] : rest[(question + 1)..].Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            var equals = pair.IndexOf('=', StringComparison.Ordinal);
            options = With(options, equals < 0 ? pair : pair[..equals], equals < 0 ? "" : Uri.UnescapeDataString(pair[(equals + 1)..]));
        }

        S3Place.Check(options);
        return new S3DestinationConfig { Name = options.Location, Options = options };
    }

    static S3Options With(S3Options options, string setting, string value) => setting switch
    {
        _ when !SettingsOf(options).Contains(setting) => throw Unknown(options, setting),
        "region" => options with { Region = value },
        "endpoint" => options with { Endpoint = value },
        "path_style" => options with { PathStyle = YesOrNo(setting, value) },
        "storage_class" => options with { StorageClass = value },
        "sse" => options with { Encryption = EncryptionOf(value) },
        "kms_key" => options with { KmsKey = value },
        "object_lock" => options with { Lock = LockOf(value) },
        "profile" => options with { Profile = value },
        "allow_insecure" => options with { AllowInsecure = YesOrNo(setting, value) },
        _ => throw Unknown(options, setting),
    };

    static string[] SettingsOf(S3Options options) =>
        options.Service == S3Service.Google ? S3Reader.GoogleSettings : S3Reader.Settings;

    static SalvorException Unknown(S3Options options, string setting) => new(
        FailureKind.Usage,
        $"unknown setting \"{setting}\" in the URL of bucket {options.Bucket}",
        $"{Suggestion.Sentence(setting, SettingsOf(options))}Known are {Suggestion.Enumerate(SettingsOf(options))}.");

    static S3Encryption EncryptionOf(string value) =>
        S3Reader.Encryptions.FirstOrDefault(item => item.Name == value) is { Name: not null } known
            ? known.Value
            : throw Wrong("sse", value, "aes256 and aws:kms");

    /// <summary><c>compliance:30</c>.</summary>
    static S3Lock LockOf(string value)
    {
        var colon = value.IndexOf(':', StringComparison.Ordinal);
        return colon > 0 && S3Reader.LockModes.FirstOrDefault(item => item.Name == value[..colon]) is { Name: not null } mode
            && int.TryParse(value.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var days)
            && days is >= 1 and <= S3Reader.LockDaysMax
            ? new S3Lock(mode.Value, TimeSpan.FromDays(days))
            : throw Wrong("object_lock", value, "governance:DAYS and compliance:DAYS");
    }

    static bool YesOrNo(string setting, string value) => value switch
    {
        "true" => true,
        "false" => false,
        _ => throw Wrong(setting, value, "true and false"),
    };

    static SalvorException Wrong(string setting, string value, string known) =>
        new(FailureKind.Usage, $"unknown {setting} \"{value}\" in the URL of a bucket", $"Known are {known}. {Example}");
}
