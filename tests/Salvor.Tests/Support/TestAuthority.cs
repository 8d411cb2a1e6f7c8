using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Salvor.Tests.Support;

/// <summary>Somebody who vouches for servers and clients, for as long as a test runs. Its certificate and theirs are PEM files.</summary>
sealed class TestAuthority : IDisposable
{
    readonly RSA key = RSA.Create(2048);
    readonly X509Certificate2 certificate;

    public TestAuthority(string name, string file)
    {
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        var now = TimeProvider.System.GetUtcNow();
        certificate = request.CreateSelfSigned(now.AddDays(-2), now.AddDays(2));
        File.WriteAllText(file, certificate.ExportCertificatePem());
    }

    /// <summary>Makes <c>PATH.crt</c> and <c>PATH.key</c>.</summary>
    /// <param name="path">Where.</param>
    /// <param name="name">Whom they name.</param>
    /// <param name="hash">By what it is signed: the log-in is bound to a hash of the same kind.</param>
    public void Issue(string path, string name, HashAlgorithmName hash)
    {
        using var own = RSA.Create(2048);
        var request = new CertificateRequest($"CN={name}", own, hash, RSASignaturePadding.Pkcs1);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(name);
        request.CertificateExtensions.Add(names.Build());
        var now = TimeProvider.System.GetUtcNow();
        using var issued = request.Create(certificate, now.AddDays(-1), now.AddDays(1), RandomNumberGenerator.GetBytes(8));
        File.WriteAllText($"{path}.crt", issued.ExportCertificatePem());
        File.WriteAllText($"{path}.key", own.ExportPkcs8PrivateKeyPem());
    }

    public void Dispose()
    {
        certificate.Dispose();
        key.Dispose();
    }
}
