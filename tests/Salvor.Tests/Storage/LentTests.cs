using Salvor.Storage;
using Salvor.Tests.Support;

namespace Salvor.Tests.Storage;

/// <summary>What is good for some time, such as a token.</summary>
public sealed class LentTests
{
    readonly ManualTime time = new();
    int fetches;
    bool isAway;

    [Fact]
    public async Task Where_the_next_cannot_be_had_the_one_that_is_still_good_is_used_until_its_end()
    {
        var end = time.GetUtcNow().AddHours(1);
        var lent = new Lent<string>(FetchAsync, _ => end, time);
        Assert.Equal("1", await lent.GetAsync(default));
        time.Advance(TimeSpan.FromMinutes(54));
        Assert.Equal("1", await lent.GetAsync(default));

        isAway = true;
        time.Advance(TimeSpan.FromMinutes(2));
        Assert.Equal("1", await lent.GetAsync(default));
        Assert.Equal(2, fetches);
        time.Advance(TimeSpan.FromMinutes(4));
        await Assert.ThrowsAsync<StorageException>(() => lent.GetAsync(default).AsTask());

        isAway = false;
        end = end.AddHours(1);
        lent.Forget("another");
        Assert.Equal("1", await lent.GetAsync(default));
        lent.Forget();
        Assert.Equal("4", await lent.GetAsync(default));
    }

    Task<string> FetchAsync()
    {
        fetches++;
        return isAway
            ? Task.FromException<string>(new StorageException(StorageFailure.Unreachable, "nobody answers", "Wait."))
            : Task.FromResult($"{fetches}");
    }
}
