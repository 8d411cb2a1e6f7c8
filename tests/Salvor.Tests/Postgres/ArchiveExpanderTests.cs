using Salvor.Postgres.Backup;
using Salvor.Tests.Support;

namespace Salvor.Tests.Postgres;

/// <summary>Archives that a server compressed; every real base backup of the other tests is one too.</summary>
public sealed class ArchiveExpanderTests
{
    /// <summary>A header without checksums, one block that is stored as it is, and the end mark.</summary>
    static byte[] Frame => [0x04, 0x22, 0x4D, 0x18, 0x60, 0x40, 0x82, 5, 0, 0, 0x80, .. "hello"u8, 0, 0, 0, 0];

    [Fact]
    public void An_archive_is_expanded_in_whatever_pieces_it_comes()
    {
        var random = new Random(TestSeed.Take());
        for (var round = 0; round < 100; round++)
        {
            using var expander = new ArchiveExpander();
            foreach (var _ in "two")
            {
                expander.Begin();
                var content = new List<byte>();
                for (var rest = (ReadOnlyMemory<byte>)Frame; !rest.IsEmpty;)
                {
                    var length = random.Next(1, rest.Length + 1);
                    content.AddRange(Expand(expander, rest[..length]));
                    rest = rest[length..];
                }

                expander.End();
                Assert.Equal("hello"u8, content.ToArray());
            }
        }
    }

    [Fact]
    public void What_is_no_archive_is_refused()
    {
        using var expander = new ArchiveExpander();
        expander.Begin();
        var refused = Assert.Throws<SalvorException>(() => Expand(expander, new byte[100]));
        Assert.Equal("the base backup is not what a server sends: an archive is not compressed by lz4 as it should be", refused.Message);
    }

    [Fact]
    public void An_archive_that_ends_early_is_refused()
    {
        using var expander = new ArchiveExpander();
        expander.Begin();
        Expand(expander, Frame.AsMemory(0, Frame.Length - 1));
        Assert.EndsWith(
            "a compressed archive ends before its end", Assert.Throws<SalvorException>(expander.Begin).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_archive_that_goes_on_is_refused()
    {
        using var expander = new ArchiveExpander();
        expander.Begin();
        var refused = Assert.Throws<SalvorException>(() => Expand(expander, (byte[])[.. Frame, .. Frame]));
        Assert.EndsWith("a compressed archive goes on behind its end", refused.Message, StringComparison.Ordinal);
    }

    static List<byte> Expand(ArchiveExpander expander, ReadOnlyMemory<byte> bytes)
    {
        var content = new List<byte>();
        while (expander.Next(ref bytes) is { IsEmpty: false } part)
        {
            content.AddRange(part.Span);
        }

        return content;
    }
}
