namespace Salvor.Storage.S3;

/// <summary>
/// Finds out who we are, in the order of other tools for Amazon's services: what is configured, variables, a token for a role, a profile,
/// the container, the machine. What ends is asked for again before it does.
/// </summary>
/// <param name="configured">What the configuration says; null where it leaves that to the rest.</param>
/// <param name="profile">The profile that the configuration names; then nothing else is asked.</param>
/// <param name="service">Who wants to know: Google's keys are in variables of their own, and nowhere else.</param>
sealed class AwsCredentialChain(
    AwsCredentials? configured, string? profile, string region, AwsEnvironment environment, HttpMessageInvoker local,
    HttpMessageInvoker remote, TimeProvider time, S3Service service = S3Service.Amazon)
{
    Lent<AwsCredentials>? lent;

    Lent<AwsCredentials> Found => LazyInitializer.EnsureInitialized(
        ref lent, () => new Lent<AwsCredentials>(FindAsync, credentials => credentials.Expires, time));

    public ValueTask<AwsCredentials> GetAsync(CancellationToken cancellationToken) =>
        configured is { } known ? ValueTask.FromResult(known) : Found.GetAsync(cancellationToken);

    /// <summary>The service says that these have ended; the next call looks for others.</summary>
    public void Forget(AwsCredentials ended) => Found.Forget(ended);

    async Task<AwsCredentials> FindAsync() =>
        (service == S3Service.Google ? OfGoogle() : await OfAmazonAsync())
        ?? throw (service == S3Service.Google
            ? new StorageException(
                StorageFailure.Denied,
                "there are no keys for Google Cloud Storage",
                "Set GCS_ACCESS_KEY_ID and GCS_SECRET_ACCESS_KEY; 'gcloud storage hmac create SERVICE-ACCOUNT' makes them.")
            : profile is null && environment.Variable("AWS_PROFILE") is null
            ? new StorageException(
                StorageFailure.Denied,
                "there are no credentials for S3",
                "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile of ~/.aws/credentials.")
            : new StorageException(
                StorageFailure.Denied,
                $"profile {environment.NameOf(profile)} has no credentials",
                $"Add aws_access_key_id and aws_secret_access_key to [{environment.NameOf(profile)}] in {environment.CredentialsPath}."));

    async Task<AwsCredentials?> OfAmazonAsync()
    {
        var profiles = new AwsProfiles(environment, region, local, remote, time);
        return profile is null
            ? environment.Credentials("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
                ?? await AwsTokens.OfWebIdentityAsync(environment, region, remote)
                ?? await profiles.FindAsync(environment.NameOf(null))
                ?? await AwsTokens.OfContainerAsync(environment, local)
                ?? await AwsTokens.OfMachineAsync(environment, local)
            : await profiles.FindAsync(profile);
    }

    /// <summary>Many keep Google's keys in the variables that tools for S3 read; they are told by how they begin.</summary>
    AwsCredentials? OfGoogle() =>
        environment.Credentials("GCS_ACCESS_KEY_ID", "GCS_SECRET_ACCESS_KEY", null)
        ?? (environment.Variable("AWS_ACCESS_KEY_ID")?.StartsWith("GOOG", StringComparison.Ordinal) == true
            ? environment.Credentials("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", null)
            : null);
}
