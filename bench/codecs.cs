#!/usr/bin/env dotnet
#:property AllowUnsafeBlocks=true
#:property PublishAot=false

// How fast and how small the codecs, and how fast the hashes, on the pages of a SQLite database; one thread, in memory. The figures of
// docs/decisions/0005-hashes-and-codec.md come from here: dotnet run -c Release bench/codecs.cs [DATABASE]

using System.Buffers.Binary;
using System.Diagnostics;
using System.IO.Compression;
using System.Numerics;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

const int Rounds = 3;
const int MiB = 1 << 20;

var data = File.ReadAllBytes(args.Length > 0 ? args[0] : Generate());
Console.WriteLine($"{data.Length / (double)MiB:F0} MiB, {RuntimeInformation.ProcessArchitecture}, best of {Rounds}\n");
Console.WriteLine("| codec | frame | compress GB/s | decompress GB/s | size |\n|---|---|---|---|---|");
foreach (var frame in (int[])[64 << 10, MiB, 4 * MiB])
{
    RunCodec("zstd 1", frame, (source, target) => Zstd.Compress(source, target, 1), Zstd.Decompress);
}

RunCodec("none", MiB, Copy, Copy);
RunCodec("lz4", MiB, Lz4.Compress, Lz4.Decompress);
RunCodec("zstd -1", MiB, (source, target) => Zstd.Compress(source, target, -1), Zstd.Decompress);
RunCodec("zstd 3", MiB, (source, target) => Zstd.Compress(source, target, 3), Zstd.Decompress);
RunCodec("brotli 1", MiB, BrotliCompress, (source, target) => BrotliDecoder.TryDecompress(source, target, out var size) ? size : 0);

Console.WriteLine("\n| hash | piece | GB/s |\n|---|---|---|");
var hash = new byte[32];
RunHash("SHA-256", 16 << 10, piece => SHA256.HashData(piece, hash));
RunHash("SHA-256", MiB, piece => SHA256.HashData(piece, hash));
RunHash("XXH3-64, seeded", 4 << 10, piece => XxHash.Hash(piece));
RunHash("CRC-32C", 256 << 10, piece => Crc32C(piece));

void RunCodec(string name, int frameBytes, Coder compress, Coder decompress)
{
    var frames = data.Chunk(frameBytes).ToArray();
    var stored = frames.Select(frame => new byte[(frame.Length * 2) + 1024]).ToArray();
    var sizes = new int[frames.Length];
    var content = new byte[frameBytes];
    var compressSeconds = Best(() =>
    {
        for (var i = 0; i < frames.Length; i++)
        {
            sizes[i] = compress(frames[i], stored[i]);
        }
    });
    var decompressSeconds = Best(() =>
    {
        for (var i = 0; i < frames.Length; i++)
        {
            decompress(stored[i].AsSpan(0, sizes[i]), content.AsSpan(0, frames[i].Length));
        }
    });
    var percent = 100.0 * sizes.Sum(size => (long)size) / data.Length;
    Console.WriteLine(
        $"| {name} | {frameBytes >> 10} KiB | {Rate(compressSeconds):F2} | {Rate(decompressSeconds):F2} | {percent:F1} % |");
}

void RunHash(string name, int pieceBytes, Hasher run)
{
    var seconds = Best(() =>
    {
        for (var offset = 0; offset < data.Length; offset += pieceBytes)
        {
            run(data.AsSpan(offset, Math.Min(pieceBytes, data.Length - offset)));
        }
    });
    Console.WriteLine($"| {name} | {pieceBytes >> 10} KiB | {Rate(seconds):F2} |");
}

double Rate(double seconds) => data.Length / seconds / 1e9;

static double Best(Action step) => Enumerable.Range(0, Rounds).Min(_ =>
{
    var watch = Stopwatch.StartNew();
    step();
    return watch.Elapsed.TotalSeconds;
});

static int Copy(ReadOnlySpan<byte> source, Span<byte> target)
{
    source.CopyTo(target);
    return source.Length;
}

static int BrotliCompress(ReadOnlySpan<byte> source, Span<byte> target) =>
    BrotliEncoder.TryCompress(source, target, out var size, quality: 1, window: 22) ? size : throw new InvalidOperationException("brotli");

