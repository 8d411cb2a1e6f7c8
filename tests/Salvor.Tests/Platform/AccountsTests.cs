using Salvor.Platform;
using Salvor.Tests.Support;

namespace Salvor.Tests.Platform;

public sealed class AccountsTests
{
    const uint Somebody = 4321;
    const uint Another = 4322;

    [Fact]
    public void What_root_has_is_given_and_neither_links_nor_what_others_have()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "only root gives files away");
        using var folder = new TemporaryDirectory();
        var outside = Make(folder["outside"]);
        Directory.CreateDirectory(folder["mine/below"]);
        Directory.CreateDirectory(folder["elsewhere"]);
        var inElsewhere = Make(folder["elsewhere/file"]);
        var inside = Make(folder["mine/below/file"]);
        var others = Make(folder["mine/below/others"]);
        Accounts.Give(others, Another, Another);
        File.CreateSymbolicLink(folder["mine/link"], outside);
        Directory.CreateSymbolicLink(folder["mine/folder"], folder["elsewhere"]);

        Accounts.Give(folder["mine"], Somebody, Somebody);
        Accounts.Give(folder["mine/folder"], Somebody, Somebody);

        Assert.Equal([Somebody, Somebody, Somebody], new[] { folder["mine"], folder["mine/below"], inside }.Select(OwnerOf));
        Assert.Equal(Another, OwnerOf(others));
        Assert.Equal([0u, 0u, 0u], new[] { outside, folder["elsewhere"], inElsewhere }.Select(OwnerOf));
    }

    static string Make(string path)
    {
        File.WriteAllText(path, "");
        return path;
    }

    static uint OwnerOf(string path) => FileStat.Of(path, followLinks: false)!.Value.UserId;
}
