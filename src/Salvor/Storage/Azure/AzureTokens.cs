namespace Salvor.Storage;

/// <summary>A token of Entra ID for storage, and until when it is good.</summary>
public sealed record AzureToken(string Text, DateTimeOffset ExpiresAt)
{
    /// <summary>Says nothing of the token.</summary>
    public override string ToString() => $"token until {ExpiresAt:O}";
}

/// <summary>Has a token ready: fetches one when it is first needed, and the next before that ends. Safe for many threads.</summary>
/// <param name="fetch">Asks for a new token, within a time of its own.</param>
/// <param name="time">Tells when one ends.</param>
public sealed class AzureTokens(Func<Task<AzureToken>> fetch, TimeProvider time)
{
    readonly Lent<AzureToken> lent = new(fetch, token => token.ExpiresAt, time);

    public async Task<string> GetAsync(CancellationToken cancellationToken) => (await lent.GetAsync(cancellationToken)).Text;

    /// <summary>The service did not take the token: the next call fetches another.</summary>
    public void Forget() => lent.Forget();
}
