using Salvor.Files;

namespace Salvor.Jobs.Config;

/// <summary>Whom restored files belong to and what permissions they get, where the command line says nothing else.</summary>
public sealed record RestoreProfile
{
    /// <summary>The user and group that all is given to, as <c>--chown</c> takes them; null where owners stay.</summary>
    public string? Chown { get; init; }

    /// <summary>By what owners are found again.</summary>
    public OwnerBy OwnerBy { get; init; }

    /// <summary>The file that says whom owners become, absolute; null where there is none.</summary>
    public string? OwnerMap { get; init; }

    /// <summary>Permissions, as <c>--chmod</c> takes them; null where they stay.</summary>
    public string? Chmod { get; init; }
}
