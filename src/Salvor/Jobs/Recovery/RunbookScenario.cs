namespace Salvor.Jobs.Recovery;

/// <summary>What happened.</summary>
public enum RunbookScenario
{
    /// <summary>The database is gone or wrong, and the machine is well.</summary>
    Restore,

    /// <summary>The machine is gone.</summary>
    ServerLoss,

    /// <summary>What is in the database is wrong since some moment.</summary>
    Corruption,

    /// <summary>Somebody else was on the machine.</summary>
    Ransomware,
}
