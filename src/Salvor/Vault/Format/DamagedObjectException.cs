namespace Salvor.Vault.Format;

/// <summary>An object of a vault is not what it claims to be: corrupt, truncated, foreign, swapped or hostile.</summary>
public sealed class DamagedObjectException(string key, string what)
    : SalvorException(
        FailureKind.Integrity,
        $"object {key} is damaged: {what}",
        "Run 'salvor list --from VAULT' for the points that do not need it, or restore from another destination with '--from'.")
{
    /// <summary>The key of the object inside its vault.</summary>
    public string Key { get; } = key;

    /// <summary>What is wrong with it, as a part of a sentence.</summary>
    public string What { get; } = what;

    /// <summary>Whether the object is not there at all. Of a log object it may be that it was superseded after it was listed.</summary>
    public bool IsMissing { get; init; }
}
