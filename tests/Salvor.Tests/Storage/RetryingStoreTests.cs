using System.Runtime.CompilerServices;
using Salvor.Storage;
using Salvor.Tests.Simulation;
using Salvor.Tests.Support;

namespace Salvor.Tests.Storage;

/// <summary>What a daemon's store does about failures, on simulated time.</summary>
public sealed class RetryingStoreTests
{
    readonly SimulatedTime time = new();
    readonly MemoryStore memory = new();
    readonly List<StorageFailure?> outcomes = [];

    /// <summary>To a daemon nothing is final: what is denied today may be a policy that somebody corrects tomorrow.</summary>
    [Theory]
    [InlineData(StorageFailure.Unreachable)]
    [InlineData(StorageFailure.Full)]
    [InlineData(StorageFailure.Denied)]
    public void What_fails_is_repeated_until_it_works(StorageFailure failure)
    {
        Run(async () =>
        {
            var store = Retrying(new FailingStore(memory, call => call <= 3 ? failure : null));
            Assert.Equal(PutResult.Created, await store.PutAsync("a", new byte[] { 7 }, default));
        });

        Assert.Equal([failure, failure, failure, null], outcomes);
    }

    [Fact]
    public void Who_waits_for_an_answer_is_told_of_what_may_pass_after_a_few_attempts()
    {
        var calls = 0;
        Run(async () =>
        {
            var failing = new FailingStore(memory, call => (calls = call) < 4 ? StorageFailure.Unreachable : null);
            Assert.Null(await Impatient(failing, attempts: 4).SizeAsync("a", default));
            failing = new FailingStore(memory, call => (calls = call) < 5 ? StorageFailure.Unreachable : null);
            await Assert.ThrowsAsync<StorageException>(() => Impatient(failing, attempts: 4).SizeAsync("a", default));
        });

        Assert.Equal(4, calls);
        Assert.True(time.Elapsed < TimeSpan.FromSeconds(5), $"{time.Elapsed}");
    }

    [Fact]
    public void Who_waits_for_an_answer_is_told_at_once_of_what_does_not_pass()
    {
        Run(async () =>
        {
            var store = Impatient(new FailingStore(memory, _ => StorageFailure.Denied), attempts: 4);
            await Assert.ThrowsAsync<StorageException>(() => store.SizeAsync("a", default));
        });

        Assert.Equal(TimeSpan.Zero, time.Elapsed);
    }

    RetryingStore Impatient(IObjectStore store, int attempts) =>
        new(store, time, new Random(1), _ => { }) { AttemptsMax = attempts };

    [Fact]
    public void Absence_is_an_answer_and_not_repeated()
    {
        Run(async () =>
        {
            var store = Retrying(memory);
            var failure = await Assert.ThrowsAsync<StorageException>(() => store.ReadAsync("a", 0, new byte[1], default));
            Assert.Equal(StorageFailure.NotFound, failure.Failure);
            Assert.Null(await store.SizeAsync("a", default));
        });

        Assert.Empty(outcomes);
        Assert.Equal(TimeSpan.Zero, time.Elapsed);
    }

    [Fact]
    public void Absence_after_a_failure_is_an_answer_too()
    {
        Run(async () =>
        {
            var store = Retrying(new FailingStore(memory, call => call == 1 ? StorageFailure.Unreachable : null));
            await Assert.ThrowsAsync<StorageException>(() => store.ReadAsync("a", 0, new byte[1], default));
        });

        Assert.Equal([StorageFailure.Unreachable, null], outcomes);
    }

    /// <summary>Else a session that ended while its destination was away would look as if it still were.</summary>
    [Fact]
    public void After_a_call_that_was_given_up_the_next_answer_to_any_says_that_the_destination_works()
    {
        Run(async () =>
        {
            var store = Retrying(new FailingStore(memory, call => call == 1 ? StorageFailure.Unreachable : null));
            using var givenUp = new CancellationTokenSource(TimeSpan.FromMilliseconds(10), time);
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => store.SizeAsync("a", givenUp.Token));
            Assert.Null(await store.SizeAsync("b", default));
            Assert.Null(await store.SizeAsync("c", default));
        });

