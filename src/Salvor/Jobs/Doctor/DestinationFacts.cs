using Salvor.Jobs.Config;
using Salvor.Platform;
using Salvor.Storage;
using Salvor.Storage.S3;
using Salvor.Vault;

namespace Salvor.Jobs.Doctor;

/// <summary>What is known of a destination after its calls were tried.</summary>
sealed record DestinationFacts
{
    /// <summary>What may pass is tried once more.</summary>
    const int AttemptsMax = 2;

    public required DestinationConfig Config { get; init; }

    /// <summary>What the probe found; null where there was none, or it failed.</summary>
    public ProbeResult? Probe { get; init; }

    /// <summary>Whether nothing was tried, because only reading is wanted.</summary>
    public bool IsReadOnly { get; init; }

    /// <summary>Why it cannot be used; null where it can.</summary>
    public SalvorException? Failure { get; init; }

    /// <summary>Whether it is a directory that is not there, and whose parent can take it.</summary>
    public bool IsToBeMade { get; init; }

    /// <summary>The room on its disk; null where that is not known.</summary>
    public long? FreeBytes { get; init; }

    /// <summary>The disk, of a directory.</summary>
    public ulong? Device { get; init; }

    /// <summary>What its bucket does by itself; null where it is no bucket, or cannot be reached.</summary>
    public S3BucketSettings? Bucket { get; init; }

    /// <summary>What became of an object of ours that we tried to destroy; null where that was not tried, or did not end.</summary>
    public TamperReport? Tamper { get; init; }

    /// <summary>Why that could not be tried; null where it was not to be, or could.</summary>
    public SalvorException? TamperFailure { get; init; }

    /// <summary>
    /// Why every call is refused: not a matter of permissions for one call or another, but of the bucket, the key or the whole place. Null
    /// where one works.
    /// </summary>
    public SalvorException? Refusal => Failure
        ?? (Probe is { } probe && probe.Refused.Count(item => item.Verb != "delete") == 3 ? probe.Refused[0].Failure : null);

    /// <summary>Whether it is another machine.</summary>
    public bool IsRemote => Config switch
    {
        FileDestinationConfig file => FileSystemType.NetworkName(Place.Existing(file.Path)) is not null,
        S3DestinationConfig s3 => !IsThisMachine(s3.Options.Endpoint),
        AzureDestinationConfig azure => !azure.Endpoint.IsLoopback,
        SftpDestinationConfig sftp => sftp.Options.Host is not ("localhost" or "127.0.0.1" or "::1"),
        _ => false,
    };

    /// <summary>The URL of a service that is asked without encryption on the way; null where there is none.</summary>
    public string? PlainHttp => Config switch
    {
        S3DestinationConfig { Options.Endpoint: { } endpoint } when IsHttp(endpoint) && !IsThisMachine(endpoint) => endpoint,
        AzureDestinationConfig { Endpoint: { Scheme: "http", IsLoopback: false } endpoint } => endpoint.ToString(),
        _ => null,
    };

    /// <summary>
    /// Tries every call on a small object, and looks at what the place is. A call that does not come back is left behind at the deadline.
    /// </summary>
    public static async Task<DestinationFacts> GatherAsync(
        DestinationConfig destination, TimeProvider time, Random random, TimeSpan patience, CancellationToken deadline)
    {
        var facts = new DestinationFacts { Config = destination };
        if (destination is FileDestinationConfig { Path: var path })
        {
            facts = facts with
            {
                FreeBytes = DiskSpace.FreeBytes(Place.Existing(path)),
                Device = Place.DeviceOf(path),
                IsToBeMade = !Path.Exists(path) && Path.GetDirectoryName(path) is { } above
                    && Posix.MayAccess(Place.Existing(above), Posix.MayWrite | Posix.MayEnter),
            };
            if (facts.IsToBeMade)
            {
                return facts;
            }
        }

        StorageException? last = null;
        try
        {
            var inner = Destinations.DriverOf(destination);
            var store = new RetryingStore(inner, time, random, e => last = e ?? last) { AttemptsMax = AttemptsMax };
            var key = DestinationProbe.NewKey(random);
            var probe = await Task.Run(() => DestinationProbe.RunAsync(store, key, time, deadline), deadline).WaitAsync(deadline);
            return facts with
            {
                Probe = probe,
                Bucket = inner is S3Store s3 ? await s3.ReadBucketSettingsAsync(deadline).WaitAsync(deadline) : null,
            };
        }
        catch (SalvorException e)
        {
            return facts with { Failure = e };
        }
        catch (OperationCanceledException) when (deadline.IsCancellationRequested)
        {
            return facts with { Failure = Late(destination, patience, last) };
        }
    }

    /// <summary>The same, after it was tried to destroy an object of ours there.</summary>
    public async Task<DestinationFacts> TamperAsync(TimeProvider time, Random random, CancellationToken deadline)
    {
        try
        {
            return this with { Tamper = await TamperProbe.RunAsync(Config, time, random, deadline).WaitAsync(deadline) };
        }
        catch (SalvorException e)
        {
            return this with { TamperFailure = e };
        }
        catch (OperationCanceledException) when (deadline.IsCancellationRequested)
        {
            return this with { TamperFailure = new SalvorException(
                FailureKind.TimedOut, "it took too long", $"Try it alone: 'salvor bench destination {Config.Name} --probe'.") };
        }
    }

    public static SalvorException Late(DestinationConfig destination, TimeSpan patience, StorageException? last) => new(
        FailureKind.DestinationUnreachable,
        last is null
            ? $"destination {destination.Name} ({destination.Location}) did not answer within {patience.TotalSeconds:0} s"
            : last.Message,
        last?.Hint ?? "Check the network between, and that the service or the server of the disk runs.",
        last);

    static bool IsHttp(string endpoint) => endpoint.StartsWith("http://", StringComparison.OrdinalIgnoreCase);

    static bool IsThisMachine(string? endpoint) => Uri.TryCreate(endpoint, UriKind.Absolute, out var uri) && uri.IsLoopback;
}
