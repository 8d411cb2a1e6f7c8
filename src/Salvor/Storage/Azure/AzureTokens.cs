namespace Salvor.Storage;

/// <summary>A token of Entra ID for storage, and until when it is good.</summary>
public sealed record AzureToken(string Text, DateTimeOffset ExpiresAt)
{
    /// <summary>Says nothing of the token.</summary>
    public override string ToString() => $"token until {ExpiresAt:O}";
}

/// <summary>Has a token ready: fetches one when it is first needed, and the next before that ends. Safe for calls from many threads.</summary>
/// <param name="fetch">Asks for a new token.</param>
/// <param name="time">Tells when one ends.</param>
public sealed class AzureTokens(Func<CancellationToken, Task<AzureToken>> fetch, TimeProvider time)
{
    /// <summary>So long before its end a token is replaced.</summary>
    static readonly TimeSpan Margin = TimeSpan.FromMinutes(5);

    readonly SemaphoreSlim turn = new(1);
    volatile AzureToken? current;

    public async Task<string> GetAsync(CancellationToken cancellationToken)
    {
        if (Good is { } ready)
        {
            return ready.Text;
        }

        await turn.WaitAsync(cancellationToken);
        try
        {
            return (Good ?? (current = await fetch(cancellationToken))).Text;
        }
        finally
        {
            turn.Release();
        }
    }

    /// <summary>The service did not take the token: the next call fetches another.</summary>
    public void Forget() => current = null;

    AzureToken? Good => current is { } token && token.ExpiresAt - Margin > time.GetUtcNow() ? token : null;
}
