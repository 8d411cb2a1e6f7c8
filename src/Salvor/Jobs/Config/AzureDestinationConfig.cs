using Salvor.Storage;

namespace Salvor.Jobs.Config;

/// <summary>How a storage account lets us in.</summary>
public enum AzureAuth
{
    /// <summary>By one of its keys.</summary>
    Key,

    /// <summary>By a shared access signature.</summary>
    Sas,

    /// <summary>By an identity of Entra ID that the environment has.</summary>
    Identity,
}

/// <summary>A container of Azure Blob Storage, or what is below a prefix in it.</summary>
public sealed record AzureDestinationConfig : DestinationConfig
{
    public required string Account { get; init; }

    public required string Container { get; init; }

    /// <summary>Without a slash at either end; empty for the whole container.</summary>
    public string Prefix { get; init; } = "";

    /// <summary>Where the account's blobs are.</summary>
    public required Uri Endpoint { get; init; }

    public required AzureAuth Auth { get; init; }

    /// <summary>The key in base 64, or the signature; null for an identity.</summary>
    public SecretText? Secret { get; init; }

    /// <summary>Whether plain http to another machine is wanted.</summary>
    public bool AllowInsecure { get; init; }

    public override string Location
    {
        get
        {
            var path = Prefix.Length > 0 ? $"{Container}/{Prefix}" : Container;
            var endpoint = Endpoint == AzureBlobOptions.PublicEndpoint(Account) ? "" : $"&endpoint={Endpoint.AbsoluteUri.TrimEnd('/')}";
            return $"azure://{path}?account={Account}{endpoint}{(AllowInsecure ? "&allow_insecure=true" : "")}";
        }
    }

    public override string? InsecureHost() => Endpoint.Scheme == Uri.UriSchemeHttp && !Endpoint.IsLoopback ? Endpoint.Authority : null;

    public override DestinationConfig? ParentOf(string folder) =>
        Prefix == folder ? this with { Prefix = "" }
        : Prefix.EndsWith("/" + folder, StringComparison.Ordinal) ? this with { Prefix = Prefix[..^(folder.Length + 1)] }
        : null;

    /// <summary>What the store is opened with.</summary>
    public AzureBlobOptions ToOptions(TimeProvider time, Func<string, string?> environment) => new()
    {
        Account = Account,
        Container = Container,
        Prefix = Prefix,
        Endpoint = Endpoint,
        Location = Location,
        Credential = Auth switch
        {
            AzureAuth.Key => new AzureCredential.SharedKey(Convert.FromBase64String(Secret!.Value)),
            AzureAuth.Sas => new AzureCredential.Sas(Secret!.Value),
            _ => new AzureCredential.Identity(AzureIdentity.TokensOf(environment, time)),
        },
    };
}
