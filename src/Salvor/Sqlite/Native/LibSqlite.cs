using System.Runtime.InteropServices;

namespace Salvor.Sqlite.Native;

/// <summary>The few calls of the C interface that are needed: https://www.sqlite.org/c3ref/intro.html.</summary>
static unsafe partial class LibSqlite
{
    public const int Ok = 0;
    public const int Error = 1;
    public const int Busy = 5;
    public const int Corrupt = 11;
    public const int Row = 100;
    public const int Done = 101;
    public const int ShortRead = 522;

    public const int OpenReadOnly = 0x1;
    public const int OpenReadWrite = 0x2;
    public const int OpenCreate = 0x4;
    public const int OpenUri = 0x40;
    public const int OpenNoMutex = 0x8000;

    public const int FileControlFilePointer = 7;
    public const int FileControlJournalPointer = 28;
    public const int GlobalPageCache = 7;
    public const int GlobalLookaside = 13;
    public const int ConfigLookaside = 1001;
    public const int ConfigNoCheckpointOnClose = 1006;

    const string Library = "libsqlite3.so.0";

    [LibraryImport(Library, EntryPoint = "sqlite3_open_v2", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Open(string path, out nint connection, int flags, nint vfs);

    [LibraryImport(Library, EntryPoint = "sqlite3_close_v2")]
    public static partial int Close(nint connection);

    [LibraryImport(Library, EntryPoint = "sqlite3_backup_init", StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint BeginCopy(nint target, string targetName, nint source, string sourceName);

    [LibraryImport(Library, EntryPoint = "sqlite3_backup_step")]
    public static partial int StepCopy(nint copy, int pages);

    [LibraryImport(Library, EntryPoint = "sqlite3_backup_finish")]
    public static partial int FinishCopy(nint copy);

    [LibraryImport(Library, EntryPoint = "sqlite3_busy_timeout")]
    public static partial int BusyTimeout(nint connection, int milliseconds);

    [LibraryImport(Library, EntryPoint = "sqlite3_prepare_v2", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Prepare(nint connection, string sql, int byteCount, out nint statement, nint tail);

    [LibraryImport(Library, EntryPoint = "sqlite3_prepare_v2")]
    public static partial int PrepareFirst(nint connection, byte* sql, int byteCount, out nint statement, byte** tail);

    [LibraryImport(Library, EntryPoint = "sqlite3_step")]
    public static partial int Step(nint statement);

    [LibraryImport(Library, EntryPoint = "sqlite3_interrupt")]
    public static partial void Interrupt(nint connection);

    [LibraryImport(Library, EntryPoint = "sqlite3_progress_handler")]
    public static partial void SetProgressHandler(
        nint connection, int instructions, delegate* unmanaged[Cdecl]<nint, int> handler, nint state);

    [LibraryImport(Library, EntryPoint = "sqlite3_finalize")]
    public static partial int Finalize(nint statement);

    [LibraryImport(Library, EntryPoint = "sqlite3_column_text")]
    public static partial nint ColumnText(nint statement, int column);

    [LibraryImport(Library, EntryPoint = "sqlite3_errmsg")]
    public static partial nint ErrorMessage(nint connection);

    [LibraryImport(Library, EntryPoint = "sqlite3_extended_errcode")]
    public static partial int ExtendedErrorCode(nint connection);

    [LibraryImport(Library, EntryPoint = "sqlite3_file_control", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int FileControl(nint connection, string database, int operation, nint* result);

    // Both are variadic in C. For integers and pointers that is the same call on every Linux that .NET runs on.
    [LibraryImport(Library, EntryPoint = "sqlite3_db_config")]
    public static partial int Configure(nint connection, int operation, int value, int* result);

    [LibraryImport(Library, EntryPoint = "sqlite3_db_config")]
    public static partial int ConfigureBuffer(nint connection, int operation, nint buffer, int size, int count);

    [LibraryImport(Library, EntryPoint = "sqlite3_config")]
    public static partial int ConfigureGlobally(int option, nint buffer, int size, int count);

    [LibraryImport(Library, EntryPoint = "sqlite3_config")]
    public static partial int ConfigureGlobally(int option, int size, int count);

    [LibraryImport(Library, EntryPoint = "sqlite3_libversion")]
    public static partial nint Version();

    public static string Text(nint utf8) => Marshal.PtrToStringUTF8(utf8) ?? "";
}
