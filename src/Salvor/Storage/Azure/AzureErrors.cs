using System.Globalization;
using System.Net;
using System.Security.Authentication;
using Salvor.Text;

namespace Salvor.Storage;

/// <summary>What the failures of a storage account mean to the caller of a store. No message has anything of a credential.</summary>
sealed class AzureErrors(AzureBlobOptions options, TimeProvider time)
{
    /// <summary>How far the clocks of both sides may be apart; from 15 minutes on the service takes no signature.</summary>
    static readonly TimeSpan SkewMax = TimeSpan.FromMinutes(10);

    /// <summary>No answer makes us wait longer than this.</summary>
    static readonly TimeSpan RetryAfterMax = TimeSpan.FromMinutes(5);

    /// <summary>No code of the service is longer; what is, or has other characters, is not its answer.</summary>
    const int CodeLengthMax = 64;

    /// <summary>The service's own word for what went wrong; null where the answer has none, and may not be from it.</summary>
    public static string? CodeOf(HttpResponseMessage response) =>
        response.Headers.NonValidated.TryGetValues("x-ms-error-code", out var values)
        && values.ToString() is { Length: > 0 and <= CodeLengthMax } code && code.All(char.IsAsciiLetterOrDigit) ? code : null;

    /// <summary>The failure for an answer that is none of success.</summary>
    public StorageException Refused(AzureRequest request, HttpResponseMessage response)
    {
        var code = CodeOf(response);
        return (response.StatusCode, code) switch
        {
            (HttpStatusCode.NotFound, "BlobNotFound") => StorageErrors.NotFound(request.Key, options.Location),
            (HttpStatusCode.NotFound, "ContainerNotFound") => Denied(
                request,
                $"there is no container {options.Container} in account {options.Account}",
                $"Create it: 'az storage container create --account-name {options.Account} --name {options.Container}'."),
            (HttpStatusCode.NotFound, _) => Unreachable(
                request, response, $"{Host} answered {Said(response, code)}",
                $"Check that {options.Endpoint} is the blob endpoint of account {options.Account}."),
            (HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden, _) => NotAllowed(request, response, code),
            (HttpStatusCode.Conflict, "BlobImmutableDueToPolicy") => Denied(
                request,
                $"a policy or a legal hold keeps it ({code})",
                "It can be removed when its time is over: 'az storage blob show' says until when."),
            (HttpStatusCode.Conflict, "ContainerBeingDeleted") => Unreachable(
                request, response, $"container {options.Container} is being deleted", "Wait a minute, and create it anew."),
            (HttpStatusCode.Conflict or HttpStatusCode.PreconditionFailed, _) => Denied(
                request, $"{Host} answered {Said(response, code)}",
                "Look at it: 'az storage blob show' says whether somebody holds a lease on it or has made snapshots of it."),
            (HttpStatusCode.BadRequest, "Md5Mismatch") => Unreachable(
                request, response, "what arrived there is not what was sent",
                "It is sent again by itself. Where it stays so, look at what stands on the way, and at this machine's memory."),
            (HttpStatusCode.InsufficientStorage, _) => new(
                StorageFailure.Full, Cannot(request, $"account {options.Account} is full"),
                "Raise its quota, or prune what is kept there."),
            ((HttpStatusCode)429 or HttpStatusCode.ServiceUnavailable, _) => Unreachable(
                request, response, $"{Host} has too much to do ({Said(response, code)})",
                "It is tried again by itself. Where it stays so, give the account more throughput or a source a longer batch."),
            ( >= HttpStatusCode.InternalServerError or HttpStatusCode.RequestTimeout, _) => Unreachable(
                request, response, $"{Host} answered {Said(response, code)}",
                "It is tried again by itself; 'https://azure.status.microsoft' tells of disturbances."),
            ( >= HttpStatusCode.MultipleChoices and < HttpStatusCode.BadRequest, _) => Denied(
                request, $"{Host} sends requests on to another place ({Said(response, code)})",
                $"Check that {options.Endpoint} is the blob endpoint of account {options.Account}."),
            _ => Denied(
                request, $"{Host} answered {Said(response, code)}",
                $"Check endpoint, account and container: 'az storage container show --account-name {options.Account} "
                    + $"--name {options.Container}'."),
        };
    }

    /// <summary>Nothing came, or not enough of it.</summary>
    public StorageException TooLate(AzureRequest request, TimeSpan timeMax, Exception inner) => new(
        StorageFailure.Unreachable,
        Cannot(request, $"{Host} was not done within {DurationText.Format(TimeSpan.FromSeconds(Math.Ceiling(timeMax.TotalSeconds)))}"),
        $"Check the network on the way to it: 'curl -v {options.Endpoint}'.",
        inner);

