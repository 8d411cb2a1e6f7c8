using Salvor.Jobs.Config;

namespace Salvor.Tests.Jobs.Config;

/// <summary>Builders that the tests of the configuration share. The file is always <c>/etc/salvor/c.yaml</c>.</summary>
static class ConfigTesting
{
    public const string FileName = "/etc/salvor/c.yaml";

    public const string Minimal = """
        destinations:
          local: { type: file, path: /backups }
        sources:
          app: { type: sqlite, path: /data/app.db, to: [local] }
        """;

    public static SalvorConfig Parse(string text, params (string Name, string Value)[] variables) =>
        ConfigFile.Parse(text, FileName, name => variables.FirstOrDefault(variable => variable.Name == name).Value);

    /// <summary>A configuration whose only source has these further keys.</summary>
    public static SqliteSourceConfig ParseSource(string keys, params (string Name, string Value)[] variables) =>
        Parse($"destinations:\n  local: {{ type: file, path: /backups }}\nsources:\n  app:\n    {keys}", variables).Sources["app"];

    /// <summary>The error, with the file's name in its message left out.</summary>
    public static void AssertError(string place, string message, string hint, Action parse)
    {
        var e = Assert.Throws<SalvorException>(parse);
        Assert.Equal(FailureKind.Usage, e.Kind);
        Assert.Equal($"{FileName}:{place}: {message}", e.Message);
        Assert.Equal(hint, e.Hint);
    }

    public static void AssertError(string place, string message, string hint, string text) =>
        AssertError(place, message, hint, () => Parse(text));
}
