using System.Text.Json;
using Salvor.Tests.Support;

namespace Salvor.Tests.Vault.Vectors;

/// <summary>
/// The vectors were made by an independent writer. Our reader and the second one must make of each exactly what the manifest says.
/// </summary>
[Collection(QuietMachine.Name)]
public sealed class VectorTests
{
    const int VectorsMin = 100;
    const long BytesMax = 2 << 20;

    /// <summary>Reading a small vault may cost no more than this, whatever it says of itself.</summary>
    const long AllocatedBytesMax = 64 << 20;

    public static TheoryData<string> Names => [.. Vector.All.Select(vector => vector.Name)];

    [Fact]
    public void There_are_enough_and_they_are_small()
    {
        Assert.True(Vector.All.Count >= VectorsMin, $"there are {Vector.All.Count}");
        Assert.Equal(Vector.All.Count, Vector.All.DistinctBy(vector => vector.Name).Count());
        var bytes = Directory.EnumerateFiles(Vector.Root, "*", SearchOption.AllDirectories).Sum(path => new FileInfo(path).Length);
        Assert.True(bytes <= BytesMax, $"they have {bytes} bytes");
    }

    [Theory]
    [MemberData(nameof(Names))]
    public async Task Our_reader_makes_of_it_what_the_manifest_says(string name)
    {
        var vector = Vector.All.Single(item => item.Name == name);
        var store = await vector.LoadAsync();
        foreach (var (point, expected) in vector.Expect)
        {
            var allocated = GC.GetTotalAllocatedBytes();
            var outcome = await vector.JudgeAsync(store, point);
            Assert.True(Vector.WithoutLayer(expected).Contains(outcome), $"{vector.What}: {point} gave '{outcome}', not '{expected}'");
            allocated = GC.GetTotalAllocatedBytes() - allocated;
            Assert.True(allocated < AllocatedBytesMax, $"{allocated} bytes were allocated");
        }
    }

    [Fact]
    public async Task The_second_reader_makes_of_them_what_the_manifest_says()
    {
        var result = await Tool.RunAsync("vault_vectors.py", "check", Vector.Root);

        Assert.True(result.ExitCode == 0, $"{result}");
        Assert.Equal(Vector.All.Count, JsonElement.Parse(result.Stdout).GetProperty("checked").GetInt32());
    }

    [Fact]
    public async Task They_are_what_their_generator_makes()
    {
        var result = await Tool.RunAsync("vault_vectors.py", "compare", Vector.Root);

        Assert.True(result.ExitCode == 0, $"{result}");
    }
}
