using Salvor.Storage;
using Salvor.Storage.Sftp;
using Salvor.Tests.Support;

namespace Salvor.Tests.Storage.Sftp;

/// <summary>Through OpenSSH's client and server.</summary>
public sealed class SftpStoreContractTests : ObjectStoreContractTests, IAsyncLifetime
{
    readonly TemporaryDirectory directory = new();
    SshServer? server;

    public async ValueTask InitializeAsync() => server = await SshServer.RunningAsync();

    public ValueTask DisposeAsync()
    {
        directory.Dispose();
        return ValueTask.CompletedTask;
    }

    protected override IObjectStore CreateStore() => new SftpStore(server!.Options(directory.Path));
}

/// <summary>A server without any of OpenSSH's extensions, for those who allow that.</summary>
public sealed class WeakSftpStoreContractTests : IDisposable
{
    readonly TemporaryDirectory directory = new();

    public void Dispose() => directory.Dispose();

    /// <summary>Those for which such a server needs other requests; what is raced for is its weakness.</summary>
    public static TheoryData<string> Promises =>
    [
        "an object is read as it was put", "put never replaces an object", "an object of 16 MiB is kept whole",
        "a read starts at any offset", "a deleted key can be used again", "a listing has the order of whole keys",
    ];

    [Theory]
    [MemberData(nameof(Promises))]
    public async Task The_store_keeps_what_it_can_promise(string promise)
    {
        var store = SftpRig.Store(directory.Path, allowWeak: true, "-P", "posix-rename,hardlink,fsync,statvfs,limits");

        await StoreContract.Cases.Single(item => item.Name == promise)
            .RunAsync(store, "trial", TestContext.Current.CancellationToken);
    }
}