static void Crc32C(ReadOnlySpan<byte> bytes)
{
    var crc = uint.MaxValue;
    for (; bytes.Length >= 8; bytes = bytes[8..])
    {
        crc = BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
    }

    GC.KeepAlive(crc);
}

// Orders with keys, times, text that repeats, text that does not, and some content that cannot be compressed.
static string Generate()
{
    var path = Path.Combine(Path.GetTempPath(), "salvor-bench-codecs.db");
    File.Delete(path);
    const string Sql = """
        CREATE TABLE orders(id INTEGER PRIMARY KEY, customer INTEGER, at TEXT, state TEXT, note TEXT, token BLOB, total REAL);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 700000)
        INSERT INTO orders SELECT i, abs(random()) % 50000, datetime(1700000000 + i * 37, 'unixepoch'),
            CASE abs(random()) % 4 WHEN 0 THEN 'open' WHEN 1 THEN 'paid' WHEN 2 THEN 'sent' ELSE 'returned' END,
            'Order ' || i || ' of customer ' || abs(random()) % 50000 || ', deliver to street ' || abs(random()) % 900,
            randomblob(24), round(abs(random()) % 100000 / 100.0, 2) FROM n;
        CREATE INDEX by_customer ON orders(customer, at);
        """;
    using var sqlite = Process.Start(new ProcessStartInfo("sqlite3", [path, Sql]))!;
    sqlite.WaitForExit();
    return sqlite.ExitCode == 0 ? path : throw new InvalidOperationException("sqlite3 failed");
}

delegate int Coder(ReadOnlySpan<byte> source, Span<byte> target);

delegate void Hasher(ReadOnlySpan<byte> piece);

static unsafe partial class Zstd
{
    static readonly nint Compressor = ZSTD_createCCtx();
    static readonly nint Decompressor = ZSTD_createDCtx();

    public static int Compress(ReadOnlySpan<byte> source, Span<byte> target, int level)
    {
        fixed (byte* from = source, to = target)
        {
            return (int)ZSTD_compressCCtx(Compressor, to, (nuint)target.Length, from, (nuint)source.Length, level);
        }
    }

    public static int Decompress(ReadOnlySpan<byte> source, Span<byte> target)
    {
        fixed (byte* from = source, to = target)
        {
            return (int)ZSTD_decompressDCtx(Decompressor, to, (nuint)target.Length, from, (nuint)source.Length);
        }
    }

    [LibraryImport("libzstd.so.1")]
    private static partial nint ZSTD_createCCtx();

    [LibraryImport("libzstd.so.1")]
    private static partial nint ZSTD_createDCtx();

    [LibraryImport("libzstd.so.1")]
    private static partial nuint ZSTD_compressCCtx(nint context, byte* target, nuint room, byte* source, nuint length, int level);

    [LibraryImport("libzstd.so.1")]
    private static partial nuint ZSTD_decompressDCtx(nint context, byte* target, nuint room, byte* source, nuint length);
}

static unsafe partial class Lz4
{
    public static int Compress(ReadOnlySpan<byte> source, Span<byte> target)
    {
        fixed (byte* from = source, to = target)
        {
            return LZ4_compress_default(from, to, source.Length, target.Length);
        }
    }

    public static int Decompress(ReadOnlySpan<byte> source, Span<byte> target)
    {
        fixed (byte* from = source, to = target)
        {
            return LZ4_decompress_safe(from, to, source.Length, target.Length);
        }
    }

    [LibraryImport("liblz4.so.1")]
    private static partial int LZ4_compress_default(byte* source, byte* target, int length, int room);

    [LibraryImport("liblz4.so.1")]
    private static partial int LZ4_decompress_safe(byte* source, byte* target, int length, int room);
}

static unsafe partial class XxHash
{
    public static ulong Hash(ReadOnlySpan<byte> source)
    {
        fixed (byte* from = source)
        {
            return XXH3_64bits_withSeed(from, (nuint)source.Length, 42);
        }
    }

    [LibraryImport("libxxhash.so.0"), SuppressGCTransition]
    private static partial ulong XXH3_64bits_withSeed(byte* source, nuint length, ulong seed);
}
