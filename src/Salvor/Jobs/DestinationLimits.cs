using System.Collections.Concurrent;
using System.Globalization;
using Salvor.Jobs.Config;
using Salvor.Storage;

namespace Salvor.Jobs;

/// <summary>The limits of destinations, one for each in this process, whoever opens it.</summary>
static class DestinationLimits
{
    /// <summary>What other tools for S3 read; it wins over the configuration.</summary>
    public const string CallsVariable = "AWS_MAX_CONCURRENT_REQUESTS";

    /// <summary>More would wait for a connection while their time runs.</summary>
    public const int HttpCallsMax = 64;

    static readonly ConcurrentDictionary<(string Location, long? Upload, long? Download, int? Calls), StoreLimits> shared = new();

    /// <summary>A store that keeps to what the configuration says of its destination.</summary>
    /// <param name="environment">A variable of the process, or null.</param>
    public static IObjectStore Apply(DestinationConfig destination, IObjectStore store, Func<string, string?> environment)
    {
        var calls = CallsOf(destination, environment);
        return destination is FileDestinationConfig || (calls ?? destination.UploadMax ?? destination.DownloadMax) is null
            ? store
            : new ThrottledStore(store, shared.GetOrAdd(
                (destination.Location, destination.UploadMax, destination.DownloadMax, calls),
                key => new StoreLimits(key.Upload, key.Download, key.Calls, TimeProvider.System)));
    }

    static int? CallsOf(DestinationConfig destination, Func<string, string?> environment)
    {
        if (destination is S3DestinationConfig && environment(CallsVariable) is { Length: > 0 } text)
        {
            return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var count) && count > 0
                ? count
                : throw new SalvorException(
                    FailureKind.Usage, $"{CallsVariable} is \"{text}\", which is not a whole number from 1 on", "Correct it, or unset it.");
        }

        return destination.ConcurrentCallsMax ?? (destination is S3DestinationConfig or AzureDestinationConfig ? HttpCallsMax : null);
    }
}
