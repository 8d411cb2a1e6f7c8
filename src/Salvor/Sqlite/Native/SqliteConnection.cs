using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Salvor.Sqlite.Native;

/// <summary>A call to SQLite failed. <see cref="Code"/> is the extended result code: https://www.sqlite.org/rescode.html.</summary>
sealed class SqliteException(int code, string message) : Exception(message)
{
    public int Code { get; } = code;

    /// <summary>The primary result code.</summary>
    public int PrimaryCode => Code & 0xff;

    /// <summary>Another connection holds a lock that is needed now.</summary>
    public bool IsBusy => PrimaryCode is 5 or 6;

    /// <summary>Whether a journal has to be played back, which whoever only reads must not.</summary>
    public bool IsJournalLeft => Code == 776;

    public bool IsNotADatabase => PrimaryCode == 26;

    /// <summary>The statement was stopped from outside.</summary>
    public bool IsInterrupted => PrimaryCode == 9;
}

/// <summary>A thin connection. Not thread-safe: one thread at a time.</summary>
sealed unsafe class SqliteConnection : IDisposable
{
    nint handle;

    /// <summary>Opens a file. Never creates one unless the flags say so.</summary>
    public SqliteConnection(string path, int flags)
    {
        var code = LibSqlite.Open(path, out handle, flags | LibSqlite.OpenNoMutex, 0);
        if (code != LibSqlite.Ok)
        {
            var e = Failure(code);
            Dispose();
            throw e;
        }
    }

    public static string LibraryVersion => LibSqlite.Text(LibSqlite.Version());

    /// <summary>
    /// Once, before the first connection of a process that has no other use for SQLite: no memory is set aside for each connection. With
    /// thousands of connections that hardly read, it would be most of what they need.
    /// </summary>
    public static void ConfigureForManyObservers()
    {
        // Where something used the library before, both answer "misuse" and change nothing; it then takes more memory, and that is all.
        _ = LibSqlite.ConfigureGlobally(LibSqlite.GlobalPageCache, 0, 0, 0);
        _ = LibSqlite.ConfigureGlobally(LibSqlite.GlobalLookaside, 0, 0);
    }

    /// <summary>
    /// For a connection that only looks: closing it never checkpoints, and it keeps no memory for statements that it will never run.
    /// </summary>
    public void BecomeObserver()
    {
        int applied;
        Check(LibSqlite.Configure(handle, LibSqlite.ConfigNoCheckpointOnClose, 1, &applied));
        Invariant.Check(applied == 1);
        Check(LibSqlite.ConfigureBuffer(handle, LibSqlite.ConfigLookaside, 0, 0, 0));
        Execute("PRAGMA cache_size=1");
    }

    public void SetBusyTimeout(TimeSpan timeout) => Check(LibSqlite.BusyTimeout(handle, (int)timeout.TotalMilliseconds));

    /// <summary>
    /// From now on, statements fail with <see cref="SqliteException.IsInterrupted"/> once the token is cancelled. Dispose the answer before
    /// the connection.
    /// </summary>
    public IDisposable StopWhen(CancellationToken cancellationToken) => new Stop(this, cancellationToken);

    /// <summary>Runs a statement and drops its rows.</summary>
    public void Execute(string sql) => Query(sql, row: null);

    /// <summary>The first column of all rows, as text.</summary>
    public List<string> QueryTexts(string sql)
    {
        var texts = new List<string>();
        Query(sql, statement => texts.Add(LibSqlite.Text(LibSqlite.ColumnText(statement, 0))));
        return texts;
    }

    /// <summary>
    /// The first column of the first rows of one statement, as text; a NULL is "NULL". A second statement in the text is refused: nobody
    /// would see what it says.
    /// </summary>
    public List<string> QueryFirst(string sql, int rowsMax)
    {
        var texts = new List<string>();
        var statement = PrepareOnly(sql);
        try
        {
            var code = LibSqlite.Row;
            while (texts.Count < rowsMax && (code = LibSqlite.Step(statement)) == LibSqlite.Row)
            {
                var text = LibSqlite.ColumnText(statement, 0);
                texts.Add(text == 0 ? "NULL" : LibSqlite.Text(text));
            }

            return code is LibSqlite.Row or LibSqlite.Done ? texts : throw Failure(code);
        }
        finally
        {
            _ = LibSqlite.Finalize(statement);
        }
    }

