using System.Text;
using Salvor.Platform;

namespace Salvor.Postgres.Restore;

/// <summary>
/// The log that a server is given for its recovery: a folder in its data directory with all files that there are, and the command that
/// hands them out. PostgreSQL takes every exit code from 1 to 125 for the end of the log and then begins to write, so the command says 1
/// only for a file that this folder was never to have: one that should be there and is not, or cannot be copied, stops the server.
/// </summary>
/// <param name="dataDirectory">Of the server.</param>
sealed class RecoveryFolder(string dataDirectory)
{
    /// <summary>Its name in the data directory.</summary>
    public const string Name = "salvor_recovery";

    /// <summary>What it is called until it is whole: a server that is there already may still recover from an earlier one.</summary>
    public const string NewName = Name + ".new";

    /// <summary>
    /// The server runs it in its data directory. A shell that cannot open the script ends with a code that would be the end of the log.
    /// </summary>
    public const string RestoreCommand = $"/bin/sh {Name}/{ScriptName} %f %p; c=$?; [ $c -le 1 ] && exit $c; exit 255";

    const string ScriptName = "get";
    const string ListName = "names";

    const string Script = $"""
        # Gives PostgreSQL a file of its log: sh {Name}/{ScriptName} NAME TARGET, in the data directory.
        # Exit code 0: it is at TARGET. 1: the log has no such file. 255: it should be here, and is not, or cannot be copied; then
        # PostgreSQL stops, where it would take anything below 126 for the end of the log, and go on without the rest.
        if [ -f "{Name}/$1" ]; then
            cp "{Name}/$1" "$2" && exit 0
            exit 255
        fi
        grep -qxF -- "$1" {Name}/{ListName}
        [ $? -eq 1 ] && exit 1
        exit 255

        """;

    readonly List<string> names = [];

    string Folder => Path.Combine(dataDirectory, NewName);

    /// <summary>Makes the folder, empty and under <see cref="NewName"/>.</summary>
    public void Begin()
    {
        Remove(dataDirectory, NewName);
        Directory.CreateDirectory(Folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        names.Clear();
    }

    /// <summary>Adds a file of the log.</summary>
    public void Add(string name, ReadOnlySpan<byte> content)
    {
        Write(name, content);
        names.Add(name);
    }

    /// <summary>Adds the command, and what it is to have.</summary>
    public void Finish()
    {
        Write(ListName, Encoding.ASCII.GetBytes(string.Concat(names.Select(name => $"{name}\n"))));
        Write(ScriptName, Encoding.ASCII.GetBytes(Script));
    }

    /// <summary>
    /// Puts it where the server looks, in place of that of an earlier recovery, when no server can start: once all is durable, one may.
    /// </summary>
    public void Exchange()
    {
        Remove(dataDirectory);
        Posix.Rename(Folder, Path.Combine(dataDirectory, Name));
    }

    /// <summary>Removes it: a server that is recovered never asks again.</summary>
    public static void Remove(string dataDirectory, string name = Name)
    {
        var folder = Path.Combine(dataDirectory, name);
        if (Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    void Write(string name, ReadOnlySpan<byte> content)
    {
        using var file = File.OpenHandle(Path.Combine(Folder, name), FileMode.CreateNew, FileAccess.Write);
        RandomAccess.Write(file, content, 0);
    }
}
