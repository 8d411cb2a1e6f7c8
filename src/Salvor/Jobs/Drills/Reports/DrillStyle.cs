namespace Salvor.Jobs.Drills.Reports;

/// <summary>How the page looks, by day, by night and on paper.</summary>
static class DrillStyle
{
    public const string Sheet = """

        :root { color-scheme: light dark; --back: #f6f7f9; --card: #fff; --ink: #1c2430; --quiet: #5d6878; --line: #dfe3e9;
          --pass: #1a7f46; --warn: #8a6100; --fail: #b3261e; --fetch: #3867d6; --apply: #2a9d8f; --recover: #c2557a;
          --check: #e0a100; --smoke: #8e5bd0; }
        @media (prefers-color-scheme: dark) { :root { --back: #12161c; --card: #1a2029; --ink: #e7ebf1; --quiet: #98a3b3; --line: #2c3542;
          --pass: #52c585; --warn: #e3b341; --fail: #ff7b72; --fetch: #6d95f2; --apply: #4cc2b4; --recover: #e58aa8;
          --check: #efc14a; --smoke: #b28ce6; } }
        * { box-sizing: border-box; }
        body { margin: 0; background: var(--back); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
        main { max-width: 820px; margin: 0 auto; padding: 32px 20px; }
        main + main { border-top: 1px solid var(--line); }
        header { display: flex; align-items: center; gap: 14px; flex-wrap: wrap; }
        h1 { font-size: 26px; margin: 0; overflow-wrap: anywhere; }
        h2 { font-size: 17px; margin: 32px 0 10px; }
        .quiet { color: var(--quiet); margin: 6px 0 18px; overflow-wrap: anywhere; }
        .badge, .tag { border: 1px solid currentColor; border-radius: 999px; font-weight: 700; letter-spacing: .03em; }
        .badge { font-size: 15px; padding: 3px 14px; }
        .tag { font-size: 11px; padding: 1px 8px; white-space: nowrap; overflow-wrap: normal; }
        .badge.pass, .tag.pass { color: var(--pass); }
        .badge.stale, .tag.stale, .tag.warn { color: var(--warn); }
        .badge.fail, .tag.fail { color: var(--fail); }
        .tag.skipped { color: var(--quiet); }
        .reason { border-left: 4px solid var(--warn); background: var(--card); padding: 12px 16px; margin: 0 0 20px;
          overflow-wrap: anywhere; }
        .reason.fail { border-color: var(--fail); }
        .cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(165px, 1fr)); gap: 12px; }
        .cards div { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; }
        .cards span, .cards small { display: block; color: var(--quiet); font-size: 13px; }
        .cards b { display: block; font-size: 24px; font-variant-numeric: tabular-nums; }
        .cards .missed { border-color: var(--fail); } .cards .missed b { color: var(--fail); }
        svg { display: block; width: 100%; height: auto; }
        svg.phases { height: 26px; border-radius: 6px; }
        svg.trend { background: var(--card); border: 1px solid var(--line); border-radius: 10px; margin-bottom: 14px; }
        svg text { fill: var(--quiet); font: 12px system-ui, sans-serif; }
        .grid { stroke: var(--line); } .target { stroke: var(--fail); stroke-dasharray: 5 4; }
        .rto { fill: none; stroke: var(--fetch); stroke-width: 2; }
        circle.pass { fill: var(--pass); } circle.stale { fill: var(--warn); } circle.fail { fill: var(--fail); }
        rect.fetch { fill: var(--fetch); } rect.apply { fill: var(--apply); }
        rect.recover { fill: var(--recover); }
        rect.check { fill: var(--check); } rect.smoke { fill: var(--smoke); }
        .legend { list-style: none; display: flex; flex-wrap: wrap; gap: 6px 22px; padding: 0; margin: 10px 0 0; }
        .legend i { display: inline-block; width: 11px; height: 11px; border-radius: 3px; margin-right: 7px; }
        i.fetch { background: var(--fetch); } i.apply { background: var(--apply); }
        i.recover { background: var(--recover); }
        i.check { background: var(--check); } i.smoke { background: var(--smoke); }
        .wide { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
        table { border-collapse: collapse; width: 100%; min-width: 600px; font-size: 14px; }
        th, td { text-align: left; vertical-align: top; padding: 8px 12px; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
        th { color: var(--quiet); font-weight: 600; white-space: nowrap; }
        tbody tr:last-child td { border-bottom: 0; }
        .number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
        pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: 12px; margin: 8px 0 0; color: var(--quiet); }
        dl.facts { display: grid; grid-template-columns: max-content 1fr; gap: 6px 18px; margin: 0; }
        dt { color: var(--quiet); } dd { margin: 0; overflow-wrap: anywhere; }
        dl.review dd { border-bottom: 1px solid var(--line); height: 34px; margin-bottom: 12px; }
        @media print { :root { --back: #fff; --card: #fff; --ink: #000; --quiet: #444; --line: #bbb; } body { font-size: 11pt; }
          main { padding: 0; max-width: none; break-after: page; }
          h2, tr, svg, .cards div { break-inside: avoid; } h2 { break-after: avoid; }
          svg, i { print-color-adjust: exact; } .wide { overflow: visible; } table { min-width: 0; } }

        """;
}
