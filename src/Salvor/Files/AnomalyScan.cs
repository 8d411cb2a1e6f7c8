using Salvor.Platform;
using Salvor.Text;
using Salvor.Vault.Trees;

namespace Salvor.Files;

/// <summary>
/// Looks for what ransomware leaves behind, by what differs from the snapshot before: counts alone, and no file is read for it. Its memory
/// is bounded by the endings of names, not by the names.
/// </summary>
sealed class AnomalyScan
{
    /// <summary>A person changes or deletes fewer files in a day; a program that means harm seldom stops before.</summary>
    const int FilesMin = 50;

    /// <summary>One of so many files that were there: a release of an app changes less of what its users keep.</summary>
    const int ShareMin = 4;

    /// <summary>Below this, what compresses and what does not lie too close together to be told apart.</summary>
    const long BytesMin = 8 << 20;

    /// <summary>Where an ending says by itself what happened, fewer will do.</summary>
    const int TellingFilesMin = 10;

    /// <summary>More endings than that are random ones, of which no new one says anything.</summary>
    const int EndingsMax = 1 << 16;

    const int EndingLengthMax = 16;

    static readonly HashSet<string> TellingEndings =
        ["encrypted", "locked", "crypt", "crypted", "crypto", "lockbit", "wncry", "ryuk", "akira", "conti"];

    /// <summary>How notes begin, without case, and without what stands in front of the first letter or between words.</summary>
    static readonly string[] Notes =
    [
        "decryptreadme", "readmedecrypt", "readmetodecrypt", "howtodecrypt", "decryptinstruction", "decryptfiles", "decryptyourfiles",
        "recoverfiles", "recoveryourfiles", "restorefiles", "restoreyourfiles", "howtorecoverfiles", "howtorestorefiles", "yourfilesare",
        "howtorecoveryourfiles", "howtorestoreyourfiles", "ransomnote",
    ];

    /// <summary>Notes are to be read. A script may be called <c>restore-files.sh</c> in all innocence.</summary>
    static readonly HashSet<string> NoteEndings = ["", "txt", "htm", "html", "hta", "rtf", "md"];

    readonly HashSet<ulong> knownEndings = [];
    readonly Dictionary<ulong, (string Text, long Count)> newEndings = [];
    long known;
    long matched;
    long changed;
    long changedBytes;
    long notes;
    string note = "";

    /// <summary>Counts a file of the snapshot before.</summary>
    public void CountKnown(TreeEntry entry)
    {
        known++;
        if (knownEndings.Count < EndingsMax && EndingOf(entry.Name, []) is var (hash, length) && length > 0)
        {
            knownEndings.Add(hash);
        }
    }

    /// <summary>Counts a file that is there.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="path">From the top of the tree.</param>
    /// <param name="before">What had this path in the snapshot before; null where nothing had.</param>
    public void CountFound(byte[] name, byte[] path, TreeEntry? before)
    {
        if (before?.Kind == TreeEntryKind.File)
        {
            matched++;
            return;
        }

        Span<char> letters = stackalloc char[EndingLengthMax];
        var (hash, length) = EndingOf(name, letters);
        if (length > 0 && newEndings.Count < EndingsMax)
        {
            newEndings[hash] = newEndings.TryGetValue(hash, out var seen)
                ? (seen.Text, seen.Count + 1)
                : (new string(letters[..length]), 1);
        }

        if (IsNote(name))
        {
            notes++;
            note = note.Length > 0 ? note : DirectoryCalls.Show(path);
        }
    }

    /// <summary>Counts a file that was read.</summary>
    /// <param name="before">What had its path in the snapshot before.</param>
    /// <param name="now">What it is now.</param>
    /// <param name="newBytes">How much of its content was nowhere in the vault.</param>
    public void CountRead(TreeEntry? before, TreeEntry now, long newBytes)
    {
        // Another owner alone makes a file be read, and changes nothing in it. What a run stored that was stopped is not new any more.
        if (before?.Kind == TreeEntryKind.File
            && (newBytes > 0 || (before.SizeBytes, before.ModifiedNanoseconds) != (now.SizeBytes, now.ModifiedNanoseconds)))
        {
            (changed, changedBytes) = (changed + 1, changedBytes + newBytes);
        }
    }

