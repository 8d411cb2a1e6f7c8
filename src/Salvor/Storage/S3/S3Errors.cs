using System.Net;
using System.Security.Authentication;

namespace Salvor.Storage.S3;

/// <summary>What the failures of a service mean to the caller of a store, and to whoever has to do something.</summary>
static class S3Errors
{
    /// <summary>The service answered, and refused.</summary>
    /// <param name="ahead">How much our clock is ahead of the service's; null where that is not known.</param>
    public static StorageException Refused(
        S3Place place, S3Call call, HttpStatusCode status, S3Refusal refusal, AwsCredentials signer, TimeSpan? ahead)
    {
        var (failure, reason, hint) = refusal.Code switch
        {
            "NoSuchKey" => default,
            "NoSuchBucket" => NoBucket(place),
            "InvalidAccessKeyId" => WrongKeys(place, $"the service does not know the access key of {signer.Origin}"),
            "SignatureDoesNotMatch" => WrongKeys(place, $"the secret key of {signer.Origin} is not the right one"),
            "ExpiredToken" or "TokenRefreshRequired" or "InvalidToken" => (
                StorageFailure.Denied,
                $"the credentials of {signer.Origin} have ended",
                "Get new ones; where they are lent for hours, let a profile with credential_process or a role give them."),
            "ObjectLockConfigurationNotFoundError" => NoLock(place),
            "InvalidRequest" when call.IsLocking => NoLock(place),
            "RequestTimeTooSkewed" => Skewed(ahead),
            "AccessDenied" or "AllAccessDisabled" or "AccountProblem" => NotAllowed(place, call, signer, refusal),
            "QuotaExceeded" or "InsufficientCapacity" or "XMinioStorageFull" => Full(refusal.Code),
            "InvalidObjectState" => (
                StorageFailure.Denied,
                "the object is archived and cannot be read at once",
                "Restore it in the service first, and keep backups in a class that is read at once, such as STANDARD_IA."),
            "PermanentRedirect" or "TemporaryRedirect" or "IllegalLocationConstraintException" => Elsewhere(place, refusal),
            "AuthorizationHeaderMalformed" when refusal.Region.Length > 0 => Elsewhere(place, refusal),
            "NoSuchStorageClass" or "InvalidStorageClass" => (
                StorageFailure.Denied, "the service does not have that storage class", "Correct 'storage_class', or leave it out."),
            _ => ByStatus(place, call, status, refusal, signer),
        };
        return reason is null
            ? StorageErrors.NotFound(call.Key, place.Location)
            : new StorageException(failure, Message(place, call, reason), hint);
    }

    /// <summary>Nothing came any more.</summary>
    public static StorageException Silent(S3Place place, S3Call call, TimeSpan waited) => new(
        StorageFailure.Unreachable,
        Message(place, call, $"{place.Endpoint} did not answer in time ({waited.TotalSeconds:0} s)"),
        "Check the network between, and the service.");

    /// <summary>The connection failed, or broke off.</summary>
    public static StorageException Broken(S3Place place, S3Call call, Exception exception)
    {
        var error = (exception as HttpRequestException)?.HttpRequestError ?? (exception as HttpIOException)?.HttpRequestError;
        if (exception.InnerException is AuthenticationException certificate)
        {
            // What the platform says of bytes that are none of TLS.
            return certificate.Message.Contains("frame size", StringComparison.Ordinal) ? Unencrypted(place, call, exception) : new(
                StorageFailure.Denied,
                Message(place, call, $"{place.Endpoint} cannot be trusted: {certificate.Message.TrimEnd('.')}"),
                "Add the authority of its certificate to this machine, or correct 'endpoint'.",
                exception);
        }

        var (reason, hint) = error switch
        {
            HttpRequestError.NameResolutionError => (
                $"there is no host {place.Endpoint}",
                "Correct 'endpoint' and 'region' (a URL such as https://s3.eu-west-1.amazonaws.com), or repair the name service."),
            HttpRequestError.ConnectionError => (
                $"cannot connect to {place.Endpoint}: {Innermost(exception)}",
                "Check that the service runs there, and 'endpoint'."),
            HttpRequestError.InvalidResponse => (
                $"{place.Endpoint} answered something else than HTTP",
                "Check that 'endpoint' is a service for S3: another program may have that port."),
            _ => ($"the connection to {place.Endpoint} broke off: {Innermost(exception)}", "Check the network between, and the service."),
        };
        return new(StorageFailure.Unreachable, Message(place, call, reason), hint, exception);
    }

