using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Salvor.Postgres.Protocol;

/// <summary>
/// The client of SCRAM-SHA-256 (RFC 5802, RFC 7677): the password never goes over the wire, and the server proves that it knows it too.
/// </summary>
/// <param name="password">The password.</param>
/// <param name="bindingFlag">The head of the exchange: <c>n,,</c>, <c>y,,</c> or <c>p=tls-server-end-point,,</c>.</param>
/// <param name="binding">What the exchange is bound to; empty without.</param>
/// <param name="nonce">Printable, without commas, and never used before.</param>
/// <param name="place">The server, for messages.</param>
sealed class Scram(string password, string bindingFlag, byte[] binding, string nonce, string place)
{
    public const string Plain = "SCRAM-SHA-256";
    public const string Bound = "SCRAM-SHA-256-PLUS";

    /// <summary>The usual number is 4096. A server that asks for far more wants to keep us busy.</summary>
    const int IterationsMax = 1_000_000;

    byte[]? serverSignature;

    /// <summary>The server knows who it is from the start of the connection.</summary>
    string FirstBare => $"n=,r={nonce}";

    public byte[] First() => Encoding.ASCII.GetBytes(bindingFlag + FirstBare);

    /// <summary>The proof that we know the password, for what the server answered first.</summary>
    public byte[] Final(ReadOnlySpan<byte> serverFirst)
    {
        var text = Encoding.ASCII.GetString(serverFirst);
        var fields = text.Split(',');
        if (fields is not [['r', '=', .. var joint], ['s', '=', .. var salt], ['i', '=', .. var count], ..]
            || !joint.StartsWith(nonce, StringComparison.Ordinal) || joint.Length == nonce.Length
            || !int.TryParse(count, NumberStyles.None, CultureInfo.InvariantCulture, out var iterations)
            || iterations is < 1 or > IterationsMax
            || !TryDecode(salt, out var saltBytes))
        {
            throw PostgresErrors.Garbled(place, "its part of the log-in is none");
        }

        var salted = Rfc2898DeriveBytes.Pbkdf2(
            SaslPrep.Prepare(password), saltBytes, iterations, HashAlgorithmName.SHA256, SHA256.HashSizeInBytes);
        var clientKey = HMACSHA256.HashData(salted, "Client Key"u8);
        var channel = Convert.ToBase64String([.. Encoding.ASCII.GetBytes(bindingFlag), .. binding]);
        var withoutProof = $"c={channel},r={joint}";
        var message = Encoding.ASCII.GetBytes($"{FirstBare},{text},{withoutProof}");
        serverSignature = HMACSHA256.HashData(HMACSHA256.HashData(salted, "Server Key"u8), message);
        var proof = HMACSHA256.HashData(SHA256.HashData(clientKey), message);
        for (var i = 0; i < proof.Length; i++)
        {
            proof[i] ^= clientKey[i];
        }

        return Encoding.ASCII.GetBytes($"{withoutProof},p={Convert.ToBase64String(proof)}");
    }

    /// <summary>Whether the server proved that it knows the password too.</summary>
    public bool Proves(ReadOnlySpan<byte> serverFinal)
    {
        var text = Encoding.ASCII.GetString(serverFinal).Split(',')[0];
        return serverSignature is not null && text is ['v', '=', .. var signature] && TryDecode(signature, out var bytes)
            && CryptographicOperations.FixedTimeEquals(bytes, serverSignature);
    }

    static bool TryDecode(string text, out byte[] bytes)
    {
        bytes = new byte[text.Length];
        var valid = Convert.TryFromBase64String(text, bytes, out var length);
        Array.Resize(ref bytes, length);
        return valid && length > 0;
    }
}
