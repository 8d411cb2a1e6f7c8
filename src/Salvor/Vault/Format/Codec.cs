namespace Salvor.Vault.Format;

/// <summary>How a frame's content is stored. The value is part of the format; docs/format.md says what each is to the byte.</summary>
public enum Codec : byte
{
    None = 0,
    Zstd = 1,
    Lz4 = 2,
    Gzip = 3,
}