    static StorageException Unencrypted(S3Place place, S3Call call, Exception inner) => new(
        StorageFailure.Denied,
        Message(place, call, $"{place.Endpoint} does not answer with TLS"),
        $"Correct 'endpoint', or write http://{place.Endpoint} where the service has no encryption and the network is yours.",
        inner);

    /// <summary>The answer is none of the protocol.</summary>
    public static StorageException Foreign(S3Place place, S3Call call, string what, Exception? inner = null) => new(
        StorageFailure.Unreachable,
        Message(place, call, $"{place.Endpoint} answered {what}"),
        "Check that 'endpoint' is a service for S3, and that no proxy changes what it says.",
        inner);

    /// <summary>An object would lie there in clear although the operator asked for more.</summary>
    public static StorageException NotEncrypted(S3Place place, S3Call call) => new(
        StorageFailure.Denied,
        Message(place, call, "the service does not encrypt although 'sse' asks for it"),
        "Leave 'sse' out and let Salvor encrypt ('encryption' of the source), or set encryption up in the service. "
            + "One object was stored in clear by this call.");

    static (StorageFailure Failure, string Reason, string Hint) ByStatus(
        S3Place place, S3Call call, HttpStatusCode status, S3Refusal refusal, AwsCredentials signer) => status switch
        {
            HttpStatusCode.NotFound when refusal.Code.Length == 0 && call.Key.Length > 0 && !call.IsOfBucket => default,
            HttpStatusCode.NotFound when call.Key.Length == 0 || call.IsOfBucket => NoBucket(place),
            HttpStatusCode.Forbidden or HttpStatusCode.Unauthorized => NotAllowed(place, call, signer, refusal),
            HttpStatusCode.MovedPermanently or HttpStatusCode.TemporaryRedirect or HttpStatusCode.Found => Elsewhere(place, refusal),
            HttpStatusCode.InsufficientStorage => Full(Words(status, refusal)),
            HttpStatusCode.RequestTimeout or HttpStatusCode.TooManyRequests or HttpStatusCode.Conflict => (
                StorageFailure.Unreachable,
                $"the service answered {Words(status, refusal)}",
                "It passes; lower the load if it comes back."),
            HttpStatusCode.NotImplemented => (
                StorageFailure.Denied,
                $"the service cannot do this ({Words(status, refusal)})",
                "Salvor needs If-None-Match and ListObjectsV2; use a service that has them."),
            >= HttpStatusCode.InternalServerError => (
                StorageFailure.Unreachable,
                $"the service answered {Words(status, refusal)}",
                "It passes; ask who runs the service if it does not."),
            _ => (
                StorageFailure.Denied,
                $"the service answered {Words(status, refusal)}",
                "Check 'endpoint', 'region', 'bucket' and 'path_style'."),
        };

    static (StorageFailure Failure, string Reason, string Hint) NoBucket(S3Place place) => (
        StorageFailure.Denied,
        $"there is no bucket {place.Bucket} at {place.Endpoint}",
        place.IsGoogle
            ? $"Correct 'bucket', or make it: 'gcloud storage buckets create gs://{place.Bucket}'."
            : $"Correct 'bucket', 'region' and 'endpoint', or make it: 'aws s3 mb s3://{place.Bucket} --region {place.Region}'.");

    static (StorageFailure Failure, string Reason, string Hint) NoLock(S3Place place) => (
        StorageFailure.Denied,
        $"bucket {place.Bucket} has no object lock, and 'object_lock' asks for it",
        "Use a bucket that was made with it: 'aws s3api create-bucket --object-lock-enabled-for-bucket --bucket NAME', "
            + "or leave 'object_lock' out.");

    static (StorageFailure Failure, string Reason, string Hint) Elsewhere(S3Place place, S3Refusal refusal) =>
        refusal.Region.Length > 0 && refusal.Region != place.Region
            ? (
                StorageFailure.Denied,
                $"bucket {place.Bucket} is in region {refusal.Region}, not in {place.Region}",
                $"Write region: {refusal.Region}.")
            : (
                StorageFailure.Denied,
                $"bucket {place.Bucket} is not at {place.Endpoint}",
                "Correct 'region' and 'endpoint': 'aws s3api get-bucket-location --bucket' says where it is.");