    /// <summary>Copies all pages as of one commit, those in the log too, into an empty database.</summary>
    public void CopyTo(SqliteConnection target)
    {
        var copy = LibSqlite.BeginCopy(target.handle, "main", handle, "main");
        if (copy == 0)
        {
            throw target.Failure(LibSqlite.Error);
        }

        var code = LibSqlite.StepCopy(copy, pages: -1);
        var finished = LibSqlite.FinishCopy(copy);
        if (code != LibSqlite.Done)
        {
            throw target.Failure(finished == LibSqlite.Ok ? code : finished);
        }
    }

    /// <summary>SQLite's own object for the database file, so that no second handle on the file is ever needed.</summary>
    public FileObject DatabaseFile() => new(Control(LibSqlite.FileControlFilePointer));

    /// <summary>SQLite's own object for the -wal file; null before the first read of a database in WAL mode.</summary>
    public FileObject? WalFile()
    {
        var pointer = Control(LibSqlite.FileControlJournalPointer);
        return pointer == 0 || !FileObject.IsOpen(pointer) ? null : new FileObject(pointer);
    }

    public void Dispose()
    {
        if (handle != 0)
        {
            _ = LibSqlite.Close(handle);
            handle = 0;
        }
    }

    nint PrepareOnly(string sql)
    {
        var bytes = System.Text.Encoding.UTF8.GetBytes(sql);
        fixed (byte* text = bytes)
        {
            byte* tail;
            Check(LibSqlite.PrepareFirst(handle, text, bytes.Length, out var statement, &tail));
            var end = (int)(tail - text);
            var rest = System.Text.Encoding.UTF8.GetString(bytes, end, bytes.Length - end).Trim();
            if (statement != 0 && rest.Length == 0)
            {
                return statement;
            }

            _ = LibSqlite.Finalize(statement);
            throw new SqliteException(
                LibSqlite.Error, statement == 0 ? "there is no statement" : $"more than one statement: {rest}");
        }
    }

    void Query(string sql, Action<nint>? row)
    {
        Check(LibSqlite.Prepare(handle, sql, -1, out var statement, 0));
        try
        {
            int code;
            while ((code = LibSqlite.Step(statement)) == LibSqlite.Row)
            {
                row?.Invoke(statement);
            }

            if (code != LibSqlite.Done)
            {
                throw Failure(code);
            }
        }
        finally
        {
            _ = LibSqlite.Finalize(statement);
        }
    }

    nint Control(int operation)
    {
        nint pointer = 0;
        Check(LibSqlite.FileControl(handle, "main", operation, &pointer));
        return pointer;
    }

    void Check(int code)
    {
        if (code != LibSqlite.Ok)
        {
            throw Failure(code);
        }
    }

    SqliteException Failure(int code)
    {
        if (handle == 0)
        {
            return new SqliteException(code, "out of memory");
        }

        var extended = LibSqlite.ExtendedErrorCode(handle);
        return new SqliteException(extended == 0 ? code : extended, LibSqlite.Text(LibSqlite.ErrorMessage(handle)));
    }

    /// <summary>
    /// Both ways of SQLite are needed: an interrupt reaches a single long instruction, but is forgotten where no statement runs yet; the
    /// handler is asked between instructions.
    /// </summary>
    sealed class Stop : IDisposable
    {
        const int InstructionsBetween = 10_000;

        readonly SqliteConnection connection;
        readonly CancellationTokenRegistration registration;
        GCHandle state;

        public Stop(SqliteConnection connection, CancellationToken cancellationToken)
        {
            this.connection = connection;
            state = GCHandle.Alloc(cancellationToken);
            LibSqlite.SetProgressHandler(connection.handle, InstructionsBetween, &IsDue, GCHandle.ToIntPtr(state));
            registration = cancellationToken.Register(() => LibSqlite.Interrupt(connection.handle));
        }

        public void Dispose()
        {
            // Waits for an interrupt that is under way, so that none reaches a closed connection.
            registration.Dispose();
            LibSqlite.SetProgressHandler(connection.handle, 0, null, 0);
            state.Free();
        }

        [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
        static int IsDue(nint state) => ((CancellationToken)GCHandle.FromIntPtr(state).Target!).IsCancellationRequested ? 1 : 0;
    }
}
