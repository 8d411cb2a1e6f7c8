using Salvor.Jobs.Config;

namespace Salvor.Tests.Jobs.Config;

public sealed class ConfigFileTests : IDisposable
{
    readonly string folder = Directory.CreateTempSubdirectory("salvor config ").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public void A_file_is_read_relative_to_its_folder()
    {
        var path = Write("salvor.yaml", "\ufeff" + ConfigTesting.Minimal.Replace("/data/app.db", "app.db"));

        var config = ConfigFile.Load(path);

        Assert.Equal(Path.Combine(folder, "app.db"), config.Sources["app"].Path);
        Assert.Equal(path, config.FileName);
    }

    [Fact]
    public void Variables_come_from_the_environment_that_was_passed() => Assert.Equal(
        "/x/app.db",
        ConfigFile.Load(Write("c.yaml", ConfigTesting.Minimal.Replace("/data/app.db", "'${D}/app.db'")), name => name == "D" ? "/x" : null)
            .Sources["app"].Path);

    [Fact]
    public void A_file_that_does_not_exist_is_named() =>
        AssertUnreadable(Path.Combine(folder, "no.yaml"), "does not exist", "Name the file with --config, or create it.");

    [Fact]
    public void A_folder_that_does_not_exist_is_named() =>
        AssertUnreadable(Path.Combine(folder, "no/no.yaml"), "does not exist", "Name the file with --config, or create it.");

    [Fact]
    public void A_directory_is_no_file() =>
        AssertUnreadable(folder, "is a directory", "Name a file that this user may read with --config.");

    [Fact]
    public void A_huge_file_is_refused() => AssertUnreadable(
        Write("c.yaml", new string('#', (1 << 20) + 1)), "is larger than 1MiB", "Check that it is a Salvor configuration.");

    [Fact]
    public void A_file_of_the_largest_size_is_read() =>
        Assert.NotNull(ConfigFile.Load(Write("c.yaml", (ConfigTesting.Minimal + "\n").PadRight(1 << 20, '#'))));

    [Fact]
    public void A_file_without_an_end_is_refused() =>
        AssertUnreadable("/dev/zero", "is larger than 1MiB", "Check that it is a Salvor configuration.");

    [Fact]
    public void A_file_that_is_no_text_is_refused()
    {
        var path = Path.Combine(folder, "c.yaml");
        File.WriteAllBytes(path, [0xff, 0xfe, 0x00]);

        AssertUnreadable(path, "is not UTF-8 text", "Save it as UTF-8.");
    }

    [Fact]
    public void The_file_that_was_named_comes_first_even_when_it_does_not_exist() =>
        Assert.Equal("/named.yaml", ConfigFile.Locate("/named.yaml", _ => "/environment.yaml", Write("default.yaml", "")));

    [Fact]
    public void The_file_of_the_environment_comes_second() => Assert.Equal(
        "/environment.yaml",
        ConfigFile.Locate(null, name => name == "SALVOR_CONFIG" ? "/environment.yaml" : null, Write("default.yaml", "")));

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    public void The_default_comes_last(string? variable)
    {
        var path = Write("default.yaml", "");

        Assert.Equal(path, ConfigFile.Locate(null, _ => variable, path));
    }

    [Fact]
    public void Without_any_file_the_error_shows_how_to_begin()
    {
        var path = Path.Combine(folder, "no.yaml");

        var e = Assert.Throws<SalvorException>(() => ConfigFile.Locate(null, _ => null, path));

        Assert.Equal(FailureKind.Usage, e.Kind);
        Assert.Equal($"no configuration: neither --config nor $SALVOR_CONFIG names a file, and {path} does not exist", e.Message);
        Assert.Equal(
            """
            Create /etc/salvor/salvor.yaml, or name another file with --config:
                destinations:
                  local: { type: file, path: /var/backups/salvor }
                sources:
                  app: { type: sqlite, path: /var/lib/app/app.db, to: [local] }
            For one database without a file, run 'salvor replicate DB DEST'.
            """,
            e.Hint);
    }

    [Fact]
    public void The_lines_that_the_error_shows_are_a_configuration()
    {
        var e = Assert.Throws<SalvorException>(() => ConfigFile.Locate(null, _ => null, Path.Combine(folder, "no.yaml")));

        Assert.NotNull(ConfigTesting.Parse(string.Join('\n', e.Hint.Split('\n')[1..^1])));
    }

    string Write(string name, string text)
    {
        var path = Path.Combine(folder, name);
        File.WriteAllText(path, text);
        return path;
    }

    static void AssertUnreadable(string path, string what, string hint)
    {
        var e = Assert.Throws<SalvorException>(() => ConfigFile.Load(path));
        Assert.Equal(FailureKind.Usage, e.Kind);
        Assert.Equal($"configuration {path} {what}", e.Message);
        Assert.Equal(hint, e.Hint);
    }
}
