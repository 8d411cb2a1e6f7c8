using System.Globalization;
using Salvor.Storage;
using Salvor.Tests.Support;
using static Salvor.Tests.Support.ProxyFault;

namespace Salvor.Tests.Storage;

/// <summary>What can go wrong between a store and the service, each on the way to Microsoft's emulator.</summary>
public sealed class AzureFaultTests : IAsyncLifetime
{
    /// <summary>So much faster pass the 30 seconds that the service may take.</summary>
    const int TimeFactor = 100;

    static readonly byte[] content = [.. Enumerable.Range(0, 100_000).Select(i => (byte)(i * 7))];

    LoopbackProxy proxy = null!;
    AzureBlobStore store = null!;

    public async ValueTask InitializeAsync()
    {
        var server = await AzuriteServer.SharedAsync();
        proxy = new(server.Address);
        store = new(await server.CreateContainerAsync(proxy.Port));
        await store.PutAsync("a", content, default);
    }

    public ValueTask DisposeAsync() => proxy.DisposeAsync();

    [Theory]
    [InlineData("503 Busy", "ServerBusy", "127.0.0.1 has too much to do (503 ServerBusy)")]
    [InlineData("429 Slower", "", "127.0.0.1 has too much to do (429)")]
    [InlineData("500 Oops", "OperationTimedOut", "127.0.0.1 answered 500 OperationTimedOut")]
    [InlineData("502 Gateway", "a code\tthat is none", "127.0.0.1 answered 502")]
    [InlineData("408 Slow", "", "127.0.0.1 answered 408")]
    [InlineData("404 Not Here", "", "127.0.0.1 answered 404")]
    public async Task What_may_pass_is_told_as_such_with_the_word_of_the_service(string status, string code, string why)
    {
        proxy.Add(new Answer(status, code.Length > 0 ? [$"x-ms-error-code: {code}"] : []), times: 2);

        var failure = await FailureAsync(() => store.SizeAsync("a", default));

        Assert.Equal((StorageFailure.Unreachable, null), (failure.Failure, failure.RetryAfter));
        Assert.Equal($"cannot read a at {store.Location}: {why}", failure.Message);
        Assert.Equal(StorageFailure.Unreachable, (await FailureAsync(() => store.PutAsync("b", content, default))).Failure);
        Assert.Equal(content.Length, await store.SizeAsync("a", default));
    }

    [Theory]
    [InlineData("7", 7)]
    [InlineData("0", null)]
    [InlineData("-7", null)]
    [InlineData("soon", null)]
    [InlineData("4000000", 300)]
    public async Task How_long_the_service_wants_to_be_left_alone_is_passed_on_within_bounds(string header, int? seconds)
    {
        proxy.Add(new Answer("503 Busy", [$"Retry-After: {header}"]));

        var failure = await FailureAsync(() => store.SizeAsync("a", default));

        Assert.Equal(seconds, (int?)failure.RetryAfter?.TotalSeconds);
    }

    [Theory]
    [InlineData(20, "20m ahead of")]
    [InlineData(-90, "1h30m behind")]
    public async Task A_clock_that_is_wrong_is_named(int minutes, string how)
    {
        var there = (TimeProvider.System.GetUtcNow() - TimeSpan.FromMinutes(minutes)).ToString("R", CultureInfo.InvariantCulture);
        proxy.Add(new Answer("403 No", ["x-ms-error-code: AuthenticationFailed", $"Date: {there}"]));

        var failure = await FailureAsync(() => store.SizeAsync("a", default));

        Assert.Equal(StorageFailure.Denied, failure.Failure);
        Assert.Equal($"cannot read a at {store.Location}: the clock of this machine is {how} that of 127.0.0.1", failure.Message);
        Assert.Equal("Set it right: 'timedatectl' shows whether it follows a time server.", failure.Hint);
    }

    [Fact]
    public async Task A_policy_that_keeps_an_object_is_named_and_a_put_finds_the_object()
    {
        proxy.Add(new Answer("409 Kept", ["x-ms-error-code: BlobImmutableDueToPolicy"]), times: 3);

        var deleted = await FailureAsync(() => store.DeleteAsync("a", default));
        var replaced = await FailureAsync(() => store.ReplaceAsync("a", content, default));

        Assert.Equal(
            $"cannot delete a at {store.Location}: a policy or a legal hold keeps it (BlobImmutableDueToPolicy)", deleted.Message);
        Assert.Equal((StorageFailure.Denied, StorageFailure.Denied), (deleted.Failure, replaced.Failure));
        Assert.Equal(PutResult.AlreadyExists, await store.PutAsync("a", content, default));
    }

