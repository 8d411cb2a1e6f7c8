using System.ComponentModel;
using System.Diagnostics;

namespace Salvor.Storage.S3;

/// <summary>
/// Finds out who we are, in the order of other tools for Amazon's services: what is configured, variables, a token for a role, a profile,
/// the container, the machine. What ends is asked for again before it does.
/// </summary>
/// <param name="configured">What the configuration says; null where it leaves that to the rest.</param>
/// <param name="profile">The profile that the configuration names; then nothing else is asked.</param>
sealed class AwsCredentialChain(
    AwsCredentials? configured, string? profile, string region, AwsEnvironment environment, HttpMessageInvoker local,
    HttpMessageInvoker remote, TimeProvider time)
{
    static readonly TimeSpan AheadOfEnd = TimeSpan.FromMinutes(5);
    static readonly TimeSpan ProcessMax = TimeSpan.FromMinutes(1);

    readonly Lock gate = new();
    AwsCredentials? current;
    Task<AwsCredentials>? search;

    /// <summary>All who ask at the same time wait for one search, which goes on when one of them leaves.</summary>
    public async ValueTask<AwsCredentials> GetAsync(CancellationToken cancellationToken)
    {
        Task<AwsCredentials> found;
        lock (gate)
        {
            if ((configured ?? current) is { } known && IsFresh(known))
            {
                return known;
            }

            found = search = search is { IsCompleted: false } ? search : Task.Run(FindAsync, CancellationToken.None);
        }

        return await found.WaitAsync(cancellationToken);
    }

    /// <summary>The service says that these have ended; the next call looks for others.</summary>
    public void Forget(AwsCredentials ended)
    {
        lock (gate)
        {
            current = ReferenceEquals(current, ended) ? null : current;
        }
    }

    bool IsFresh(AwsCredentials credentials) => credentials.Expires is not { } end || time.GetUtcNow() < end - AheadOfEnd;

    async Task<AwsCredentials> FindAsync()
    {
        var found = profile is null
            ? OfVariables()
                ?? await AwsTokens.OfWebIdentityAsync(environment, region, remote)
                ?? await OfProfileAsync(environment.NameOf(null))
                ?? await AwsTokens.OfContainerAsync(environment, local)
                ?? await AwsTokens.OfMachineAsync(environment, local)
            : await OfProfileAsync(profile);
        if (found is not null)
        {
            lock (gate)
            {
                return current = found;
            }
        }

        throw profile is null && environment.Variable("AWS_PROFILE") is null
            ? new StorageException(
                StorageFailure.Denied,
                "there are no credentials for S3",
                "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile of ~/.aws/credentials.")
            : new StorageException(
                StorageFailure.Denied,
                $"profile {environment.NameOf(profile)} has no credentials",
                $"Add aws_access_key_id and aws_secret_access_key to [{environment.NameOf(profile)}] in {environment.CredentialsPath}.");
    }

    AwsCredentials? OfVariables()
    {
        var id = environment.Variable("AWS_ACCESS_KEY_ID");
        var secret = environment.Variable("AWS_SECRET_ACCESS_KEY");
        if (id is null && secret is null)
        {
            return null;
        }

        if (id is null || secret is null)
        {
            throw new StorageException(
                StorageFailure.Denied,
                $"variable {(id is null ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID")} is set, and "
                    + $"{(id is null ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY")} is not",
                "Set both or none.");
        }

        return new AwsCredentials(id, secret, environment.Variable("AWS_SESSION_TOKEN"), "variable AWS_ACCESS_KEY_ID");
    }

    async Task<AwsCredentials?> OfProfileAsync(string name)
    {
        var settings = environment.Profile(name);
        if (settings.TryGetValue("aws_access_key_id", out var id) && settings.TryGetValue("aws_secret_access_key", out var secret))
        {
            return new AwsCredentials(id, secret, settings.GetValueOrDefault("aws_session_token"), $"profile {name}");
        }

        if (settings.TryGetValue("credential_process", out var command))
        {
            return await RunAsync(name, command);
        }

        if (settings.Keys.FirstOrDefault(key => key is "role_arn" or "sso_session" or "sso_start_url") is { } foreign)
        {
            throw new StorageException(
                StorageFailure.Denied,
                $"profile {name} has {foreign}, which needs Amazon's own tool",
                "Name a profile with "
                    + $"'credential_process = aws configure export-credentials --profile {name} --format process' instead.");
        }

        return null;
    }

    static async Task<AwsCredentials> RunAsync(string profile, string command)
    {
        using var deadline = new CancellationTokenSource(ProcessMax);
        var reason = "it did not print credentials";
        try
        {
            using var process = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", command])
            {
                RedirectStandardOutput = true,
                RedirectStandardInput = true,
            })!;
            process.StandardInput.Close();
            try
            {
                var text = await process.StandardOutput.ReadToEndAsync(deadline.Token);
                await process.WaitForExitAsync(deadline.Token);
                reason = process.ExitCode == 0 ? reason : $"it ended with {process.ExitCode}";
                if (process.ExitCode == 0 && AwsTokens.Parse(text, $"profile {profile}") is { } found)
                {
                    return found;
                }
            }
            finally
            {
                if (!process.HasExited)
                {
                    process.Kill(entireProcessTree: true);
                }
            }
        }
        catch (OperationCanceledException)
        {
            reason = $"it did not end within {ProcessMax.TotalSeconds:0} s";
        }
        catch (Win32Exception e)
        {
            reason = e.Message;
        }

        throw new StorageException(
            StorageFailure.Denied,
            $"the credential_process of profile {profile} failed: {reason}",
            "Run the command of that line by hand: it must print one JSON document with AccessKeyId and SecretAccessKey.");
    }
}
