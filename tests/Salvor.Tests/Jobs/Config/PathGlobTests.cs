using Salvor.Jobs.Config;
using Salvor.Tests.Support;

namespace Salvor.Tests.Jobs.Config;

public sealed class PathGlobTests : IDisposable
{
    readonly ManualTime time = new();
    readonly string root = Directory.CreateTempSubdirectory("salvor glob ").FullName;

    public void Dispose() => Directory.Delete(root, recursive: true);

    [Theory]
    [InlineData("/data/tenants/*.db", "/data/tenants")]
    [InlineData("/data/*/app.db", "/data")]
    [InlineData("/data/**/app.db", "/data")]
    [InlineData("/data/t?/app.db", "/data")]
    [InlineData("/data/app.db", "/data")]
    [InlineData("/data/x/../tenants/*.db", "/data/tenants")]
    [InlineData("/*.db", "/")]
    public void The_base_is_the_deepest_directory_without_wildcards(string pattern, string expected) =>
        Assert.Equal(expected, new PathGlob([pattern]).BaseDirectory);

    [Theory]
    [InlineData("/data/*.db", "/data/acme.db")]
    [InlineData("/data/*.db", "/data/a.b.db")]
    [InlineData("/data/a*b*c.db", "/data/aXbbXc.db")]
    [InlineData("/data/?.db", "/data/a.db")]
    [InlineData("/data/*/app.db", "/data/acme/app.db")]
    [InlineData("/data/**/app.db", "/data/app.db")]
    [InlineData("/data/**/app.db", "/data/a/b/c/app.db")]
    [InlineData("/data/**/db/*", "/data/a/db/db/x")]
    [InlineData("/data/app.db", "/data/app.db")]
    [InlineData("/data/.hidden/*.db", "/data/.hidden/app.db")]
    [InlineData("/data/.*.db", "/data/.app.db")]
    [InlineData("/*.db", "/app.db")]
    [InlineData("/data/*.db", "/data/x/../app.db")]
    public void A_path_that_fits_is_a_match(string pattern, string path) => Assert.True(new PathGlob([pattern]).IsMatch(path));

    [Theory]
    [InlineData("/data/*.db", "/data/acme.sqlite")]
    [InlineData("/data/*.db", "/data/sub/acme.db")]
    [InlineData("/data/*.db", "/other/acme.db")]
    [InlineData("/data/*.db", "/database/acme.db")]
    [InlineData("/data/*.db", "/acme.db")]
    [InlineData("/data/*.db", "acme.db")]
    [InlineData("/data/*.db", "/data/ACME.DB")]
    [InlineData("/data/*.db", "/data/acme.db/")]
    [InlineData("/data/*.db", "/data")]
    [InlineData("/data/?.db", "/data/.db")]
    [InlineData("/data/?.db", "/data/ab.db")]
    [InlineData("/data/*/app.db", "/data/app.db")]
    [InlineData("/data/*.db", "/data/.hidden.db")]
    [InlineData("/data/**/app.db", "/data/.git/app.db")]
    public void A_path_that_does_not_fit_is_none(string pattern, string path) => Assert.False(new PathGlob([pattern]).IsMatch(path));

    [Theory]
    [InlineData("/data/app.db-wal")]
    [InlineData("/data/app.db-shm")]
    [InlineData("/data/app.db-journal")]
    [InlineData("/data/.salvor/state")]
    [InlineData("/data/sub/.salvor/x/state")]
    public void What_is_kept_beside_a_database_never_matches(string path) =>
        Assert.False(new PathGlob(["/data/**/*", "/data/*", "/data/.*/*"]).IsMatch(path));

    [Fact]
    public void A_member_is_named_by_its_path_below_the_base()
    {
        var glob = new PathGlob(["/data/**/*.db"]);

        Assert.True(glob.TryGetRelativePath("/data/eu/acme.db", out var relativePath));
        Assert.Equal("eu/acme.db", relativePath);
        Assert.Equal("tenants/eu/acme.db", glob.MemberName("tenants", "/data/eu/acme.db"));
        Assert.False(glob.TryGetRelativePath("/data/eu/acme.txt", out _));
    }

