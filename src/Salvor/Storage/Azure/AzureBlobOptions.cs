namespace Salvor.Storage;

/// <summary>Which container of which storage account, and how to be let in.</summary>
public sealed record AzureBlobOptions
{
    /// <summary>The name of the storage account.</summary>
    public required string Account { get; init; }

    public required string Container { get; init; }

    /// <summary>What the names of all blobs start with, without a slash at either end; empty for none.</summary>
    public string Prefix { get; init; } = "";

    /// <summary>
    /// Where the account's blobs are, without the container. With a path where one host serves several accounts, as the emulator does.
    /// </summary>
    public required Uri Endpoint { get; init; }

    public required AzureCredential Credential { get; init; }

    /// <summary>Where the blobs of an account of the public cloud are.</summary>
    public static Uri PublicEndpoint(string account) => new($"https://{account}.blob.core.windows.net");

    /// <summary>What messages call the place: the URL with which it can be opened again. No secrets.</summary>
    public required string Location { get; init; }
}

/// <summary>How a storage account lets us in. Not a record: what prints a record would print the secret.</summary>
public abstract class AzureCredential
{
    /// <summary>One of the two keys of the account, which may do everything there.</summary>
    public sealed class SharedKey(byte[] key) : AzureCredential
    {
        public byte[] Key { get; } = key;
    }

    /// <summary>A shared access signature: the query of a URL that allows some verbs for some time.</summary>
    public sealed class Sas : AzureCredential
    {
        /// <param name="token">With or without the question mark in front.</param>
        public Sas(string token)
        {
            Token = token.TrimStart('?');
            var expiry = Token.Split('&').FirstOrDefault(part => part.StartsWith("se=", StringComparison.Ordinal));
            ExpiresAt = expiry is not null
                && DateTimeOffset.TryParse(
                    Uri.UnescapeDataString(expiry[3..]), System.Globalization.CultureInfo.InvariantCulture,
                    System.Globalization.DateTimeStyles.AssumeUniversal, out var at) ? at : null;
        }

        public string Token { get; }

        /// <summary>When it ends; null where a policy at the container says so.</summary>
        public DateTimeOffset? ExpiresAt { get; }
    }

    /// <summary>An identity of Entra ID: of the machine, of a workload, or of whoever is logged in.</summary>
    public sealed class Identity(AzureTokens tokens) : AzureCredential
    {
        public AzureTokens Tokens { get; } = tokens;
    }
}
