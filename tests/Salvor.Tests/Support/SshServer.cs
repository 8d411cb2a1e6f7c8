using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Salvor.Storage.Sftp;

namespace Salvor.Tests.Support;

/// <summary>
/// OpenSSH's server on loopback, for the user that runs the tests: started by the first test that needs it, and gone with the test
/// process, however that ends.
/// </summary>
sealed class SshServer
{
    // Waits for the end of its input, which comes with the end of the process that started it.
    // What stops the tests from a terminal or by a time limit is meant for their process, and must not leave a user behind.
    const string Keeper = """
        trap '' HUP INT TERM
        /usr/sbin/sshd -D -f "$1/sshd_config" -E "$1/log" &
        read -r _
        kill $!
        rm -rf "$1"
        [ -z "$2" ] || userdel -rf "$2"
        """;

    static readonly Lazy<Task<SshServer>> running = new(StartAsync);
    static Process? keeper;

    readonly string folder;

    /// <summary>Made for as long as the tests run, where they run as root: only real users have passwords.</summary>
    static readonly string PasswordUser = Environment.IsPrivilegedProcess ? $"salvor-t{Environment.ProcessId}" : "";

    SshServer(string folder, int port) => (this.folder, Port) = (folder, port);

    public int Port { get; }

    /// <summary>Another in each run: whatever becomes of it, nobody knows what lets this user in.</summary>
    public static readonly string Password = $"canary of the ssh user {Guid.NewGuid():n}";

    /// <summary>As a user whom a password lets in, and no key; in a folder of its own.</summary>
    public async Task<SftpOptions> PasswordOptionsAsync()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "only root can make a user with a password");
        var root = $"{HomeOfPasswordUser}/{Guid.NewGuid():n}";
        var made = await ChildProcess.RunAsync("install", ["-d", "-o", PasswordUser, root]);
        Assert.True(made.ExitCode == 0, $"{made}");
        return Options(root) with { User = PasswordUser, KeyFile = null, Password = new SecretText(Password) };
    }

    static string HomeOfPasswordUser => $"/tmp/{PasswordUser}";

    /// <summary>What a client that trusts the server has to be told.</summary>
    public string KnownHosts => Path.Combine(folder, "known_hosts");

    /// <summary>A key that the server lets in.</summary>
    public string KeyFile => Path.Combine(folder, "client");

    /// <summary>A key that it does not.</summary>
    public string StrangeKeyFile => Path.Combine(folder, "stranger");

    /// <summary>Type and base64 of the server's key.</summary>
    public string HostKey => WordsOf("host", 2);

    /// <summary>A key of the same type that is not the server's.</summary>
    public string StrangeHostKey => WordsOf("stranger", 2);

    /// <summary>As ssh-keygen prints it.</summary>
    public async Task<string> FingerprintAsync()
    {
        var result = await ChildProcess.RunAsync("ssh-keygen", ["-lf", Path.Combine(folder, "host.pub")]);
        return result.Stdout.Split(' ')[1];
    }

    public static Task<SshServer> RunningAsync() => running.Value;

    public SftpOptions Options(string path) => new()
    {
        Host = "127.0.0.1",
        Port = Port,
        User = Environment.UserName,
        Path = path,
        KeyFile = KeyFile,
        KnownHostsFile = KnownHosts,
    };

    static async Task<SshServer> StartAsync()
    {
        var folder = Directory.CreateTempSubdirectory("salvor-sshd-").FullName;
        foreach (var key in (string[])["host", "client", "stranger"])
        {
            var made = await ChildProcess.RunAsync(
                "ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", Path.Combine(folder, key)]);
            Assert.True(made.ExitCode == 0, $"ssh-keygen failed: {made}");
        }

        var server = new SshServer(folder, FreePort());
        File.Copy(Path.Combine(folder, "client.pub"), Path.Combine(folder, "authorized_keys"));
        File.WriteAllText(server.KnownHosts, $"[127.0.0.1]:{server.Port} {server.HostKey}\n");
        File.WriteAllText(Path.Combine(folder, "sshd_config"), $"""
            Port {server.Port}
            ListenAddress 127.0.0.1
            HostKey {folder}/host
            PidFile none
            AuthorizedKeysFile {folder}/authorized_keys
            PasswordAuthentication no
            KbdInteractiveAuthentication no
            UsePAM no
            UseDNS no
            StrictModes no
            MaxStartups 100
            Subsystem sftp internal-sftp
            Match User {(PasswordUser.Length > 0 ? PasswordUser : "nobody-of-that-name")}
                PasswordAuthentication yes

            """);
        if (Environment.IsPrivilegedProcess)
        {
            // Where Debian's start-up script of the server makes it.
            Directory.CreateDirectory("/run/sshd");
            var user = await ChildProcess.RunAsync(
                "/bin/sh",
                ["-c", "useradd -m -d \"$2\" -s /bin/sh \"$1\" && printf '%s:%s\\n' \"$1\" \"$3\" | chpasswd", "sh", PasswordUser,
                    HomeOfPasswordUser, Password]);
            Assert.True(user.ExitCode == 0, $"useradd failed: {user}");
        }

        var keep = new ProcessStartInfo("/bin/sh", ["-c", Keeper, "sh", folder, PasswordUser]) { RedirectStandardInput = true };
        keeper = Process.Start(keep)!;
        await Eventually.HoldsAsync(() => Accepts(server.Port), () => $"sshd did not start: {LogIn(folder)}", Eventually.StartMax);
        return server;
    }

    string WordsOf(string key, int count) => string.Join(' ', File.ReadAllText(Path.Combine(folder, key + ".pub")).Split(' ').Take(count));

    static string LogIn(string folder) => Path.Combine(folder, "log") is var log && File.Exists(log) ? File.ReadAllText(log) : "no log";

    static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    static bool Accepts(int port)
    {
        Assert.False(keeper!.HasExited, "sshd ended at once");
        try
        {
            using var client = new TcpClient("127.0.0.1", port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
