using System.Net;

namespace Salvor.Storage.S3;

/// <summary>Where a bucket is: options and environment, checked and put together.</summary>
sealed class S3Place
{
    const string DefaultRegion = "us-east-1";

    /// <summary>All of Google's buckets, wherever they are.</summary>
    const string GoogleRegion = "auto";
    const string GoogleEndpoint = "https://storage.googleapis.com";
    const int WordLengthMax = 2048;

    /// <summary>What lies in them comes back after hours.</summary>
    static readonly string[] ArchiveClasses = ["GLACIER", "DEEP_ARCHIVE"];

    readonly Uri root;

    S3Place(S3Options options, string region, Uri endpoint, bool isAmazon)
    {
        Bucket = options.Bucket;
        Dialect = S3Dialect.Of(options.Service);
        Region = region;
        Prefix = options.Prefix.Length == 0 ? "" : options.Prefix + "/";
        Location = options.Location;
        Endpoint = endpoint.Authority;

        // A certificate for *.s3.amazonaws.com does not hold for a name with more dots.
        var inPath = options.PathStyle ?? (!isAmazon || Bucket.Contains('.', StringComparison.Ordinal));
        root = inPath
            ? new Uri($"{endpoint.GetLeftPart(UriPartial.Path).TrimEnd('/')}/{Bucket}/")
            : new Uri($"{endpoint.Scheme}://{Bucket}.{endpoint.Authority}{endpoint.AbsolutePath.TrimEnd('/')}/");
    }

    public string Bucket { get; }

    /// <summary>The words of the service.</summary>
    public S3Dialect Dialect { get; }

    public bool IsGoogle => Dialect == S3Dialect.Google;

    public string Region { get; }

    /// <summary>Empty, or with a slash at its end.</summary>
    public string Prefix { get; }

    /// <summary>What messages call the place; it can be typed as a destination again.</summary>
    public string Location { get; }

    /// <summary>Host and port of the service.</summary>
    public string Endpoint { get; }

    /// <summary>The same where everything goes there unencrypted, and leaves this machine; else null.</summary>
    public string? InsecureHost => root.Scheme == Uri.UriSchemeHttp && !IsLoopback(root) ? Endpoint : null;

    /// <param name="key">The key of an object, with the prefix; null for the bucket.</param>
    /// <param name="query">Encoded, without the question mark.</param>
    public Uri UriOf(string? key, string query) => new($"{root}{key}{(query.Length == 0 ? "" : "?" + query)}");

    /// <summary>Throws <see cref="FailureKind.Usage"/> where the options name nothing that can be called.</summary>
    public static S3Place Of(S3Options options, AwsEnvironment environment)
    {
        Check(options);
        if (options.Service == S3Service.Google)
        {
            return new S3Place(options, GoogleRegion, ParseEndpoint(options, options.Endpoint ?? GoogleEndpoint), isAmazon: false);
        }

        var region = options.Region ?? environment.Region(options.Profile) ?? DefaultRegion;
        CheckRegion(options, region);
        var given = options.Endpoint ?? environment.Endpoint(options.Profile);
        var suffix = region.StartsWith("cn-", StringComparison.Ordinal) ? "amazonaws.com.cn" : "amazonaws.com";
        var endpoint = ParseEndpoint(options, given ?? $"https://s3.{region}.{suffix}");
        var isAmazon = endpoint.Host.EndsWith("." + suffix, StringComparison.OrdinalIgnoreCase);
        return new S3Place(options, region, endpoint, isAmazon);
    }

    /// <summary>What can be known without the environment. Throws <see cref="FailureKind.Usage"/>.</summary>
    public static void Check(S3Options options)
    {
        var bucket = options.Bucket;
        if (bucket.Length is < 3 or > 63 || !IsWord(bucket, "-._") || bucket.Contains("..", StringComparison.Ordinal))
        {
            throw Refusal($"\"{bucket}\" cannot be the name of a bucket", "Write it as in bucket: acme-backups.");
        }

        if (options.Prefix.Length > 0 && !ObjectKey.IsKey(options.Prefix))
        {
            throw Refusal(
                $"prefix \"{options.Prefix}\" of bucket {options.Bucket} is not legal",
                "Use names of letters, digits, dot, underscore and hyphen that do not start with a dot, with '/' between them.");
        }

        CheckRegion(options, options.Region);
        CheckStorage(options);
        if (options.Endpoint is { } endpoint)
        {
            ParseEndpoint(options, endpoint);
        }
    }

    static void CheckRegion(S3Options options, string? region)
    {
        if (region is not null && !IsWord(region, "-"))
        {
            throw Refusal($"region \"{region}\" of bucket {options.Bucket} is no region", "Write it as in region: eu-west-1.");
        }
    }

    static void CheckStorage(S3Options options)
    {
        if (options.StorageClass is { } name && (ArchiveClasses.Contains(name) || !IsWord(name, "_-")))
        {
            throw Refusal(
                $"storage_class {name} of bucket {options.Bucket} is none from which a backup can be read at once",
                "Use one such as STANDARD_IA, INTELLIGENT_TIERING or GLACIER_IR.");
        }

        if (options.KmsKey is { } key && (options.Encryption != S3Encryption.Kms || !IsWord(key, "-_:/")))
        {
            throw options.Encryption == S3Encryption.Kms
                ? Refusal($"kms_key \"{key}\" of bucket {options.Bucket} is no key", "Write its id or ARN.")
                : Refusal($"bucket {options.Bucket} has kms_key without sse: aws:kms", "Add sse: aws:kms, or leave kms_key out.");
        }
    }

    static Uri ParseEndpoint(S3Options options, string text)
    {
        // Not repeated where it has a user in it: that may be a secret.
        if (!Uri.TryCreate(text, UriKind.Absolute, out var endpoint) || endpoint.UserInfo.Length > 0 || endpoint.Query.Length > 0
            || (endpoint.Scheme != Uri.UriSchemeHttps && endpoint.Scheme != Uri.UriSchemeHttp))
        {
            throw Refusal(
                text.Contains('@', StringComparison.Ordinal)
                    ? $"the endpoint of bucket {options.Bucket} has a user in it"
                    : $"endpoint \"{text}\" of bucket {options.Bucket} is no URL of a service",
                "Write it as in endpoint: https://s3.example.com; keys belong into the environment.");
        }

        if (endpoint.Scheme == Uri.UriSchemeHttp && !options.AllowInsecure && !IsLoopback(endpoint))
        {
            throw Refusal(
                $"endpoint {endpoint.GetLeftPart(UriPartial.Authority)} of bucket {options.Bucket} is http, and not on this machine",
                "Use https, or say allow_insecure: true where the network between is yours: whoever is on it can read and change all.");
        }

        return endpoint;
    }

    static bool IsWord(string text, string others) =>
        text.Length is > 0 and <= WordLengthMax
            && text.All(c => char.IsAsciiLetterOrDigit(c) || others.Contains(c, StringComparison.Ordinal));

    static bool IsLoopback(Uri endpoint) =>
        endpoint.IsLoopback || (IPAddress.TryParse(endpoint.DnsSafeHost, out var address) && IPAddress.IsLoopback(address));

    static SalvorException Refusal(string message, string hint) => new(FailureKind.Usage, message, hint);
}
