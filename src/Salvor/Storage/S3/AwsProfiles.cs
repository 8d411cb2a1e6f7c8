using System.ComponentModel;
using System.Diagnostics;

namespace Salvor.Storage.S3;

/// <summary>Credentials of a section of <c>~/.aws/credentials</c> or <c>config</c>: keys, a command that prints some, or a role.</summary>
sealed class AwsProfiles(AwsEnvironment environment, string region, HttpMessageInvoker local, HttpMessageInvoker remote, TimeProvider time)
{
    static readonly TimeSpan ProcessMax = TimeSpan.FromMinutes(1);

    /// <summary>What a profile may say of a sign-on that a person does in a browser.</summary>
    static readonly string[] SingleSignOn = ["sso_session", "sso_start_url"];

    /// <summary>Null where the profile has nothing to sign with.</summary>
    public Task<AwsCredentials?> FindAsync(string name) => FindAsync(name, []);

    async Task<AwsCredentials?> FindAsync(string name, IReadOnlyList<string> askedFor)
    {
        var settings = environment.Profile(name);

        // A profile that names itself as the source of its role means its own keys.
        var isOwnSource = askedFor.Contains(name);
        if (settings.TryGetValue("role_arn", out var role) && !isOwnSource)
        {
            return await OfRoleAsync(name, role, settings, [.. askedFor, name]);
        }

        if (settings.TryGetValue("aws_access_key_id", out var id) && settings.TryGetValue("aws_secret_access_key", out var secret))
        {
            return new AwsCredentials(id, secret, settings.GetValueOrDefault("aws_session_token"), $"profile {name}");
        }

        if (settings.TryGetValue("credential_process", out var command))
        {
            return await RunAsync(name, command);
        }

        if (settings.Keys.FirstOrDefault(SingleSignOn.Contains) is { } foreign)
        {
            throw new StorageException(
                StorageFailure.Denied,
                $"profile {name} has {foreign}, which needs Amazon's own tool",
                $"Run 'aws sso login --profile {name}', and name a profile with "
                    + $"'credential_process = aws configure export-credentials --profile {name} --format process' instead.");
        }

        return null;
    }

    async Task<AwsCredentials> OfRoleAsync(
        string name, string role, IReadOnlyDictionary<string, string> settings, IReadOnlyList<string> askedFor)
    {
        if (settings.ContainsKey("mfa_serial"))
        {
            throw Unusable(name, "has mfa_serial, and nobody is here to read a code", "Let a role be used without one for backups.");
        }

        if (settings.TryGetValue("web_identity_token_file", out var file))
        {
            return await AwsRoles.OfTokenAsync(
                file, role, settings.GetValueOrDefault("role_session_name"), $"profile {name}", environment, region, remote);
        }

        var source = settings.TryGetValue("source_profile", out var other) ? await FindAsync(other, askedFor)
            : settings.TryGetValue("credential_source", out var place) ? await OfPlaceAsync(name, place)
            : throw Unusable(
                name, "has role_arn and does not say who may take that role",
                "Add source_profile = NAME, or credential_source = Environment, Ec2InstanceMetadata or EcsContainer.");
        return source is null
            ? throw Unusable(
                name, $"has role_arn, and its source {other ?? settings["credential_source"]} has no credentials",
                $"Give it some: 'aws configure --profile {other ?? "NAME"}'.")
            : await AwsRoles.OfProfileAsync(name, settings, source, environment, region, remote, time.GetUtcNow());
    }

    Task<AwsCredentials?> OfPlaceAsync(string name, string place) => place switch
    {
        "Environment" => Task.FromResult(environment.Credentials("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")),
        "Ec2InstanceMetadata" => AwsTokens.OfMachineAsync(environment, local),
        "EcsContainer" => AwsTokens.OfContainerAsync(environment, local),
        _ => throw Unusable(
            name, $"has credential_source = {place}, which is none", "Known are Environment, Ec2InstanceMetadata and EcsContainer."),
    };

    static StorageException Unusable(string name, string why, string hint) => new(StorageFailure.Denied, $"profile {name} {why}", hint);

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
