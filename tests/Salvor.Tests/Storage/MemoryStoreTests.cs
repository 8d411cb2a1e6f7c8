using Salvor.Storage;

namespace Salvor.Tests.Storage;

public sealed class MemoryStoreTests
{
    readonly MemoryStore store = new();

    [Fact]
    public async Task A_folder_cannot_have_the_name_of_an_object_because_no_file_system_allows_it()
    {
        await store.PutAsync("a", new byte[1], default);

        var failure = await Assert.ThrowsAsync<StorageException>(() => store.PutAsync("a/b", new byte[1], default));

        Assert.Equal(StorageFailure.Denied, failure.Failure);
        Assert.Equal("a at memory has the name of an object but is something else, or the other way round", failure.Message);
    }

    [Fact]
    public async Task An_object_cannot_have_the_name_of_a_folder_even_when_the_folder_is_empty_again()
    {
        await store.PutAsync("a/b", new byte[1], default);
        await store.DeleteAsync("a/b", default);

        await Assert.ThrowsAsync<StorageException>(() => store.PutAsync("a", new byte[1], default));
    }

    [Fact]
    public async Task The_content_is_a_copy()
    {
        byte[] content = [1];
        await store.PutAsync("a", content, default);
        content[0] = 2;

        Assert.Equal([1], await store.GetAsync("a", sizeMax: 1, default));
    }

    [Fact]
    public async Task Objects_that_appear_during_a_listing_do_not_disturb_it()
    {
        await store.PutAsync("a", new byte[1], default);
        await store.PutAsync("b", new byte[1], default);
        List<string> keys = [];

        await foreach (var item in store.ListAsync("", null, default))
        {
            keys.Add(item.Key);
            await store.PutAsync($"z{item.Key}", new byte[1], default);
        }

        Assert.Equal(["a", "b"], keys);
    }

    [Fact]
    public async Task A_call_that_fails_fails_as_a_task()
    {
        var put = store.PutAsync("../a", default, default);

        Assert.True(put.IsFaulted);
        await Assert.ThrowsAsync<StorageException>(() => put);
    }
}
