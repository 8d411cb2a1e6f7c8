using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;

namespace Salvor.Tests.Support;

/// <summary>A real mail server with three ports, and a certificate for <c>localhost</c> that nobody else vouches for.</summary>
public sealed class MailServer : IAsyncLifetime
{
    readonly ScratchDirectory scratch = new();
    ChildProcess? process;

    public const string User = "salvor";
    public const string Password = "right secret";

    /// <summary>Where STARTTLS and a log-in are required.</summary>
    public int StartTlsPort { get; private set; }

    /// <summary>Encrypted from the start.</summary>
    public int TlsPort { get; private set; }

    /// <summary>In clear, for everybody.</summary>
    public int PlainPort { get; private set; }

    public string CertificateFile => scratch["certificate.pem"];

    public async ValueTask InitializeAsync()
    {
        using var key = RSA.Create(2048);
        var request = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("localhost");
        request.CertificateExtensions.Add(names.Build());
        var now = TimeProvider.System.GetUtcNow();
        using var certificate = request.CreateSelfSigned(now.AddDays(-1), now.AddDays(1));
        await File.WriteAllTextAsync(CertificateFile, certificate.ExportCertificatePem());
        await File.WriteAllTextAsync(scratch["key.pem"], key.ExportPkcs8PrivateKeyPem());

        // The system's own, which has the module of Debian's package.
        process = ChildProcess.Start("/usr/bin/python3", [Tool.PathOf("mail.py"), CertificateFile, scratch["key.pem"]]);
        await Eventually.HoldsAsync(() => process.Stdout.Contains('\n'), () => process.Stderr, Eventually.StartMax);
        int[] ports = [.. process.Stdout.Split('\n')[0].Split(' ').Select(int.Parse)];
        (StartTlsPort, TlsPort, PlainPort) = (ports[0], ports[1], ports[2]);
    }

    /// <summary>The mail with a subject that contains a text, when it has come.</summary>
    public async Task<JsonElement> MailAsync(string subject)
    {
        var found = default(JsonElement);
        await Eventually.HoldsAsync(
            () =>
            {
                var lines = process!.Stdout.Split('\n').Skip(1).Where(line => line.EndsWith('}')).Select(line => JsonElement.Parse(line));
                found = lines.FirstOrDefault(mail => mail.GetProperty("subject").GetString()!.Contains(subject, StringComparison.Ordinal));
                return found.ValueKind == JsonValueKind.Object;
            },
            () => process!.Stdout + process.Stderr);
        return found;
    }

    public async ValueTask DisposeAsync()
    {
        if (process is not null)
        {
            await process.DisposeAsync();
        }

        scratch.Dispose();
    }
}