    /// <summary>The connection did not come about, or broke.</summary>
    public StorageException Broken(AzureRequest request, Exception exception) => exception switch
    {
        HttpRequestException { HttpRequestError: HttpRequestError.NameResolutionError } => new(
            StorageFailure.Unreachable,
            Cannot(request, $"the name {Host} is not known"),
            $"Check the name of the account ({options.Account}) and this machine's name service: 'getent hosts {Host}'.",
            exception),
        HttpRequestException { HttpRequestError: HttpRequestError.SecureConnectionError } or AuthenticationException => new(
            StorageFailure.Denied,
            Cannot(request, $"{Host} cannot prove by its certificate that it is {Host}"),
            $"Look at what it shows: 'openssl s_client -connect {options.Endpoint.Authority}'. "
                + "A private authority belongs into /etc/ssl/certs.",
            exception),
        HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError or HttpRequestError.ProxyTunnelError } => new(
            StorageFailure.Unreachable,
            Cannot(request, $"no connection to {options.Endpoint.Authority}: {Innermost(exception)}"),
            $"Check the network on the way to it: 'curl -v {options.Endpoint}'.",
            exception),
        _ => new(
            StorageFailure.Unreachable,
            Cannot(request, $"the connection to {options.Endpoint.Authority} broke off"),
            $"It is tried again by itself. Where it stays so, check the network on the way: 'curl -v {options.Endpoint}'.",
            exception),
    };

    /// <summary>An answer of success that is not one: cut off, too long, or not what was asked for.</summary>
    public StorageException Malformed(AzureRequest request, string how, Exception? inner = null) => new(
        StorageFailure.Unreachable,
        Cannot(request, $"the answer of {Host} {how}"),
        $"It is tried again by itself. Where it stays so, look at what stands between here and {Host}, such as a proxy.",
        inner);

    StorageException NotAllowed(AzureRequest request, HttpResponseMessage response, string? code)
    {
        if (options.Credential is AzureCredential.Sas { ExpiresAt: { } expiry } && expiry < time.GetUtcNow())
        {
            return Denied(
                request, $"the SAS token ended at {InstantText.Format(expiry)}", $"Make a new one: {SasExample}, and start Salvor again.");
        }

        if (response.Headers.Date is { } there && (there - time.GetUtcNow()).Duration() > SkewMax)
        {
            var skew = DurationText.Format(TimeSpan.FromMinutes(Math.Round((there - time.GetUtcNow()).Duration().TotalMinutes)));
            return Denied(
                request,
                $"the clock of this machine is {skew} {(there > time.GetUtcNow() ? "behind" : "ahead of")} that of {Host}",
                "Set it right: 'timedatectl' shows whether it follows a time server.");
        }

        return code switch
        {
            "AuthorizationPermissionMismatch" or "InsufficientAccountPermissions" or "AuthorizationResourceTypeMismatch"
                or "UnauthorizedBlobOverwrite" or "UnauthorizedAccess" => Denied(
                request,
                $"{CredentialName} may not {request.Verb.Name} there ({code})",
                options.Credential is AzureCredential.Sas
                    ? $"Make one with the permission '{request.Verb.Permission}': {SasExample}."
                    : "Give it the role 'Storage Blob Data Contributor' at the container: 'az role assignment create'."),
            "AuthorizationFailure" or "AuthorizationSourceIPMismatch" => Denied(
                request,
                $"account {options.Account} does not let {CredentialName} in from here ({code})",
                $"Compare it, and look at the firewall: 'az storage account show --name {options.Account} --query networkRuleSet'."),
            "KeyBasedAuthenticationNotPermitted" => Denied(
                request, $"account {options.Account} takes no keys", "Use 'auth: identity', with an identity that may use the container."),
            "AccountIsDisabled" => Denied(
                request, $"account {options.Account} is switched off", "Look at its subscription in the portal."),
            _ => Denied(
                request,
                $"account {options.Account} does not accept {CredentialName} ({Said(response, code)})",
                options.Credential switch
                {
                    AzureCredential.SharedKey => $"Compare it: 'az storage account keys list --account-name {options.Account}'.",
                    AzureCredential.Sas => $"Make a new one: {SasExample}.",
                    _ => "Look at what it may do: 'az role assignment list --all --assignee' and its id.",
                }),
        };
    }

    string SasExample => $"'az storage container generate-sas --account-name {options.Account} --name {options.Container} "
        + "--permissions rcwdl --expiry' and a day";

    string CredentialName => options.Credential switch
    {
        AzureCredential.SharedKey => "the account key",
        AzureCredential.Sas => "the SAS token",
        _ => "the identity",
    };

    string Host => options.Endpoint.Host;

    string Cannot(AzureRequest request, string why) => $"cannot {request.Verb.Action(request.Key)} at {options.Location}: {why}";

    StorageException Denied(AzureRequest request, string why, string hint) => new(StorageFailure.Denied, Cannot(request, why), hint);

    StorageException Unreachable(AzureRequest request, HttpResponseMessage response, string why, string hint) =>
        new(StorageFailure.Unreachable, Cannot(request, why), hint) { RetryAfter = RetryAfterOf(response) };

    TimeSpan? RetryAfterOf(HttpResponseMessage response)
    {
        var asked = response.Headers.RetryAfter?.Delta ?? response.Headers.RetryAfter?.Date - time.GetUtcNow();
        return asked is not { } delay || delay <= TimeSpan.Zero ? null : delay < RetryAfterMax ? delay : RetryAfterMax;
    }

    static string Said(HttpResponseMessage response, string? code) =>
        string.Create(CultureInfo.InvariantCulture, $"{(int)response.StatusCode}{(code is null ? "" : " ")}{code}");

    static string Innermost(Exception exception)
    {
        var message = exception.GetBaseException().Message.TrimEnd('.');
        return message.Length > 0 ? char.ToLowerInvariant(message[0]) + message[1..] : exception.GetType().Name;
    }
}
