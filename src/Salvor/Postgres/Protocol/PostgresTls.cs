using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Salvor.Postgres.Protocol;

/// <summary>Asks a server for encryption, and checks whose it is.</summary>
static class PostgresTls
{
    const int RequestCode = 80877103;

    /// <summary>
    /// The encrypted stream; null where the server offers no encryption. Exactly one byte is read before it begins: what somebody on the
    /// way put behind it would be taken for the start of the encryption, which fails.
    /// </summary>
    public static async Task<SslStream?> TryEncryptAsync(
        Stream stream, PostgresHost host, PostgresSettings settings, CancellationToken cancellationToken)
    {
        var request = new byte[8];
        BinaryPrimitives.WriteInt32BigEndian(request, request.Length);
        BinaryPrimitives.WriteInt32BigEndian(request.AsSpan(4), RequestCode);
        var answer = new byte[1];
        try
        {
            await stream.WriteAsync(request, cancellationToken);
            await stream.ReadExactlyAsync(answer, cancellationToken);
        }
        catch (IOException e)
        {
            throw PostgresErrors.Lost($"{host}", e is EndOfStreamException ? "the server closed it" : e.Message, e);
        }

        return answer[0] switch
        {
            (byte)'S' => await EncryptAsync(stream, host, settings, cancellationToken),
            (byte)'N' => null,
            _ => throw PostgresErrors.Garbled($"{host}", $"it answers a request for encryption by byte {answer[0]}"),
        };
    }

    /// <summary>The hash that the log-in is bound to (RFC 5929); null where there is none for this certificate.</summary>
    public static byte[]? EndPointOf(X509Certificate2 certificate) => certificate.SignatureAlgorithm.Value switch
    {
        // MD5 and SHA-1, which the rule replaces by SHA-256, and SHA-256 itself; with RSA, and on elliptic curves.
        "1.2.840.113549.1.1.4" or "1.2.840.113549.1.1.5" or "1.2.840.10045.4.1"
            or "1.2.840.113549.1.1.11" or "1.2.840.10045.4.3.2" => SHA256.HashData(certificate.RawData),
        "1.2.840.113549.1.1.12" or "1.2.840.10045.4.3.3" => SHA384.HashData(certificate.RawData),
        "1.2.840.113549.1.1.13" or "1.2.840.10045.4.3.4" => SHA512.HashData(certificate.RawData),
        _ => null,
    };

    static async Task<SslStream> EncryptAsync(
        Stream stream, PostgresHost host, PostgresSettings settings, CancellationToken cancellationToken)
    {
        var check = new ServerCheck(host, settings);
        var encrypted = new SslStream(stream, leaveInnerStreamOpen: false);
        var options = new SslClientAuthenticationOptions
        {
            TargetHost = host.Name.Length > 0 ? host.Name : host.Address,
            ApplicationProtocols = [new SslApplicationProtocol("postgresql")],
            RemoteCertificateValidationCallback = check.Accepts,
            CertificateChainPolicy = check.Policy,
            ClientCertificates = ClientCertificate(settings),
        };
        try
        {
            await encrypted.AuthenticateAsClientAsync(options, cancellationToken);
            return encrypted;
        }
        catch (Exception e)
        {
            await encrypted.DisposeAsync();
            throw e is AuthenticationException or IOException ? check.Explain(e) : e;
        }
    }

    static X509CertificateCollection? ClientCertificate(PostgresSettings settings)
    {
        if (settings.SslCertificateFile is not { } file)
        {
            return null;
        }

        try
        {
            return
            [
                settings.SslPassword is { } password
                    ? X509Certificate2.CreateFromEncryptedPemFile(file, password.Value, settings.SslKeyFile)
                    : X509Certificate2.CreateFromPemFile(file, settings.SslKeyFile),
            ];
        }
        catch (Exception e) when (e is CryptographicException or IOException or UnauthorizedAccessException)
        {
            throw PostgresSettings.Wrong(
                $"certificate {file} with key {settings.SslKeyFile} cannot be used: {e.Message}",
                "Both are PEM files, set by sslcert and sslkey; sslpassword opens a key that has one.");
        }
    }