    [Fact]
    public void Several_patterns_match_what_any_of_them_matches()
    {
        var glob = new PathGlob(["/data/*.db", "/data/*.sqlite"]);

        Assert.Equal(["/data/*.db", "/data/*.sqlite"], glob.Patterns);
        Assert.True(glob.IsMatch("/data/a.db"));
        Assert.True(glob.IsMatch("/data/a.sqlite"));
        Assert.False(glob.IsMatch("/data/a.txt"));
    }

    [Theory]
    [InlineData("data/*.db", "is not an absolute path")]
    [InlineData("/data/", "names a directory, not files")]
    [InlineData("/data/**", "ends with **, which names directories, not files")]
    [InlineData("/data/a**/x.db", "has ** inside of a name, where it can only stand for whole directories")]
    [InlineData("/data/**.db", "has ** inside of a name, where it can only stand for whole directories")]
    [InlineData("/data/.salvor/*", "reaches into .salvor, where Salvor keeps its own state")]
    [InlineData("/data/[ab].db", "contains [, which patterns here do not know")]
    [InlineData("/data/{a,b}.db", "contains {, which patterns here do not know")]
    public void A_malformed_pattern_is_refused(string pattern, string problem)
    {
        var e = Assert.Throws<SalvorException>(() => new PathGlob([pattern]));

        Assert.Equal(FailureKind.Usage, e.Kind);
        Assert.Equal($"pattern \"{pattern}\" {problem}", e.Message);
        Assert.Equal("Write it like /data/tenants/*.db: * is part of a name, ? one character, ** any directories.", e.Hint);
    }

    [Fact]
    public void Patterns_with_two_bases_are_refused_because_two_members_could_get_one_name()
    {
        var e = Assert.Throws<SalvorException>(() => new PathGlob(["/a/*.db", "/b/*.db"]));

        Assert.Equal("pattern \"/b/*.db\" does not begin in /a", e.Message);
    }

    [Fact]
    public void The_members_that_exist_come_in_order()
    {
        Create("b.db", "a.db", "a.db-wal", "a.db-shm", "c.txt", "sub/d.db", ".salvor/e.db", ".hidden.db");

        AssertMembers("*.db", "a.db", "b.db");
    }

    [Fact]
    public void Two_stars_go_down_into_directories()
    {
        Create("a.db", "x/b.db", "x/y/c.db", "x/.salvor/d.db", ".git/e.db", "x/y/c.db-journal");

        AssertMembers("**/*.db", "a.db", "x/b.db", "x/y/c.db");
    }

    [Fact]
    public void A_directory_with_a_fitting_name_is_no_member()
    {
        Create("a.db/inside.txt", "b.db");

        AssertMembers("*.db", "b.db");
    }

    [Fact]
    public void A_link_to_a_directory_is_followed_to_a_fixed_depth()
    {
        Create("real/app.db");
        Directory.CreateSymbolicLink(Path.Combine(root, "link"), Path.Combine(root, "real"));

        AssertMembers("*/app.db", "link/app.db", "real/app.db");
    }

    [Fact]
    public void A_link_that_leads_in_a_circle_ends()
    {
        Create("real/app.db");
        Directory.CreateSymbolicLink(Path.Combine(root, "real/up"), root);

        AssertMembers("**/app.db", "real/app.db");
    }

    [Fact]
    public void A_base_that_does_not_exist_yet_has_no_members() => AssertMembers("later/*.db");

    [Fact]
    public void The_list_is_the_same_one_for_as_long_as_no_directory_changed()
    {
        Create("a.db", "x/b.db");
        var glob = Settled("**/*.db");

        var first = glob.Enumerate();
        File.AppendAllText(Path.Combine(root, "x/b.db"), "more");

        Assert.Same(first, glob.Enumerate());
        Create("x/c.db");
        Assert.Equal([$"{root}/a.db", $"{root}/x/b.db", $"{root}/x/c.db"], glob.Enumerate());
        Directory.Delete(Path.Combine(root, "x"), recursive: true);
        Assert.Equal([$"{root}/a.db"], glob.Enumerate());
    }

