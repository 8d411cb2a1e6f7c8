using Salvor.Vault;
using Salvor.Vault.Format;

namespace Salvor.Tests.Vault;

/// <summary>A key of another spelling would sort elsewhere and hide what follows it.</summary>
public sealed class VaultKeysTests
{
    [Theory]
    [InlineData(1, 1, 1)]
    [InlineData(999_999, 1, 9_999_999_999_999_999)]
    [InlineData(1_000_000, 1, 10_000_000_000_000_000)]
    [InlineData(4_294_967_295, 18_446_744_073_709_551_614, 18_446_744_073_709_551_615)]
    [InlineData(2, 3, 17)]
    public void The_key_of_a_log_object_is_read_as_it_was_made(uint branch, ulong first, ulong last)
    {
        foreach (var entry in (LogEntry[])[new(first, last, 5), LogEntry.Of(last, 5)])
        {
            var key = VaultKeys.Log(branch, entry);

            Assert.Equal(branch, VaultKeys.BranchOf(key));
            Assert.Equal((entry, 0u), VaultKeys.LogEntryOf(key, 5));
        }
    }

    [Theory]
    [InlineData("log/000001/000000000000001")]
    [InlineData("log/000001/00000000000000001")]
    [InlineData("log/000001/+000000000000001")]
    [InlineData("log/000001/000000000000000a")]
    [InlineData("log/00001/00000000000000001")]
    [InlineData("log/0000001/000000000000001")]
    [InlineData("log/-00001/0000000000000001")]
    [InlineData("log/00000\u0661/0000000000000001")]
    [InlineData("log/000001/000000000000000\u0661")]
    [InlineData("log/000001/0000000000000002-0000000000000002")]
    [InlineData("log/000001/0000000000000002-0000000000000003-0000")]
    [InlineData("log/000001/0000000000000002-3")]
    [InlineData("log/0000010000000000000001")]
    [InlineData("log/000001/x/00000000000001")]
    public void A_log_object_of_another_spelling_is_damaged(string key) =>
        Assert.Throws<DamagedObjectException>(() => (VaultKeys.BranchOf(key), VaultKeys.LogEntryOf(key, 5)));
}