    /// <summary>Judges the certificate of a server by the mode, and remembers what was wrong.</summary>
    sealed class ServerCheck(PostgresHost host, PostgresSettings settings)
    {
        string? wrong;

        bool Checks => settings.SslMode >= SslMode.VerifyCa;

        /// <summary>Null for the system's.</summary>
        public X509ChainPolicy? Policy { get; } =
            settings.SslMode < SslMode.VerifyCa || settings.SslRootFile == "system" ? null : PolicyOf(settings);

        [SuppressMessage("Security", "CA5359", Justification = "Modes below verify-ca ask for encryption alone, and are documented so.")]
        public bool Accepts(object sender, X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors)
        {
            if (!Checks)
            {
                return true;
            }

            if (errors.HasFlag(SslPolicyErrors.RemoteCertificateChainErrors))
            {
                var reasons = chain?.ChainStatus.Select(status => status.StatusInformation.Trim()).Distinct() ?? [];
                wrong = $"nobody in {Roots} vouches for its certificate: {string.Join("; ", reasons)}";
            }
            else if (errors.HasFlag(SslPolicyErrors.RemoteCertificateNameMismatch) && settings.SslMode == SslMode.VerifyFull)
            {
                var names = certificate is X509Certificate2 known
                    ? string.Join(", ", known.Extensions.OfType<X509SubjectAlternativeNameExtension>().SelectMany(NamesOf))
                    : "";
                wrong = $"its certificate is for {(names.Length > 0 ? names : certificate?.Subject)}";
            }
            else if (errors.HasFlag(SslPolicyErrors.RemoteCertificateNotAvailable))
            {
                wrong = "it has no certificate";
            }

            return wrong is null;
        }

        public PostgresException Explain(Exception e) => wrong is null
            ? PostgresErrors.Refused(
                $"the encryption with server {host} cannot be set up: {e.Message}",
                "Look at the server's log: it may want a certificate of the client (sslcert, sslkey), or another version of TLS.", e)
            : PostgresErrors.Refused(
                $"server {host} is not proved to be the one that is meant: {wrong}",
                wrong.StartsWith("nobody", StringComparison.Ordinal)
                    ? "Give the certificate of its authority by sslrootcert=FILE; sslmode=require encrypts without knowing to whom."
                    : "Use a name of the certificate as host (hostaddr= has the address then), or sslmode=verify-ca, which asks for none.",
                e);

        static IEnumerable<string> NamesOf(X509SubjectAlternativeNameExtension names) =>
            names.EnumerateDnsNames().Concat(names.EnumerateIPAddresses().Select(address => $"{address}"));

        string Roots => settings.SslRootFile == "system" ? "the system's store" : settings.SslRootFile!;

        static X509ChainPolicy PolicyOf(PostgresSettings settings)
        {
            var policy = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck,
            };
            try
            {
                policy.CustomTrustStore.ImportFromPemFile(settings.SslRootFile ?? "");
            }
            catch (Exception e) when (e is CryptographicException or IOException or UnauthorizedAccessException or ArgumentException)
            {
                throw NoRoots(settings.SslRootFile, e.Message);
            }

            return policy.CustomTrustStore.Count > 0 ? policy : throw NoRoots(settings.SslRootFile, "it has no certificate");
        }

        static SalvorException NoRoots(string? file, string why) => PostgresSettings.Wrong(
            file is null
                ? "the server is to be verified, and no file says who may vouch for it"
                : $"the certificates in {file} cannot be read: {why}",
            "Give a PEM file by sslrootcert=FILE or in ~/.postgresql/root.crt, or sslrootcert=system for the authorities of the system.");
    }
}
