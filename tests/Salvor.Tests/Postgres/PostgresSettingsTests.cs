using Salvor.Postgres.Protocol;
using Salvor.Tests.Support;
using Salvor.Vault.Wal;

namespace Salvor.Tests.Postgres;

/// <summary>Settings mean what they mean to every other client of PostgreSQL.</summary>
public sealed class PostgresSettingsTests
{
    [Theory]
    [InlineData("postgresql://alice:s%40fe@db.example:5433/app", "db.example:5433", "alice", "app", "s@fe")]
    [InlineData("postgres://alice:a@b@db.example", "db.example:5432", "alice", "alice", "a@b")]
    [InlineData("postgresql://[::1]:5433,b.example/app?user=bob", "::1:5433, b.example:5432", "bob", "app", null)]
    [InlineData("postgresql:///app?host=/run/pg&user=bob", "/run/pg/.s.PGSQL.5432", "bob", "app", null)]
    [InlineData("postgresql://bob@%2Frun%2Fpg:5433", "/run/pg/.s.PGSQL.5433", "bob", "bob", null)]
    [InlineData("host=a,b port=1,2 user=bob", "a:1, b:2", "bob", "bob", null)]
    [InlineData("host = a  user='o''x' ", "a:5432", "o", null, null)]
    [InlineData("host=a user=bob password='it\\'s \\\\ here' dbname=app", "a:5432", "bob", "app", "it's \\ here")]
    public void A_uri_and_words_say_the_same(string text, string hosts, string user, string? database, string? password)
    {
        if (database is null)
        {
            // Quotes do not double here: what follows the second one is the next word.
            Assert.StartsWith("the connection settings have no =", Wrong(text).Message, StringComparison.Ordinal);
            return;
        }

        var settings = Parse(text);
        Assert.Equal((hosts, user, database, password), (settings.Place, settings.User, settings.Database, settings.Password?.Value));
    }

    [Theory]
    [InlineData("host=a hots=b", "unknown word \"hots\" in the connection settings", "Did you mean \"host\"? Supported are ")]
    [InlineData("postgresql://a/b?sslmod=require", "unknown word \"sslmod\" in the connection URI", "Did you mean \"sslmode\"? ")]
    [InlineData("host=a sslmode=verify_full", "sslmode=verify_full is not known",
        "Did you mean \"verify-full\"? It is one of disable, allow")]
    [InlineData("host=a sslcrl=x", "sslcrl in the connection settings is not supported", "Leave it out. Supported are ")]
    [InlineData("host=a gssencmode=require", "gssencmode=require in the connection settings is not supported",
        "Leave gssencmode out, or give it one of: disable, prefer.")]
    [InlineData("host=a,b port=1,2,3", "there are 2 hosts, 0 addresses and 3 ports", "Give as many ports")]
    [InlineData("host=a port=70000", "port 70000 is none", "A port is a number from 1 to 65535.")]
    [InlineData("host=a password='secret", "the connection settings have a quote that does not end", "Write '...'.")]
    [InlineData("postgresql://a:secret%zz@b", "the connection URI has a % that no two digits follow", "Write %25")]
    [InlineData("postgres://u:secret?s@h/db", "the connection URI has a port that is no number, or a ? or / in its password",
        "Write %2F for / and %3F for ? in a password.")]
    [InlineData("postgres://u:secret/s@h/db", "the connection URI has an @ behind its first /", "Write %2F for / and %3F for ?")]
    [InlineData("postgres://u:70/secret@h/db", "the connection URI has an @ behind its first /", "Write %2F for / and %3F for ?")]
    [InlineData("postgresql://[::1/b", "the connection URI has an address with [ and no ] before its port", "Write [::1]:5432.")]
    [InlineData("host=a connect_timeout=soon", "connect_timeout=soon is no number", "Write connect_timeout=30, for example.")]
    [InlineData("host=a sslrootcert=system sslmode=require", "sslrootcert=system goes with sslmode=verify-full alone", "Whom")]
    [InlineData("secret", "the connection settings have no = where one is expected", "Write host=NAME")]
    public void What_is_wrong_is_named_without_what_may_be_secret(string text, string message, string hint)
    {
        var wrong = Wrong(text);
        Assert.Equal((FailureKind.Usage, message), (wrong.Kind, wrong.Message));
        Assert.StartsWith(hint, wrong.Hint, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", wrong.Message + wrong.Hint, StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_given_counts_before_the_service_and_that_before_variables()
    {
        using var scratch = new ScratchDirectory();
        File.WriteAllText(scratch["services"], """
            # for tests
            [other]
            host=other
            [mine]
            host=of-service
            dbname=of-service

            """);
        var settings = Parse("service=mine dbname=given", new()
        {
            ["PGSERVICEFILE"] = scratch["services"],
            ["PGHOST"] = "of-variable",
            ["PGUSER"] = "of-variable",
            ["PGSSLMODE"] = "require",
            ["PGCONNECT_TIMEOUT"] = "1",
        });
        Assert.Equal(
            ("of-service:5432", "given", "of-variable", SslMode.Require, TimeSpan.FromSeconds(2)),
            (settings.Place, settings.Database, settings.User, settings.SslMode, settings.ConnectTimeout));

        var absent = Assert.Throws<SalvorException>(
            () => Parse("", new() { ["PGSERVICEFILE"] = scratch["services"], ["PGSERVICE"] = "no" }));
        Assert.StartsWith($"service \"no\" is defined in neither {scratch["services"]} nor ", absent.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void No_secret_is_printed() =>
        Assert.DoesNotContain("canary", $"{Parse("host=a user=b password=canary sslpassword=canary")}", StringComparison.Ordinal);

    [Theory]
    [InlineData("16/B374D848", 0x16_B374_D848UL)]
    [InlineData("0/0", 0UL)]
    [InlineData("FFFFFFFF/ffffffff", ulong.MaxValue)]
    public void An_address_is_two_hexadecimal_numbers(string text, ulong value)
    {
        Assert.True(Lsn.TryParse(text, out var lsn));
        Assert.Equal(value, lsn.Value);
        Assert.Equal(text.ToUpperInvariant(), lsn.ToString());
    }

    [Theory]
    [InlineData("")]
    [InlineData("1")]
    [InlineData("1/")]
    [InlineData("1/2/3")]
    [InlineData("100000000/0")]
    [InlineData("-1/0")]
    [InlineData(" 1/0")]
    public void Nothing_else_is_an_address(string text) => Assert.False(Lsn.TryParse(text, out _));

    static SalvorException Wrong(string text) => Assert.Throws<SalvorException>(() => Parse(text));

    static PostgresSettings Parse(string text, Dictionary<string, string>? variables = null) =>
        PostgresSettings.Parse(text, new PostgresEnvironment(name => variables?.GetValueOrDefault(name)));
}
