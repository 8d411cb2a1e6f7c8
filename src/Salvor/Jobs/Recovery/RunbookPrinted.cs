namespace Salvor.Jobs.Recovery;

/// <summary>The steps that are others for what a command printed.</summary>
public sealed partial class Runbook
{
    void VerifyPrinted()
    {
        Line("4. Second check: there is something in it, and about as much as there should be.");
        Commands($"test -s {Shell.Quote(Candidate)} && ls -l {Shell.Quote(Candidate)}");
        Line("5. Smoke test: give it to a throwaway instance of what takes it back, and look for the rows that matter.");
        Checks();
    }

    void TakeBack()
    {
        Line($"6. Give it to what takes it back, which only you know: after {Code("--")} stands the command that reads it, as "
            + $"{Code("psql app")} reads what {Code("pg_dump")} printed. Let that be a new database beside the old one, and exchange them "
            + "when it is whole; a command that fails is named, and what it took is to be thrown away.");
        Line(Code($"salvor restore {Source} $POINT {Config} --pipe -- COMMAND"));
    }
}
