using Salvor.Platform;
using Salvor.Vault.Trees;

namespace Salvor.Files;

/// <summary>By what owners are found again.</summary>
public enum OwnerBy
{
    /// <summary>By the name, and by the number where this machine does not know the name.</summary>
    Name,

    /// <summary>By the number alone.</summary>
    Number,
}

/// <summary>What becomes of one owner.</summary>
/// <param name="IsGroup">Whether it is a group.</param>
/// <param name="Name">What it was called; empty where it had no name.</param>
/// <param name="Number">Its number there.</param>
/// <param name="Becomes">Its number here.</param>
/// <param name="IsConflict">Whether the name is unknown here, or its number stands for another name.</param>
public sealed record OwnerMapping(bool IsGroup, string Name, uint Number, uint Becomes, bool IsConflict);

/// <summary>Finds the owners of restored files on this machine, and remembers what became of each.</summary>
public sealed class Ownership
{
    readonly OwnerBy by;
    readonly uint? user;
    readonly uint? group;
    readonly Dictionary<(bool IsGroup, string Name, uint Number), OwnerMapping> known = [];

    /// <param name="by">How owners are found.</param>
    /// <param name="user">The one user that gets everything; null where each keeps its own.</param>
    /// <param name="group">The same for the group.</param>
    public Ownership(OwnerBy by, uint? user, uint? group) => (this.by, this.user, this.group) = (by, user, group);

    /// <summary>
    /// From <c>USER</c>, <c>USER:GROUP</c> or <c>:GROUP</c>, names or numbers. Throws <see cref="FailureKind.Usage"/> for one that is not
    /// known here.
    /// </summary>
    public static Ownership Parse(OwnerBy by, string? chown, OwnerMap map)
    {
        if (chown is null)
        {
            return new Ownership(by, null, null) { Map = map };
        }

        var parts = chown.Split(':', 2);
        uint? user = parts[0].Length == 0 ? null : UserOf(parts[0]);
        uint? group = parts.Length == 1 ? (Accounts.Find(parts[0])?.Group ?? user) : parts[1].Length == 0 ? null : GroupOf(parts[1]);
        return user is null && group is null
            ? throw new SalvorException(FailureKind.Usage, "'--chown' names nobody", "Write it as USER, USER:GROUP or :GROUP.")
            : new Ownership(by, user, group) { Map = map };
    }

    /// <summary>Who becomes somebody else, whatever else is said of finding them.</summary>
    public OwnerMap Map { get; init; } = OwnerMap.None;

    /// <summary>What became of each owner, in the order in which they were met.</summary>
    public IReadOnlyCollection<OwnerMapping> Mappings => known.Values;

    /// <summary>The owner and group of an entry here.</summary>
    public (uint User, uint Group) Of(TreeEntry entry) => (
        user ?? Become(false, entry.User, entry.UserId).Becomes, group ?? Become(true, entry.Group, entry.GroupId).Becomes);

    /// <summary>Whether user and group are those that the entry belonged to, as far as this machine knows them.</summary>
    internal (bool User, bool Group) Keeps(TreeEntry entry)
    {
        var becomes = Of(entry);
        return (
            Seek(false, entry.User, entry.UserId) is { IsConflict: false } same && same.Becomes == becomes.User,
            Seek(true, entry.Group, entry.GroupId) is { IsConflict: false } alike && alike.Becomes == becomes.Group);
    }

    OwnerMapping Become(bool isGroup, string name, uint number)
    {
        var key = (isGroup, name, number);
        return known.TryGetValue(key, out var mapping) ? mapping : known[key] = Find(isGroup, name, number);
    }

    OwnerMapping Find(bool isGroup, string name, uint number)
    {
        if (Map.Find(isGroup, name, number) is { } mapped)
        {
            return new OwnerMapping(isGroup, name, number, mapped, IsConflict: false);
        }

        return Seek(isGroup, name, number);
    }

    OwnerMapping Seek(bool isGroup, string name, uint number)
    {
        var named = name.Length == 0 ? null : isGroup ? Accounts.FindGroup(name) : Accounts.Find(name)?.User;
        var here = isGroup ? Accounts.FindGroupName(number) : Accounts.FindUserName(number);
        return by == OwnerBy.Name && named is { } found
            ? new OwnerMapping(isGroup, name, number, found, IsConflict: false)
            : new OwnerMapping(isGroup, name, number, number, IsConflict: name.Length > 0 && name != here);
    }

    internal static uint UserOf(string text) => Accounts.Find(text)?.User
        ?? (uint.TryParse(text, System.Globalization.CultureInfo.InvariantCulture, out var number) ? number : throw Unknown("user", text));

    internal static uint GroupOf(string text) => Accounts.FindGroup(text)
        ?? (uint.TryParse(text, System.Globalization.CultureInfo.InvariantCulture, out var number) ? number : throw Unknown("group", text));

    static SalvorException Unknown(string what, string name) => new(
        FailureKind.Usage, $"this machine has no {what} '{name}'",
        $"'getent {(what == "user" ? "passwd" : "group")}' lists those that it has.");
}
