namespace Salvor.Storage;

/// <summary>What a request does: how messages call it, and what a credential needs for it.</summary>
/// <param name="Name">What it is called where permissions are spoken of: "may not <c>list</c>".</param>
/// <param name="Permission">The letter of it in a shared access signature.</param>
sealed record AzureVerb(string Name, char Permission)
{
    public static readonly AzureVerb Create = new("create", 'c');
    public static readonly AzureVerb Read = new("read", 'r');
    public static readonly AzureVerb Size = new("read", 'r');
    public static readonly AzureVerb List = new("list", 'l');
    public static readonly AzureVerb Replace = new("write", 'w');
    public static readonly AzureVerb Delete = new("delete", 'd');

    /// <summary>What was tried, for a message: "write app/vault".</summary>
    public string Action(string key) =>
        this == Create ? $"write {key}"
        : this == Replace ? $"replace {key}"
        : this == List ? key.Length > 0 ? $"list {key}" : "list what is"
        : $"{Name} {key}";
}
