"""The sound vaults among the test vectors, and what changes them in one place. See vault_vectors.py."""
import hashlib
import struct
from types import SimpleNamespace

from vault_codecs import GZIP, LZ4, STORED, ZSTD
from vault_objects import BASE, RESYNC
from vault_primitives import crc32c
from vault_writer import Database, Writer

CASES, SOUND = [], {}
KEY_FILE, PASSPHRASE = "k" * 40, "correct horse battery staple"
DATA_KEY = hashlib.sha256(b"data key of the vectors").digest()
L1, L2, L3, L4, L6, L7 = (f"log/000001/{number:016}" for number in (1, 2, 3, 4, 6, 7))
S0, S5 = "snapshots/000001/0000000000000000", "snapshots/000001/0000000000000005"
BR1, BR2 = "branches/000001", "branches/000002"
B2L1, B2L3 = "log/000002/0000000000000001", "log/000002/0000000000000003"
COMPACTED = "log/000001/0000000000000001-0000000000000006"


def add(name, what, base, files, expect, key_file=None, passphrase=None):
    CASES.append(SimpleNamespace(name=name, what=what, base=base, files=files, expect=expect, key_file=key_file, passphrase=passphrase))


def sound(name, what, build, base=None, key_file=None, passphrase=None, **options):
    """A vault of which every point restores."""
    writer = build(Writer("plain" if base else name, **options))
    SOUND[name] = (build, options, writer)
    add(name, what, base, writer.files, writer.points, key_file, passphrase)


def forged(name, what, key, change, expect, base="plain", identity=None):
    """The vault as its writer would have made it had it meant the change: everything after is linked to it."""
    build, options, _ = SOUND[base]
    changes = {key: change} if key else {}
    writer = build(Writer(base, **options, change=changes, identity=identity))
    add_changed(name, what, base, writer.files, expect)


def broken(name, what, edit, expect, base="plain", key_file=None, passphrase=None):
    """The vault with an object changed afterwards."""
    files = dict(SOUND[base][2].files)
    edit(files)
    add_changed(name, what, base, files, expect, key_file, passphrase)


def add_changed(name, what, base, files, expect, key_file=None, passphrase=None):
    points = SOUND[base][2].points
    case = next(case for case in CASES if case.name == base)
    expect = points if expect is None else {point: points[point] if outcome is None else outcome for point, outcome in expect.items()}
    is_given = key_file or passphrase
    add(name, what, base, files, expect, key_file if is_given else case.key_file, passphrase)


# ---- changes to bytes


def reseal(data):
    """The same object with checksums and hash that fit."""
    data = bytearray(data)
    struct.pack_into("<I", data, 204, crc32c(data[:204]))
    count = struct.unpack_from("<I", data, len(data) - 48)[0]
    index = len(data) - 48 - 20 * count
    if index >= 208:
        struct.pack_into("<I", data, len(data) - 44, crc32c(data[index:-48]))
    data[-40:-8] = hashlib.sha256(data[:-40]).digest()
    return bytes(data)


def patched(key, at, content, fits=True):
    """Other bytes at an offset of an object, from its end where that is negative; with checksums that fit, or not."""

    def edit(files):
        data = bytearray(files[key])
        start = at if at >= 0 else len(data) + at
        data[start:start + len(content)] = content
        files[key] = reseal(data) if fits else bytes(data)

    return edit


def flipped(key, at):
    """One bit of an object."""

    def edit(files):
        data = bytearray(files[key])
        data[at if at >= 0 else len(data) + at] ^= 1
        files[key] = bytes(data)

    return edit


def row(key, number, field, value):
    """A field of a row of the frame index, whose checksum fits: offset, stored, content, codec or CRC."""

    def edit(files):
        data = bytearray(files[key])
        count = struct.unpack_from("<I", data, len(data) - 48)[0]
        at = len(data) - 48 - 20 * (count - number) + {"offset": 0, "stored": 4, "content": 8, "codec": 12, "crc": 16}[field]
        struct.pack_into("<B" if field == "codec" else "<I", data, at, value)
        files[key] = reseal(data)

    return edit


def without(*keys):
    return lambda files: [files.pop(key) for key in keys]


def copied(source, target):
    return lambda files: files.__setitem__(target, files[source])


def swapped(one, other):
    return lambda files: files.update({one: files[other], other: files[one]})


def setting(**fields):
    """A change of fields of the details of a log object."""
    return lambda parts: parts["fields"].update(fields)


