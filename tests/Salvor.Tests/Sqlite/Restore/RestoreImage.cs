using Microsoft.Win32.SafeHandles;
using Salvor.Tests.Support;

namespace Salvor.Tests.Sqlite.Restore;

/// <summary>A proved database as a restore would write it, of ten rows.</summary>
static class RestoreImage
{
    static readonly Lazy<byte[]> Content = new(() =>
    {
        using var directory = new TemporaryDirectory();
        PythonDatabase.Make(directory["image.db"], firstId: 1, lastId: 10);
        return File.ReadAllBytes(directory["image.db"]);
    });

    public static void WriteTo(SafeFileHandle file, byte[]? content = null) =>
        RandomAccess.Write(file, content ?? Content.Value, fileOffset: 0);
}

/// <summary>A clock that stands still.</summary>
sealed class FixedTime : TimeProvider
{
    public static readonly FixedTime Instance = new();

    public override DateTimeOffset GetUtcNow() => new(2026, 11, 20, 10, 30, 0, TimeSpan.Zero);
}
