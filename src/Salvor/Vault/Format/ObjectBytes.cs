namespace Salvor.Vault.Format;

/// <summary>Whole objects as bytes, for those who copy them without looking inside.</summary>
static class ObjectBytes
{
    const int EndMarkBytes = 8;
    const int HashedUpTo = Hash256.SizeBytes + EndMarkBytes;

    /// <summary>The hash in the footer, where it is that of the bytes before it; otherwise null.</summary>
    public static Hash256? FooterHash(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < ObjectHeader.SizeBytes + ObjectWriter.FooterBytes || !bytes.EndsWith(ObjectWriter.EndMark))
        {
            return null;
        }

        var hash = new Hash256(bytes.Slice(bytes.Length - HashedUpTo, Hash256.SizeBytes));
        return Hash256.Of(bytes[..^HashedUpTo]) == hash ? hash : null;
    }

    /// <summary>The vault that whole bytes belong to; null where they are not whole.</summary>
    public static Guid? VaultOf(string key, ReadOnlySpan<byte> bytes) =>
        FooterHash(bytes) is null ? null : ObjectHeader.Read(key, bytes).VaultId;
}