    [Fact]
    public async Task A_signature_is_not_sent_on_to_another_place()
    {
        proxy.Add(new Answer("302 There", [$"Location: http://127.0.0.1:{proxy.Port}/elsewhere"]));

        var failure = await FailureAsync(() => store.SizeAsync("a", default));

        Assert.Equal($"cannot read a at {store.Location}: 127.0.0.1 sends requests on to another place (302)", failure.Message);
        Assert.DoesNotContain(proxy.Requests, line => line.Contains("elsewhere", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_put_whose_answer_was_lost_has_created_the_object()
    {
        proxy.Add(new LoseAnswer(), "PUT");

        var failure = await FailureAsync(() => store.PutAsync("b", content, default));

        Assert.Equal(StorageFailure.Unreachable, failure.Failure);
        Assert.Equal($"cannot write b at {store.Location}: the connection to 127.0.0.1:{proxy.Port} broke off", failure.Message);
        Assert.Equal(PutResult.AlreadyExists, await store.PutAsync("b", content, default));
        Assert.Equal(content, await store.GetAsync("b", content.Length, default));
    }

    [Fact]
    public async Task A_bit_that_turns_on_the_way_there_creates_nothing()
    {
        proxy.Add(new FlipRequestBit(AtByte: 5_000), "PUT");

        await FailureAsync(() => store.PutAsync("b", content, default));

        Assert.Null(await store.SizeAsync("b", default));

        // The emulator has another word for it than the service.
        proxy.Add(new Answer("400 No", ["x-ms-error-code: Md5Mismatch"]));
        var failure = await FailureAsync(() => store.PutAsync("b", content, default));
        Assert.Equal(StorageFailure.Unreachable, failure.Failure);
        Assert.Equal($"cannot write b at {store.Location}: what arrived there is not what was sent", failure.Message);
    }

    public static TheoryData<string> BrokenReads =>
        ["reset", "reset in the body", "cut in the body", "too long", "too short", "another range", "another size", "no range"];

    [Theory]
    [MemberData(nameof(BrokenReads))]
    public async Task A_read_that_is_not_whole_fails_and_works_when_it_is_repeated(string how)
    {
        proxy.Add(
            how switch
            {
                "reset" => new Reset(),
                "reset in the body" => new CutBody(40_000, IsReset: true),
                "cut in the body" => new CutBody(40_000, IsReset: false),
                "too long" => new SetHeader("Content-Length", "100001"),
                "too short" => new SetHeader("Content-Length", "99999"),
                "another range" => new SetHeader("Content-Range", "bytes 1-100000/100001"),
                "another size" => new SetHeader("Content-Range", "bytes 0-99999/100"),
                _ => new Rewrite("206 Partial Content", "200 OK"),
            },
            "GET");
        var buffer = new byte[content.Length];

        var failure = await FailureAsync(() => store.ReadAsync("a", 0, buffer, default));

        Assert.Equal(StorageFailure.Unreachable, failure.Failure);
        Assert.StartsWith($"cannot read a at {store.Location}: the ", failure.Message, StringComparison.Ordinal);
        Assert.Equal(content.Length, await store.ReadAsync("a", 0, buffer, default));
        Assert.Equal(content, buffer);
    }

    [Fact]
    public async Task A_service_that_does_not_answer_is_not_waited_for()
    {
        proxy.Add(new Silence(), times: 2);
        var hasty = new AzureBlobStore(await OptionsAsync(), new FastTime(TimeFactor));

        var failure = await FailureAsync(() => hasty.SizeAsync("a", default));

        Assert.Equal(StorageFailure.Unreachable, failure.Failure);
        Assert.Equal($"cannot read a at {hasty.Location}: 127.0.0.1 was not done within 30s", failure.Message);
        var listing = await FailureAsync(() => hasty.ListAsync("", null, default).ToListAsync().AsTask());
        Assert.Equal(StorageFailure.Unreachable, listing.Failure);
    }

    [Fact]
    public async Task A_service_that_trickles_is_not_waited_for()
    {
        var options = await OptionsAsync();
        await new AzureBlobStore(options).PutAsync("a", content, default);
        proxy.Add(new Drip(100, TimeSpan.FromMilliseconds(10)), "GET");
        var hasty = new AzureBlobStore(options, new FastTime(TimeFactor));

        var failure = await FailureAsync(() => hasty.ReadAsync("a", 0, new byte[content.Length], default));

        Assert.Equal($"cannot read a at {hasty.Location}: 127.0.0.1 was not done within 32s", failure.Message);
    }

    [Fact]
    public async Task Who_cancels_a_call_that_hangs_has_it_cancelled()
    {
        proxy.Add(new Silence());
        using var cancelled = new CancellationTokenSource(TimeSpan.FromMilliseconds(50));

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => store.SizeAsync("a", cancelled.Token));
    }

    [Fact]
    public async Task A_daemon_gets_through_a_disturbance()
    {
        var outcomes = new List<StorageFailure?>();
        var retrying = new RetryingStore(store, new FastTime(TimeFactor), new Random(1), e => outcomes.Add(e?.Failure));
        proxy.Add(new Answer("503 Busy", ["Retry-After: 1"]));
        proxy.Add(new Reset());
        proxy.Add(new LoseAnswer());

        Assert.Equal(PutResult.AlreadyExists, await retrying.PutAsync("b", content, default));

        Assert.Equal([StorageFailure.Unreachable, StorageFailure.Unreachable, StorageFailure.Unreachable, null], outcomes);
        Assert.Equal(content, await retrying.GetAsync("b", content.Length, default));
    }

    [Fact]
    public async Task An_answer_that_cannot_be_a_listing_is_refused()
    {
        const string Begin = "<?xml version=\"1.0\"?><EnumerationResults><Blobs>";
        string[] bodies =
        [
            "", "hello", "<html/>", Begin,
            $"{Begin}<Blob><Name>x</Name><Properties><Content-Length>-1</Content-Length></Properties></Blob></Blobs></EnumerationResults>",
            $"{Begin}<Blob><Name>x</Name></Blob></Blobs></EnumerationResults>",
            "<!DOCTYPE EnumerationResults [<!ENTITY a \"b\">]><EnumerationResults/>",
        ];
        foreach (var body in bodies)
        {
            proxy.Add(new Answer("200 OK", ["Content-Type: application/xml"], body));

            var failure = await FailureAsync(() => store.ListAsync("", null, default).ToListAsync().AsTask());

            Assert.Equal(StorageFailure.Unreachable, failure.Failure);
            Assert.Equal(
                $"cannot list what is at {store.Location}: the answer of 127.0.0.1 is not a listing, or not a whole one", failure.Message);
        }
    }

    [Fact]
    public async Task A_listing_that_goes_in_a_circle_ends()
    {
        proxy.Add(
            new Answer("200 OK", [], "<EnumerationResults><Blobs/><NextMarker>again</NextMarker></EnumerationResults>"), "GET", times: 5);

        var failure = await FailureAsync(() => store.ListAsync("", null, default).ToListAsync().AsTask());

        Assert.EndsWith("the answer of 127.0.0.1 goes on where it was before", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Names_that_cannot_be_keys_are_passed_over()
    {
        const string Blob = "<Blob><Name>{0}</Name><Properties><Content-Length>3</Content-Length></Properties></Blob>";
        string[] names = [".hidden", "a b", "b/", "../up", "fine", "%C3%A4", "x//y"];
        var rows = string.Concat(names.Order(StringComparer.Ordinal).Select(name => Blob.Replace("{0}", name, StringComparison.Ordinal)));
        proxy.Add(new Answer("200 OK", [], $"<EnumerationResults><Blobs>{rows}</Blobs></EnumerationResults>"), "GET");

        Assert.Equal([new ObjectInfo("fine", 3)], await store.ListAsync("", null, default).ToListAsync());
    }

    async Task<AzureBlobOptions> OptionsAsync() => await (await AzuriteServer.SharedAsync()).CreateContainerAsync(proxy.Port);

    static Task<StorageException> FailureAsync(Func<Task> call) => Assert.ThrowsAsync<StorageException>(call);
}