def heading(**fields):
    return lambda parts: parts["header"].update(fields)


def damaged(key, layer, *points):
    return {point: f"damaged {key} {layer}" for point in points}


# ---- sound vaults


def noise(seed, size=512):
    """A page that does not compress."""
    return b"".join(hashlib.sha256(f"{seed} {block}".encode()).digest() for block in range(size // 32))


def begin(writer, pages):
    """Branch 1 with an image that was read while page 2 changed and the database shrank, and the base that completes it."""
    writer.branch(1)
    writer.database = Database(writer, [writer.content(page, fill) for page, fill in enumerate(pages, 1)])
    writer.snapshot(image=1)
    writer.log([(len(pages) - 1, {2: 3})], kind=BASE)


def history(writer):
    """Everything that a writer does: batches, change-sets in parts, leftovers, shrinking, growing, snapshots, backups, a branch."""
    begin(writer, [1, 2, noise("a"), 4, 5, 6, 7])
    writer.log([(6, {1: 10}), (8, {7: 11, 8: noise("b"), 2: 13})])
    writer.log(part={4: 20, 5: noise("c")})
    writer.log([(8, {6: 22})], first_part=3)
    fork, left = dict(writer.at), writer.database.copy()
    writer.log(part={1: 99})
    writer.log([(5, {2: 30, 7: 31})])
    writer.snapshot()
    writer.log([(9, {6: 40, 7: 41, 8: 42, 9: 43}), (9, {9: noise("d")})])
    writer.backup(1, 1, 5)
    writer.backup(2, 1, 6)
    writer.database = left
    writer.branch(2, 1, fork["position"], fork["number"], fork["link"])
    writer.log([(8, {1: 50})])
    writer.fence()
    writer.log([(8, {2: 51})], kind=RESYNC)
    for position in (1, 2, 3, 4):
        writer.points[f"2:{position}"] = writer.points[f"1:{position}"]
    return writer


def locked(writer):
    writer.exported()
    writer.slot(1, "key_file", KEY_FILE.encode(), {"name": "hkdf-sha256"})
    writer.slot(2, "passphrase", PASSPHRASE.encode(), {"name": "argon2id", "memory_kib": 64, "iterations": 1, "parallelism": 2}, "argon")
    writer.slot(3, "passphrase", b"another one", {"name": "pbkdf2-sha256", "iterations": 1000}, "pbkdf2")
    return history(writer)


def compacted(writer):
    begin(writer, [1, 2, 3, 4])
    for step in range(6):
        writer.log([(4 + step % 3, {4 + part: 10 * step + part for part in range(step % 3 + 1)} | {1: noise(f"e{step}"), 3: 5 + step})])
    writer.compact(1, 1, 6, kept={1, 3, 6}, kind=BASE)
    return writer


def compacted_parts(writer):
    begin(writer, [1, 2, 3, 4])
    for step in range(6):
        writer.log([(6, {page: noise(f"f{step}{page}") for page in range(1, 7)})])
    writer.compact(1, 1, 6, kept={1, 4, 6}, kind=BASE, part_pages=5)
    return writer


def compacted_beside(writer):
    begin(writer, [1, 2, 3, 4])
    for step in range(6):
        writer.log([(3, {1: step + 1, 3: noise(f"g{step}")})])
    writer.compact(1, 1, 6, kept={6}, kind=BASE, delete=False)
    return writer


def compacted_overlap(writer):
    """A snapshot stands inside of a range."""
    begin(writer, [1, 2, 3, 4])
    for step in range(3):
        writer.log([(3, {1: step + 1})])
    writer.snapshot()
    for step in range(3):
        writer.log([(3, {2: 90 + step})])
    writer.compact(1, 1, 6, kept={1, 3, 5, 6}, kind=BASE)
    return writer


def deep(writer):
    """257 chunks: a tree of two levels."""
    begin(writer, [1] * 258)
    writer.log([(257, {257: noise("h") + bytes(15872)}), (257, {1: 9})])
    writer.snapshot()
    writer.log([(257, {2: 7})])
    return writer


def small_pages(writer):
    begin(writer, [noise(f"i{page}") for page in range(70)])
    writer.log([(69, {page: page for page in range(1, 70)})])
    writer.snapshot()
    writer.log([(70, {70: 1})])
    return writer


def moved(writer):
    """The chunks of a snapshot went to another pack, which went on to a third."""
    history(writer)
    pack = next(name for name in sorted(writer.files) if name.startswith("packs/") and holds(writer, name, S5))
    content = b"".join(writer_pages(writer))
    second, third = writer.pack([content, b"other"]), writer.pack([content, b"one more", b"and more"])
    writer.move(1, [(pack.split("/")[1], ["0" * 64, second])])
    writer.move(2, [(second, [third])])
    del writer.files[pack], writer.files[f"packs/{second}"]
    return writer


def holds(writer, pack, snapshot):
    return bytes.fromhex(pack.split("/")[1]) in writer.files[snapshot]


def writer_pages(writer):
    """The pages of 1:5, where the second snapshot is: 1 and 3 of before, and what came after."""
    return [bytes([10]) * 512, bytes([30]) * 512, noise("a"), bytes([20]) * 512, noise("c")]


def empty(writer):
    """A database of no pages, which grows."""
    writer.branch(1)
    writer.snapshot(image=1)
    writer.log([(1, {1: 1})], kind=BASE)
    writer.log([(0, {})])
    writer.snapshot()
    writer.log([(2, {1: 2, 2: 3})])
    return writer


def stored(writer):
    """Nothing is compressed."""
    for key in (L1, L2, L7, S5):
        writer.change[key] = lambda parts: parts.update(codec=STORED)
    return history(writer)


def packed_by(*codecs):
    """Objects of these codecs, one after the other."""

    def build(writer):
        writer.codecs = codecs
        return history(writer)

    return build


def curious(writer):
    """What a later writer of version 1 may do: members, objects and reserved bytes that this version does not know."""
    history(writer)
    writer.json("vault", 1, {"source": "app", "kind": "sqlite", "path": "/data/app.db", "created_at": "2026-08-01T10:30:00+00:00",
                             "page_seed": f"{writer.seed:016x}", "colour": {"deep": [1, 2, {"three": None}]}})
    writer.json("notes/one", 77, {"hello": "there"})
    writer.json("more", 78, {})
    for key in (L2, S5):
        data = bytearray(writer.files[key])
        data[10:12], data[148:172], data[172:204] = b"\1\2", b"\3" * 24, b"\4" * 32
        writer.files[key] = reseal(data)
    return writer


def build_sound():
    sound("plain", "all that a writer does, in a vault that is not encrypted", history)
    sound("encrypted", "the same, encrypted, opened by a key file", locked, key_file=KEY_FILE, data_key=DATA_KEY)
    sound("compacted", "a compacted log object that dropped commits", compacted)
    sound("compacted-parts", "a compacted log object in several parts", compacted_parts)
    sound("compacted-beside", "a compacted log object beside those that it was made of, which have the points that it dropped",
          compacted_beside)
    sound("compacted-overlap", "a compacted log object around a snapshot", compacted_overlap)
    sound("encrypted-compacted", "an encrypted compacted log object in parts", lambda writer: compacted_parts(unlocked(writer)),
          key_file=KEY_FILE, data_key=DATA_KEY)
    sound("deep-tree", "a snapshot whose tree has two levels; pages of 16 KiB", deep, page_size=16384)
    sound("large-pages", "pages of 64 KiB, which are chunks", deep_large, page_size=65536)
    sound("small-pages", "pages of 512 bytes in several chunks", small_pages)
    sound("moved", "packs that were replaced twice, by move records", moved)
    sound("empty", "a database of no pages", empty)
    sound("uncompressed", "frames of codec 0", stored)
    sound("lz4", "frames of codec 2", packed_by(LZ4))
    sound("gzip", "frames of codec 3", packed_by(GZIP))
    sound("codecs", "frames of all codecs: the setting was changed", packed_by(ZSTD, LZ4, GZIP, STORED))
    sound("encrypted-codecs", "the same, encrypted", lambda writer: packed_by(GZIP, LZ4, ZSTD)(unlocked(writer)), key_file=KEY_FILE,
          data_key=DATA_KEY)
    sound("curious", "members, kinds of objects and reserved bytes that version 1 does not know: ignored", curious)


def unlocked(writer):
    writer.exported()
    writer.slot(1, "key_file", KEY_FILE.encode(), {"name": "hkdf-sha256"})
    return writer


def deep_large(writer):
    begin(writer, [1, 2, 3])
    writer.log([(3, {3: 8})])
    writer.snapshot()
    return writer