        Assert.Equal([StorageFailure.Unreachable, null], outcomes);
    }

    [Fact]
    public void A_put_whose_answer_was_lost_finds_its_own_object()
    {
        Run(async () =>
        {
            var store = Retrying(new FaultyStore(memory, call => call.Number == 1 ? Fault.After : Fault.None));
            Assert.Equal(PutResult.AlreadyExists, await store.PutAsync("a", new byte[] { 7 }, default));
            Assert.Equal([7], (await memory.GetAsync("a", 1, default))!);
        });
    }

    [Fact]
    public void Every_operation_is_repeated()
    {
        Run(async () =>
        {
            var store = Retrying(new FailingStore(memory, call => call % 2 == 1 ? StorageFailure.Unreachable : null));
            await store.PutAsync("a", new byte[] { 7 }, default);
            Assert.Equal(1, await store.SizeAsync("a", default));
            Assert.Equal(1, await store.ReadAsync("a", 0, new byte[1], default));
            await store.DeleteAsync("a", default);
            Assert.Null(await store.SizeAsync("a", default));
        });

        Assert.Equal(10, outcomes.Count);
    }

    /// <summary>The first pause is at most 100 ms, each up to twice the one before, none over 10 s; chance takes up to half.</summary>
    [Fact]
    public void Pauses_grow_up_to_ten_seconds()
    {
        var calls = new List<TimeSpan>();

        Run(async () =>
        {
            var failing = new FailingStore(memory, call =>
            {
                calls.Add(time.Elapsed);
                return call <= 12 ? StorageFailure.Unreachable : null;
            });
            await Retrying(failing).SizeAsync("a", default);
        });

        var pauses = calls.Zip(calls.Skip(1), (first, second) => (second - first).TotalMilliseconds).ToList();
        double[] most = [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000, 10_000, 10_000];
        Assert.Equal(most.Length, pauses.Count);
        Assert.All(pauses.Zip(most), pause => Assert.InRange(pause.First, (pause.Second / 2) - 1, pause.Second));
        Assert.NotEqual(pauses[^1], pauses[^2]);
    }

    [Fact]
    public void A_destination_that_asks_to_be_left_alone_is_left_alone_so_long()
    {
        Run(async () => await Retrying(new BusyStore(memory, TimeSpan.FromMinutes(2))).PutAsync("a", new byte[] { 7 }, default));

        Assert.InRange(time.Elapsed.TotalSeconds, 120.05, 120.1);
    }

    [Fact]
    public void A_call_that_worked_starts_again_with_a_short_pause()
    {
        Run(async () =>
        {
            var store = Retrying(new FailingStore(memory, call => call is <= 8 or 10 ? StorageFailure.Unreachable : null));
            await store.SizeAsync("a", default);
            var before = time.Elapsed;
            await store.SizeAsync("a", default);
            Assert.InRange((time.Elapsed - before).TotalMilliseconds, 49, 100);
        });
    }

    [Fact]
    public void A_listing_that_breaks_off_goes_on_after_the_last_key()
    {
        List<string> keys = [.. Enumerable.Range(0, 20).Select(i => $"k/{i:D2}")];

        Run(async () =>
        {
            foreach (var key in keys)
            {
                await memory.PutAsync(key, new byte[] { 1 }, default);
            }

            var listing = new BreakingListing(memory, rowsPerListing: 3);
            Assert.Equal(keys, await Retrying(listing).ListAsync("k/", null, default).Select(row => row.Key).ToListAsync());
            Assert.Equal([null, "k/02", "k/05", "k/08", "k/11", "k/14", "k/17"], listing.Begun);
            Assert.Equal(listing.Begun.Count, listing.Ended);
            Assert.Equal(keys[5..], await Retrying(listing).ListAsync("k/", "k/04", default).Select(row => row.Key).ToListAsync());
        });
    }

    [Fact]
    public void Waiting_ends_when_it_is_cancelled()
    {
        Run(async () =>
        {
            using var cancellation = new CancellationTokenSource(TimeSpan.FromHours(2), time);
            var store = Retrying(new FailingStore(memory, _ => StorageFailure.Unreachable));
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => store.SizeAsync("a", cancellation.Token));
            Assert.Equal(TimeSpan.FromHours(2), time.Elapsed);
            await Assert.ThrowsAnyAsync<OperationCanceledException>(
                async () => await store.ListAsync("k/", null, cancellation.Token).ToListAsync(cancellation.Token));
        });

        Assert.All(outcomes, outcome => Assert.Equal(StorageFailure.Unreachable, outcome));
    }

    void Run(Func<Task> test) => new Simulator(time, new Random(1)).Run(test);

    RetryingStore Retrying(IObjectStore inner) => new(inner, time, new Random(1), e => outcomes.Add(e?.Failure));

    /// <summary>A store whose calls, counted from 1, fail as the test says.</summary>
    /// <summary>Has time for no put before the second.</summary>
    sealed class BusyStore(IObjectStore inner, TimeSpan retryAfter) : ForwardingStore(inner)
    {
        bool wasAsked;

        public override Task<PutResult> PutAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
        {
            if (wasAsked)
            {
                return base.PutAsync(key, content, cancellationToken);
            }

            wasAsked = true;
            throw new StorageException(StorageFailure.Unreachable, "busy", "Wait.") { RetryAfter = retryAfter };
        }
    }

    sealed class FailingStore(IObjectStore inner, Func<int, StorageFailure?> next) : IObjectStore
    {
        int calls;

        public string Location => inner.Location;

        public Task<PutResult> PutAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
        {
            FailIfDue();
            return inner.PutAsync(key, content, cancellationToken);
        }

        public Task<int> ReadAsync(string key, long offset, Memory<byte> buffer, CancellationToken cancellationToken)
        {
            FailIfDue();
            return inner.ReadAsync(key, offset, buffer, cancellationToken);
        }

        public Task<long?> SizeAsync(string key, CancellationToken cancellationToken)
        {
            FailIfDue();
            return inner.SizeAsync(key, cancellationToken);
        }

        public async IAsyncEnumerable<ObjectInfo> ListAsync(
            string prefix, string? after, [EnumeratorCancellation] CancellationToken cancellationToken)
        {
            FailIfDue();
            await foreach (var row in inner.ListAsync(prefix, after, cancellationToken))
            {
                yield return row;
            }
        }

        public Task ReplaceAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
        {
            FailIfDue();
            return inner.ReplaceAsync(key, content, cancellationToken);
        }

        public Task DeleteAsync(string key, CancellationToken cancellationToken)
        {
            FailIfDue();
            return inner.DeleteAsync(key, cancellationToken);
        }

        void FailIfDue()
        {
            if (next(++calls) is { } failure)
            {
                throw new StorageException(failure, $"call {calls} fails", "Try again.");
            }
        }
    }

    /// <summary>A store whose listings break off after a few rows, unless that was all.</summary>
    sealed class BreakingListing(IObjectStore inner, int rowsPerListing) : IObjectStore
    {
        public List<string?> Begun { get; } = [];

        /// <summary>How many listings were disposed.</summary>
        public int Ended { get; private set; }

        public string Location => inner.Location;

        public Task<PutResult> PutAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) =>
            inner.PutAsync(key, content, cancellationToken);

        public Task ReplaceAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) =>
            inner.ReplaceAsync(key, content, cancellationToken);

        public Task<int> ReadAsync(string key, long offset, Memory<byte> buffer, CancellationToken cancellationToken) =>
            inner.ReadAsync(key, offset, buffer, cancellationToken);

        public Task<long?> SizeAsync(string key, CancellationToken cancellationToken) => inner.SizeAsync(key, cancellationToken);

        public Task DeleteAsync(string key, CancellationToken cancellationToken) => inner.DeleteAsync(key, cancellationToken);

        public async IAsyncEnumerable<ObjectInfo> ListAsync(
            string prefix, string? after, [EnumeratorCancellation] CancellationToken cancellationToken)
        {
            Begun.Add(after);
            try
            {
                var rows = 0;
                await foreach (var row in inner.ListAsync(prefix, after, cancellationToken))
                {
                    if (rows++ == rowsPerListing)
                    {
                        throw new StorageException(StorageFailure.Unreachable, "the connection was reset", "Try again.");
                    }

                    yield return row;
                }
            }
            finally
            {
                Ended++;
            }
        }
    }
}
