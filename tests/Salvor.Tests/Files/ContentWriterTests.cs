using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Trees;

namespace Salvor.Tests.Files;

public sealed class ContentWriterTests : IDisposable
{
    readonly TreeRig _rig = new();

    public void Dispose() => _rig.Dispose();

    [Fact]
    public async Task What_stands_for_chunks_of_which_none_is_new_does_not_wait_in_memory_for_the_end()
    {
        var first = await WriteAsync();
        var second = await WriteAsync();

        Assert.True(first.NewBytes > 0 && second.NewBytes == 0, $"{second.NewBytes} bytes were not known");
        Assert.InRange(second.NodesMax, 1, 80);
    }

    async Task<(long NewBytes, int NodesMax)> WriteAsync()
    {
        var cancellation = TestContext.Current.CancellationToken;
        var catalog = await VaultCatalog.LoadAsync(await _rig.OpenAsync(), cancellation);
        await using var writer = await TreeSnapshotWriter.BeginAsync(catalog, new HashSet<string>(), cancellation);
        var nodes = 0;
        for (var chunk = 0; chunk < 30_000; chunk++)
        {
            await writer.Content.AddAsync(BitConverter.GetBytes(chunk), cancellation);
            nodes = Math.Max(nodes, writer.Content.WaitingNodes);
        }

        await writer.Content.FinishAsync(cancellation);
        return (writer.Content.NewBytes, nodes);
    }
}
