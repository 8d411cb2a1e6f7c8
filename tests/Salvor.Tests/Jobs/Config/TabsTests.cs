using static Salvor.Tests.Jobs.Config.ConfigTesting;

namespace Salvor.Tests.Jobs.Config;

public sealed class TabsTests
{
    const string Hint = $"YAML is indented by spaces alone: 'expand -t 2 {FileName}' prints it so, 'cat -A' shows the tabs as ^I.";

    [Fact]
    public void A_line_that_begins_with_a_tab_is_named() =>
        AssertError("2:1", "the line begins with a tab", Hint, "destinations:\n\tlocal: { type: file, path: /backups }\n");

    [Fact]
    public void A_mix_of_spaces_and_a_tab_is_named() => AssertError(
        "3:3", "the line begins with spaces and a tab", Hint, "destinations:\n  local:\n  \ttype: file\n    path: /backups\n");

    [Fact]
    public void A_tab_among_lines_with_spaces_is_named() => AssertError(
        "4:1", "the line begins with a tab", Hint, "destinations:\n  local:\n    type: file\n\tpath: /backups\n");

    [Fact]
    public void A_tab_between_a_key_and_its_value_means_nothing() =>
        Assert.Equal("/data/app.db", Parse(Minimal.Replace("local: {", "local:\t{")).Sources["app"].Path);
}