    [Fact]
    public void A_file_that_came_in_the_tick_of_the_clock_in_which_its_directory_was_read_is_found()
    {
        Create("a.db");
        var glob = Settled("*.db");
        Directory.SetLastWriteTimeUtc(root, time.GetUtcNow().UtcDateTime);

        Assert.Equal([$"{root}/a.db"], glob.Enumerate());
        Create("b.db");
        Directory.SetLastWriteTimeUtc(root, time.GetUtcNow().UtcDateTime);

        Assert.Equal([$"{root}/a.db", $"{root}/b.db"], glob.Enumerate());
    }

    [Fact]
    public void Behind_a_link_is_looked_each_time()
    {
        Create("real/app.db");
        Directory.CreateSymbolicLink(Path.Combine(root, "link"), Path.Combine(root, "later"));
        var glob = Settled("*/app.db");

        Assert.Equal([$"{root}/real/app.db"], glob.Enumerate());
        Directory.CreateDirectory(Path.Combine(root, "later"));
        Settle();

        Assert.NotSame(glob.Enumerate(), glob.Enumerate());
    }

    [Fact]
    public void A_base_that_appears_is_found()
    {
        var glob = Settled("later/*.db");

        Assert.Empty(glob.Enumerate());
        Create("later/a.db");
        Settle();

        Assert.Equal([$"{root}/later/a.db"], glob.Enumerate());
    }

    /// <summary>A glob in whose eyes nothing changed for long.</summary>
    PathGlob Settled(string pattern)
    {
        Settle();
        return new PathGlob([$"{root}/{pattern}"], time);
    }

    void Settle()
    {
        foreach (var directory in (string[])[root, .. Directory.GetDirectories(root, "*", SearchOption.AllDirectories)])
        {
            Directory.SetLastWriteTimeUtc(directory, time.GetUtcNow().UtcDateTime - TimeSpan.FromMinutes(1));
        }
    }

    [Fact]
    public void A_directory_that_cannot_be_read_is_named_while_the_others_go_on()
    {
        Create("a/app.db", "b/app.db");
        var failures = new List<SalvorException>();

        Assert.Equal([$"{root}/a/app.db"], new PathGlob([$"{root}/*/app.db"]).Enumerate(failures.Add, ListAllButB));

        var failure = Assert.Single(failures);
        Assert.Equal(FailureKind.SourceUnreadable, failure.Kind);
        Assert.Equal($"directory {root}/b cannot be read, so databases in it are not protected: denied", failure.Message);
        Assert.Equal($"Let this user read it: chmod o+rx {root}/b, or setfacl.", failure.Hint);
    }

    [Fact]
    public void A_directory_that_cannot_be_read_is_thrown_where_nobody_listens()
    {
        Create("a/app.db", "b/app.db");

        Assert.Throws<SalvorException>(() => new PathGlob([$"{root}/*/app.db"]).Enumerate(null, ListAllButB));
    }

    static FileSystemInfo[] ListAllButB(string directory) =>
        Path.GetFileName(directory) == "b"
            ? throw new UnauthorizedAccessException("denied")
            : new DirectoryInfo(directory).GetFileSystemInfos();

    void AssertMembers(string pattern, params string[] expected) =>
        Assert.Equal(
            expected,
            new PathGlob([$"{root}/{pattern}"]).Enumerate().Select(path => Path.GetRelativePath(root, path)));

    void Create(params string[] paths)
    {
        foreach (var path in paths)
        {
            var full = Path.Combine(root, path);
            Directory.CreateDirectory(Path.GetDirectoryName(full)!);
            File.WriteAllText(full, "");
        }
    }
}
