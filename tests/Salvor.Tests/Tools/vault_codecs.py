"""The codecs of frames for an independent writer, put together by hand from runs of a byte and what lies between them: the same content
always gives the same bytes, whatever version of a library is installed."""
import re
import struct
import zlib

STORED, ZSTD, LZ4, GZIP = 0, 1, 2, 3
RUNS = re.compile(rb"(.)\1{15,131071}", re.DOTALL)
GZIP_HEAD = bytes.fromhex("1F8B0800") + bytes(4) + b"\0\xff"


def pieces(content):
    """What lies before a run, the byte of the run and its length; of the rest the length is 0."""
    end = 0
    for run in RUNS.finditer(content):
        yield content[end:run.start()], run[1], run.end() - run.start()
        end = run.end()
    yield content[end:], b"", 0


def zstd(content):
    """One zstd frame of a known content size."""
    blocks = []
    for literals, byte, length in pieces(content):
        for start in range(0, len(literals), 65536):
            piece = literals[start:start + 65536]
            blocks.append((0, len(piece), piece))
        if length:
            blocks.append((1, length, byte))
    frame = bytes.fromhex("28B52FFD") + b"\xa0" + struct.pack("<I", len(content))
    for row, (kind, size, body) in enumerate(blocks or [(0, 0, b"")]):
        frame += struct.pack("<I", size << 3 | kind << 1 | (row >= len(blocks) - 1))[:3] + body
    return frame


def lz4(content):
    """One LZ4 block. The last 12 bytes are literals, as the format asks for."""
    block, literals = b"", b""
    for before, byte, length in pieces(content[:-12]):
        literals += before
        if length:
            literals += byte
            block += lz4_sequence(literals, length - 1)
            literals = b""
    return block + lz4_sequence(literals + content[-12:], 0)


def lz4_sequence(literals, match):
    """Literals, and then that many times the last of them, at least 4; 0 in the last sequence."""

    def more(length):
        return b"\xff" * ((length - 15) // 255) + bytes([(length - 15) % 255]) if length >= 15 else b""

    token = bytes([min(len(literals), 15) << 4 | (min(match - 4, 15) if match else 0)])
    return token + more(len(literals)) + literals + (b"\1\0" + more(match - 4) if match else b"")


def gzip(content):
    """One gzip member: a block of fixed Huffman codes."""
    return GZIP_HEAD + deflate(content) + struct.pack("<2I", zlib.crc32(content), len(content))


def deflate(content):
    bits = [1, 1, 0]

    def code(value, length):
        bits.extend(value >> at & 1 for at in reversed(range(length)))

    def literal(byte):
        code(*((0x30 + byte, 8) if byte < 144 else (0x190 + byte - 144, 9)))

    for literals, byte, length in pieces(content):
        for value in literals:
            literal(value)
        if length:
            literal(byte[0])
            for _ in range((length - 1) // 258):
                code(0b11000101, 8)  # 285: the byte at the distance that follows, 258 times
                code(0, 5)           # distance 1
            for _ in range((length - 1) % 258):
                literal(byte[0])
    code(0, 7)
    bits.extend([0] * (-len(bits) % 8))
    return bytes(sum(bit << at for at, bit in enumerate(bits[start:start + 8])) for start in range(0, len(bits), 8))


PACK_BY = {STORED: bytes, ZSTD: zstd, LZ4: lz4, GZIP: gzip}
