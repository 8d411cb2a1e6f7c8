using Salvor.Tests.Support;

namespace Salvor.Tests.Cli;

public sealed class BenchTests : IAsyncDisposable
{
    readonly CliRig _rig = new();

    public ValueTask DisposeAsync() => _rig.DisposeAsync();

    [Fact]
    public async Task A_folder_keeps_every_promise_and_is_left_as_it_was()
    {
        _rig.Configure(CliRig.Source("app", "app/app.db"));
        var result = await _rig.ConfiguredAsync("bench", "destination", "local", "--size", "8MiB");
        Assert.True(result.ExitCode == 0, $"{result}");
        Assert.StartsWith($"local at {_rig["vaults"]}\n✓ may put, get, list and delete\n✓ ", result.Stdout, StringComparison.Ordinal);
        Assert.Contains(" promises that backups rest on are kept\n  put    p50 ", result.Stdout, StringComparison.Ordinal);
        Assert.Contains("\n  write  ", result.Stdout, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFiles(_rig["vaults"], "*", SearchOption.AllDirectories));
    }

    [Fact]
    public async Task A_destination_that_is_not_configured_is_named_with_those_that_are()
    {
        _rig.Configure(CliRig.Source("app", "app/app.db"));
        CliRig.AssertError(
            await _rig.ConfiguredAsync("bench", "destination", "locla"), 2,
            $"{_rig["salvor.yaml"]} has no destination 'locla'",
            "Did you mean \"local\"? Its destinations are local; a folder is spelled with a slash.");
    }

    [Fact]
    public async Task A_size_that_is_none_is_told() => Assert.StartsWith(
        "salvor: '--size much' is not a size up to 16 GiB\n",
        (await _rig.ExpectAsync(2, "bench", "destination", "./vaults", "--size", "much")).Stderr, StringComparison.Ordinal);
}
