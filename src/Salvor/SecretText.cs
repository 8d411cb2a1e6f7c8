namespace Salvor;

/// <summary>A text that is never printed, also not as part of something else.</summary>
public sealed record SecretText(string Value)
{
    public override string ToString() => "(secret)";
}