    /// <summary>What was found; each a line without a full stop.</summary>
    /// <param name="bytesRead">How many bytes of files were read.</param>
    /// <param name="addedBytes">What the backup added to the vault.</param>
    public IReadOnlyList<string> Find(long bytesRead, long addedBytes)
    {
        var (gone, found) = (known - matched, new List<string>());
        if (changed + gone >= FilesMin && (changed + gone) * ShareMin >= known)
        {
            found.Add($"of {known} file(s) of the backup before {changed} changed, and {gone} are gone");
        }

        if (knownEndings.Count < EndingsMax)
        {
            // A first import has a new ending too; but then nothing went for it.
            found.AddRange(
                from ending in newEndings
                where !knownEndings.Contains(ending.Key)
                    && (TellingEndings.Contains(ending.Value.Text)
                        ? ending.Value.Count >= TellingFilesMin
                        : ending.Value.Count >= FilesMin && gone * 2 >= ending.Value.Count)
                orderby ending.Value.Text
                select $"{ending.Value.Count} new name(s) end in '.{ending.Value.Text}', as none did before");
        }

        if (notes > 0)
        {
            found.Add($"{note} is named like a ransom note{(notes > 1 ? $", and {notes - 1} more are" : "")}");
        }

        // What changed has to be most of what was read: new photos do not compress either.
        if (changed >= FilesMin && changedBytes >= BytesMin && changedBytes * 2 >= bytesRead && addedBytes >= bytesRead / 10 * 9)
        {
            found.Add(
                $"{changed} file(s) changed into {SizeText.Format(changedBytes)} that do not compress and have nothing of what they were");
        }

        return found;
    }

    static bool IsNote(ReadOnlySpan<byte> name)
    {
        const int NameLengthMax = 100;
        if (name.Length > NameLengthMax)
        {
            return false;
        }

        Span<char> ending = stackalloc char[EndingLengthMax];
        Span<char> letters = stackalloc char[NameLengthMax];
        var dot = name.LastIndexOf((byte)'.');
        var length = dot < 0 ? 0 : LettersOf(name[(dot + 1)..], ending);
        ReadOnlySpan<char> begin = letters[..LettersOf(name, letters)];
        foreach (var text in Notes)
        {
            if (begin.StartsWith(text, StringComparison.Ordinal))
            {
                return NoteEndings.Contains(new string(ending[..length]));
            }
        }

        return false;
    }

    /// <summary>
    /// What is after the last dot, by its letters: dates and numbers, as rotated logs end in, are none. Written into the span as far as it
    /// has room; the length is 0 where a name has no ending.
    /// </summary>
    static (ulong Hash, int Length) EndingOf(ReadOnlySpan<byte> name, Span<char> text)
    {
        const ulong HashBasis = 14695981039346656037, HashPrime = 1099511628211;
        Span<char> letters = stackalloc char[EndingLengthMax];
        var dot = name.LastIndexOf((byte)'.');
        letters = letters[..(dot <= 0 ? 0 : LettersOf(name[(dot + 1)..], letters))];
        var hash = HashBasis;
        foreach (var letter in letters)
        {
            hash = unchecked((hash ^ letter) * HashPrime);
        }

        letters[..Math.Min(letters.Length, text.Length)].CopyTo(text);
        return (hash, letters.Length);
    }

    /// <summary>The letters of a name in lower case, as far as there is room for them.</summary>
    static int LettersOf(ReadOnlySpan<byte> name, Span<char> letters)
    {
        var length = 0;
        foreach (var letter in name)
        {
            if (char.IsAsciiLetter((char)letter) && length < letters.Length)
            {
                letters[length++] = char.ToLowerInvariant((char)letter);
            }
        }

        return length;
    }
}
