using Salvor.Storage;
using Salvor.Tests.Support;

namespace Salvor.Tests.Storage;

/// <summary>Every fault with every service: each call is told, tried again, and has done once what it was asked.</summary>
public sealed class RemoteFaultTests
{
    /// <summary>So much faster pass the 30 seconds that a service may take.</summary>
    const int TimeFactor = 100;

    static readonly byte[] content = [.. Enumerable.Range(0, 2 * RemoteFault.BodyBytesMin).Select(i => (byte)(i * 7))];

    public static TheoryData<string, string> Faults =>
        [.. FaultyService.Kinds.SelectMany(kind => RemoteFault.All.Select(fault => (kind, fault.Name)))];

    [Theory]
    [MemberData(nameof(Faults))]
    public async Task Whatever_goes_wrong_each_call_gets_through_and_has_done_what_it_was_asked(string kind, string name)
    {
        var fault = RemoteFault.All.Single(fault => fault.Name == name);
        await using var service = await FaultyService.StartAsync(kind);
        var heard = new List<StorageException?>();
        var time = new FastTime(TimeFactor);
        var store = new RetryingStore(service.Open(time), time, new Random(1), heard.Add);
        await store.PutAsync("a", content, default);

        await MeetAsync("PUT", "/b", fault.Put, async () =>
        {
            // Whether we or an attempt before made it, what is there is ours.
            await store.PutAsync("b", content, default);
            Assert.Equal(content, await service.Direct.GetAsync("b", content.Length, default));
        });
        await MeetAsync("GET", "/a", fault.Read, async () => Assert.Equal(content, await ReadAsync(store)));
        await MeetAsync("HEAD", "/a", null, async () => Assert.Equal(content.Length, await store.SizeAsync("a", default)));
        await MeetAsync("GET", service.ListPart, null, async () => Assert.Equal(["a", "b"], await ListAsync(store)));
        await MeetAsync("DELETE", "/b", null, () => store.DeleteAsync("b", default));
        Assert.Equal(["a"], await ListAsync(service.Direct));

        async Task MeetAsync(string method, string part, StorageFailure? told, Func<Task> call)
        {
            if (fault.IsOfBodies && method != "GET")
            {
                await call();
                return;
            }

            service.Proxy.Add(fault.Make(service), method, part);
            heard.Clear();
            await call();
            Assert.Equal(0, service.Proxy.Waiting);
            Assert.True(told is null || heard[0]?.Failure == told, $"{method}: {heard.FirstOrDefault()?.ToString() ?? "nothing"}");
            Assert.Null(heard.LastOrDefault());
        }
    }

    static async Task<byte[]> ReadAsync(RetryingStore store)
    {
        var buffer = new byte[content.Length];
        Assert.Equal(content.Length, await store.ReadAsync("a", 0, buffer, default));
        return buffer;
    }

    static async Task<IReadOnlyList<string>> ListAsync(IObjectStore store) =>
        await store.ListAsync("", null, default).Select(row => row.Key).ToListAsync();
}
