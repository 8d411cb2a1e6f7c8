using YamlDotNet.Core;
using YamlDotNet.Core.Events;
using YamlDotNet.RepresentationModel;

namespace Salvor.Jobs.Config;

/// <summary>From text to a tree, with all that can be wrong with the text as an error that names its line.</summary>
static class YamlText
{
    /// <summary>Settings are five levels deep. The tree is built by recursion, so depth must have an end.</summary>
    public const int DepthMax = 32;

    const string SyntaxHint =
        "Correct the YAML there. Usual causes are indentation, a missing quote, a missing space after a colon, and a ${..} without "
        + "quotes inside of { } or [ ].";

    static readonly Mark Beginning = new(0, 1, 1);

    public static YamlMappingNode Read(string text, ConfigDocument document)
    {
        Scan(text, document);

        var stream = new YamlStream();
        var parser = new Parser(new StringReader(text));
        try
        {
            stream.Load(parser);
        }
        catch (YamlException e)
        {
            // The scan has found the syntax sound: what is left are keys that are written twice.
            throw document.Error(e.Start, Sentence(e), "Keep one of the two.", e);
        }
        catch (ArgumentException e)
        {
            // The scanner reports some stray colons as an end without a beginning.
            throw document.Error(parser.Current?.Start ?? Beginning, "what is here is malformed", SyntaxHint, e);
        }

        if (stream.Documents.Count > 1)
        {
            throw document.Error(stream.Documents[1].RootNode, "a second document begins here", "Keep one document, without '---' inside.");
        }

        return stream.Documents.FirstOrDefault()?.RootNode switch
        {
            YamlMappingNode root => root,
            null or YamlScalarNode { Value: null or "" } =>
                throw document.Error(Beginning, "the configuration is empty", "Give it 'destinations:' and 'sources:'."),
            var other => throw document.Error(
                other, "the configuration is not a mapping of keys to values", "Begin it with 'destinations:' and 'sources:'."),
        };
    }

    /// <summary>Goes through the text without building anything, where every error has a place and nothing recurses.</summary>
    static void Scan(string text, ConfigDocument document)
    {
        var parser = new Parser(new StringReader(text));
        var open = new Stack<NodeEvent>();
        var anchors = new HashSet<AnchorName>();
        while (MoveNext(parser, open, document, text))
        {
            switch (parser.Current)
            {
                case AnchorAlias alias:
                    CheckAlias(alias, anchors, open, document);
                    break;
                case NodeEvent node:
                    CheckTag(node, document);
                    if (!node.Anchor.IsEmpty)
                    {
                        anchors.Add(node.Anchor);
                    }

                    if (node is MappingStart or SequenceStart)
                    {
                        open.Push(node);
                    }

                    break;
                case MappingEnd or SequenceEnd:
                    open.Pop();
                    break;
                default:
                    break;
            }

            if (open.Count > DepthMax)
            {
                throw document.Error(
                    open.Peek().Start, $"lists and mappings are nested more than {DepthMax} deep", "Flatten them: no setting needs that.");
            }
        }
    }

    static bool MoveNext(Parser parser, Stack<NodeEvent> open, ConfigDocument document, string text)
    {
        try
        {
            return parser.MoveNext();
        }
        catch (YamlException e)
        {
            var readTo = Math.Max(e.End.Line, parser.Current?.End.Line ?? 0);
            throw Tab(text, readTo, document, e) ?? document.Error(e.Start, Sentence(e), SyntaxHint, e);
        }
        catch (Exception e) when (e is InvalidOperationException or ArgumentException)
        {
            // The parser loses its way in an unfinished [..] or {..}, and in a malformed tag, without saying where.
            throw open.TryPeek(out var begin)
                ? document.Error(begin.Start, "the list or mapping that begins here is malformed: its end may be missing", SyntaxHint, e)
                : document.Error(parser.Current?.End ?? Beginning, "what follows here is malformed", SyntaxHint, e);
        }
    }

    /// <summary>What looks like the indentation of its neighbours and is none: nobody sees a tab.</summary>
    static SalvorException? Tab(string text, long readTo, ConfigDocument document, YamlException inner)
    {
        var lines = text.Split('\n');
        for (var i = Math.Max(0, (int)inner.Start.Line - 2); i <= Math.Min(lines.Length - 1, readTo); i++)
        {
            var at = lines[i].AsSpan().IndexOfAnyExcept(' ');
            if (at >= 0 && lines[i][at] == '\t' && lines[i].AsSpan(at).IndexOfAnyExcept(" \t\r") > 0)
            {
                return document.Error(
                    new Mark(0, i + 1, at + 1),
                    at == 0 ? "the line begins with a tab" : "the line begins with spaces and a tab",
                    $"YAML is indented by spaces alone: 'expand -t 2 {document.FileName}' prints it so, 'cat -A' shows the tabs as ^I.",
                    inner);
            }
        }

        return null;
    }

    static void CheckAlias(AnchorAlias alias, HashSet<AnchorName> anchors, Stack<NodeEvent> open, ConfigDocument document)
    {
        if (!anchors.Contains(alias.Value))
        {
            throw document.Error(
                alias.Start, $"*{alias.Value} refers to an anchor that is not defined", $"Write &{alias.Value} before the value it means.");
        }

        if (open.Any(node => node.Anchor == alias.Value))
        {
            throw document.Error(alias.Start, $"*{alias.Value} refers to itself", "Move the anchor out of the value that uses it.");
        }
    }

    /// <summary>YAML's own tags (<c>!!str</c>) say nothing that the key's type does not; any other tag is a mistake.</summary>
    static void CheckTag(NodeEvent node, ConfigDocument document)
    {
        if (!node.Tag.IsEmpty && !node.Tag.IsNonSpecific && !node.Tag.Value.StartsWith("tag:yaml.org,2002:", StringComparison.Ordinal))
        {
            throw document.Error(node.Start, $"tag {node.Tag.Value} has no meaning here", "Remove it, or put quotes around the text.");
        }
    }

    static string Sentence(YamlException e)
    {
        var text = e.Message.TrimEnd('.');
        return $"{char.ToLowerInvariant(text[0])}{text[1..]}";
    }
}
