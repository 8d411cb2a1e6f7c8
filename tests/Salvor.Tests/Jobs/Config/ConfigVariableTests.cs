using static Salvor.Tests.Jobs.Config.ConfigTesting;

namespace Salvor.Tests.Jobs.Config;

public sealed class ConfigVariableTests
{
    const string LiteralHint = "For a literal dollar sign write $$.";

    [Theory]
    [InlineData("/data/${NAME}.db", "/data/acme.db")]
    [InlineData("'/data/${NAME}.db'", "/data/acme.db")]
    [InlineData("\"/data/${NAME}${_2}.db\"", "/data/acmetwo.db")]
    [InlineData("/data/$$.db", "/data/$.db")]
    [InlineData("/data/$${NAME}.db", "/data/${NAME}.db")]
    [InlineData("/data/$$$$.db", "/data/$$.db")]
    [InlineData("/data/$$${NAME}.db", "/data/$acme.db")]
    [InlineData("/data/$NAME.db", "/data/$NAME.db")]
    [InlineData("/data/cash$", "/data/cash$")]
    [InlineData("/data/${TRAP}", "/data/${NAME}")]
    public void A_variable_in_braces_is_replaced(string path, string expected) => Assert.Equal(
        expected,
        ParseSource($"type: sqlite\n    path: {path}\n    to: local", ("NAME", "acme"), ("_2", "two"), ("TRAP", "${NAME}")).Path);

    [Fact]
    public void Every_kind_of_value_can_come_from_a_variable()
    {
        var source = ParseSource(
            "{ type: '${TYPE}', paths: ['${GLOB}'], to: ['${TO}'], batch: '${BATCH}', max_wal: '${WAL}' }",
            ("TYPE", "sqlite"), ("GLOB", "/data/*.db"), ("TO", "local"), ("BATCH", "2s"), ("WAL", "2MiB"));

        Assert.Equal(["/data/*.db"], source.Paths!.Patterns);
        Assert.Equal(["local"], source.To);
        Assert.Equal(TimeSpan.FromSeconds(2), source.Batch);
        Assert.Equal(2 << 20, source.WalMaxBytes);
    }

    [Theory]
    [InlineData(
        "/data/${NOPE}.db",
        "variable NOPE is not defined",
        "Set NOPE in the environment of this process (systemd: Environment= or EnvironmentFile=). " + LiteralHint)]
    [InlineData("/data/${NAME", "\"${\" has no closing \"}\"", "Write it like ${HOME}. " + LiteralHint)]
    [InlineData("/data/${}", "\"\" is not the name of a variable", "Names are letters, digits and _, like ${HOME}. " + LiteralHint)]
    [InlineData("/data/${1A}", "\"1A\" is not the name of a variable", "Names are letters, digits and _, like ${HOME}. " + LiteralHint)]
    [InlineData("/d/${A:-b}", "\"A:-b\" is not the name of a variable", "Names are letters, digits and _, like ${HOME}. " + LiteralHint)]
    public void What_cannot_be_replaced_is_refused(string path, string message, string hint) =>
        AssertError("4:30", message, hint, Minimal.Replace("/data/app.db", $"'{path}'"));

    [Fact]
    public void A_variable_that_is_empty_is_an_empty_value() => AssertError(
        "4:30",
        "path of source app is empty",
        "Write path: /var/lib/app/app.db.",
        () => Parse(Minimal.Replace("/data/app.db", "'${EMPTY}'"), ("EMPTY", "")));

    [Fact]
    public void A_variable_that_nothing_asks_for_is_not_looked_up() =>
        Assert.NotNull(Parse($"# ${{NOPE}}\n{Minimal}"));
}
