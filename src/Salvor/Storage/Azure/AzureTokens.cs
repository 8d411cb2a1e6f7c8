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
    /// <summary>So long before its end a token is replaced.</summary>
    static readonly TimeSpan Margin = TimeSpan.FromMinutes(5);

    readonly Lock gate = new();

    /// <summary>The last one that was asked for, by whom all wait who come meanwhile.</summary>
    Task<AzureToken>? last;

    public async Task<string> GetAsync(CancellationToken cancellationToken) =>
        (await Last().WaitAsync(cancellationToken)).Text;

    /// <summary>The service did not take the token: the next call fetches another.</summary>
    public void Forget()
    {
        lock (gate)
        {
            last = null;
        }
    }

    Task<AzureToken> Last()
    {
        lock (gate)
        {
            var isOver = last is null or { IsCanceled: true } or { IsFaulted: true }
                || (last.IsCompletedSuccessfully && last.Result.ExpiresAt - Margin <= time.GetUtcNow());
            return isOver ? last = fetch() : last!;
        }
    }
}