    static (StorageFailure Failure, string Reason, string Hint) Skewed(TimeSpan? ahead)
    {
        var by = ahead is not { } span || Math.Abs(span.TotalMinutes) < 1 ? "" : $" by {Math.Abs(span.TotalMinutes):0} minutes";
        var direction = ahead is { } skew && skew < TimeSpan.Zero ? "behind" : "ahead of";
        return (
            StorageFailure.Denied,
            ahead is null ? "the clock of this machine is wrong" : $"the clock of this machine is {direction} the service's{by}",
            "Set the clock: 'timedatectl set-ntp true'. Requests more than 15 minutes off are refused.");
    }

    static (StorageFailure Failure, string Reason, string Hint) NotAllowed(
        S3Place place, S3Call call, AwsCredentials signer, S3Refusal refusal)
    {
        var said = refusal.Text.Length > 0 && refusal.Text != "Access Denied" ? $" ({refusal.Text})" : "";
        if (place.IsGoogle)
        {
            var right = call.Verb switch { "write" => "create", "delete" => "delete", "list" => "list", _ => "get" };
            return (
                StorageFailure.Denied,
                $"the credentials of {signer.Origin} may not {call.Verb}{said}",
                $"Grant storage.objects.{right} on gs://{place.Bucket} to whom the key belongs; "
                    + "roles/storage.objectUser has all that is needed.");
        }

        if (call.Verb == "delete a version of")
        {
            return (
                StorageFailure.Denied,
                $"it is locked, or the credentials of {signer.Origin} may not delete versions{said}",
                $"Wait until its lock ends, or allow s3:DeleteObjectVersion on arn:aws:s3:::{place.Bucket}/{place.Prefix}*.");
        }

        var (permission, on) = call.Verb switch
        {
            "write" when call.IsLocking => ("s3:PutObject and s3:PutObjectRetention", $"{place.Bucket}/{place.Prefix}*"),
            "extend the lock of" => ("s3:PutObjectRetention", $"{place.Bucket}/{place.Prefix}*"),
            "read a version of" => ("s3:GetObjectVersion", $"{place.Bucket}/{place.Prefix}*"),
            "list versions" => ("s3:ListBucketVersions", place.Bucket),
            _ when call.IsOfBucket => ("s3:GetBucketVersioning", place.Bucket),
            "look for object lock" => ("s3:GetBucketObjectLockConfiguration", place.Bucket),
            "write" => ("s3:PutObject", $"{place.Bucket}/{place.Prefix}*"),
            "delete" => ("s3:DeleteObject", $"{place.Bucket}/{place.Prefix}*"),
            "list" => ("s3:ListBucket", place.Bucket),
            _ => ("s3:GetObject", $"{place.Bucket}/{place.Prefix}*"),
        };
        var missing = call.Verb is "read" or "look for"
            ? $", and s3:ListBucket on arn:aws:s3:::{place.Bucket}, without which what does not exist is refused in this way too"
            : "";
        return (
            StorageFailure.Denied,
            $"the credentials of {signer.Origin} may not {call.Verb}{said}",
            $"Allow {permission} on arn:aws:s3:::{on}{missing}.");
    }

    static (StorageFailure Failure, string Reason, string Hint) Full(string said) => (
        StorageFailure.Full,
        $"there is no room ({said})",
        "Raise the quota of the bucket or its owner, or let 'salvor prune' make room.");

    static (StorageFailure Failure, string Reason, string Hint) WrongKeys(S3Place place, string reason) => (
        StorageFailure.Denied,
        reason,
        place.IsGoogle
            ? "Check GCS_ACCESS_KEY_ID and GCS_SECRET_ACCESS_KEY: 'gcloud storage hmac list' shows which keys are active."
            : $"Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile, and that they are for {place.Endpoint}.");

    /// <summary>What was answered, for a line of a message.</summary>
    public static string Words(HttpStatusCode status, S3Refusal refusal) =>
        string.Join(' ', new[] { $"{(int)status}", refusal.Code, refusal.Text.Length > 0 ? $"({refusal.Text})" : "" }
            .Where(word => word.Length > 0));

    static string Message(S3Place place, S3Call call, string reason) =>
        $"cannot {call.Verb}{(call.Key.Length == 0 ? "" : " " + call.Key)} at {place.Location}: {reason}";

    static string Innermost(Exception exception)
    {
        while (exception.InnerException is { } inner)
        {
            exception = inner;
        }

        return exception.Message.TrimEnd('.');
    }
}
