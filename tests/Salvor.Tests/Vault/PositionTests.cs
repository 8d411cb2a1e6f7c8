using Salvor.Vault;
using Salvor.Vault.Format;

namespace Salvor.Tests.Vault;

public sealed class PositionTests
{
    [Theory]
    [InlineData("0", 0)]
    [InlineData("17", 17)]
    [InlineData("18446744073709551615", ulong.MaxValue)]
    public void A_position_is_a_decimal_number(string text, ulong value)
    {
        Assert.True(Position.TryParse(text, out var position));
        Assert.Equal(value, position.Value);
        Assert.Equal(text, position.ToString());
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("-1")]
    [InlineData("+1")]
    [InlineData(" 1")]
    [InlineData("1.0")]
    [InlineData("0x1")]
    [InlineData("18446744073709551616")]
    public void Anything_else_is_no_position(string? text) => Assert.False(Position.TryParse(text, out _));

    [Fact]
    public void The_last_position_has_no_next() => Assert.Throws<OverflowException>(() => new Position(ulong.MaxValue).Next);

    [Fact]
    public void Times_are_kept_to_the_microsecond_before_1970_too()
    {
        var exact = new DateTimeOffset(2026, 8, 1, 10, 30, 0, 1, 2, TimeSpan.Zero);
        foreach (var time in (DateTimeOffset[])[DateTimeOffset.MinValue, DateTimeOffset.UnixEpoch, exact])
        {
            Assert.Equal(time, Micros.ToTime(Micros.Of(time)));
        }

        Assert.Equal(-1, Micros.Of(DateTimeOffset.UnixEpoch.AddMicroseconds(-1)));
        Assert.Equal(0, Micros.Of(new DateTimeOffset(1970, 1, 1, 2, 0, 0, TimeSpan.FromHours(2))));
    }

    [Theory]
    [InlineData(0, true)]
    [InlineData(-62_135_596_800_000_000, true)]
    [InlineData(-62_135_596_800_000_001, false)]
    [InlineData(253_402_300_799_999_999, true)]
    [InlineData(253_402_300_800_000_000, false)]
    [InlineData(long.MaxValue, false)]
    [InlineData(long.MinValue, false)]
    public void What_is_outside_of_the_calendar_is_no_time(long micros, bool expected) => Assert.Equal(expected, Micros.IsTime(micros));

    [Fact]
    public void Each_field_of_a_link_changes_it()
    {
        var header = new ObjectHeader { Kind = ObjectKind.Log, VaultId = Guid.Empty };
        byte[] details = [1];
        Hash256[] links =
        [
            Next(default, header, details),
            Next(Hash256.Of([1]), header, details),
            Next(default, header with { Branch = 1 }, details),
            Next(default, header with { Number = 1 }, details),
            Next(default, header with { PositionFirst = 1 }, details),
            Next(default, header with { PositionLast = 1 }, details),
            Next(default, header with { TimeFirstMicros = 1 }, details),
            Next(default, header with { TimeLastMicros = 1 }, details),
            Next(default, header, [2]),
            StartOf(Guid.Empty, 1, new(1), default),
            StartOf(Guid.AllBitsSet, 1, new(1), default),
            StartOf(Guid.Empty, 2, new(1), default),
            StartOf(Guid.Empty, 1, new(2), default),
            StartOf(Guid.Empty, 1, new(1), Hash256.Of([1])),
        ];

        Assert.Distinct(links);
    }

    [Fact]
    public void A_link_does_not_depend_on_who_wrote_it()
    {
        var header = new ObjectHeader { Kind = ObjectKind.Log, VaultId = Guid.Empty };

        Assert.Equal(Next(default, header, [1]), Next(default, header with { Epoch = 7 }, [1]));
    }

    [Fact]
    public void The_hash_of_a_page_depends_on_its_content_and_number_and_on_the_vault()
    {
        var (zeros, ones) = (new byte[512], Enumerable.Repeat((byte)1, 512).ToArray());
        ulong[] hashes =
        [
            new PageHasher(1).Hash(1, zeros), new PageHasher(1).Hash(2, zeros), new PageHasher(8).Hash(1, zeros),
            new PageHasher(1).Hash(1, ones),
        ];

        Assert.Distinct(hashes);
    }

    /// <summary>XXH3_64bits_withSeed of no bytes; the sanity value of the reference implementation.</summary>
    [Fact]
    public void The_hash_of_a_page_is_xxh3() => Assert.Equal(0x2D06800538D394C2UL, new PageHasher(1).Hash(1, []));

    static Hash256 Next(Hash256 before, ObjectHeader header, ReadOnlySpan<byte> details) =>
        Lineage.Next(VaultSecrets.Plain, before, header, details);

    static Hash256 StartOf(Guid vaultId, uint branch, Position fork, Hash256 parent) =>
        Lineage.StartOf(VaultSecrets.Plain, vaultId, branch, fork, parent);
}
