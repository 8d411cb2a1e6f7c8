"""What the test vectors are: sound vaults, and the same with one thing wrong. See vault_vectors.py."""
import hashlib
import json
import struct
from types import SimpleNamespace

from vault_objects import BASE, KEY, MIB, RESYNC, ZERO
from vault_primitives import crc32c, unzstd
from vault_writer import STORED, ZSTD, Database, Writer, zstd

CASES, SOUND = [], {}
KEY_FILE, PASSPHRASE = "k" * 40, "correct horse battery staple"
DATA_KEY = hashlib.sha256(b"data key of the vectors").digest()
L1, L2, L3, L4, L6, L7 = (f"log/000001/{number:016}" for number in (1, 2, 3, 4, 6, 7))
S0, S5 = "snapshots/000001/0000000000000000", "snapshots/000001/0000000000000005"
BR1, BR2, B2L1 = "branches/000001", "branches/000002", "log/000002/0000000000000001"
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
    writer.compact(1, 1, 6, kept={1, 3, 4, 6}, kind=BASE)
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
    sound("compacted-beside", "a compacted log object beside those that it was made of, which have the points that it dropped", compacted_beside)
    sound("compacted-overlap", "a compacted log object around a snapshot", compacted_overlap)
    sound("encrypted-compacted", "an encrypted compacted log object in parts", lambda writer: compacted_parts(unlocked(writer)),
          key_file=KEY_FILE, data_key=DATA_KEY)
    sound("deep-tree", "a snapshot whose tree has two levels; pages of 16 KiB", deep, page_size=16384)
    sound("large-pages", "pages of 64 KiB, which are chunks", deep_large, page_size=65536)
    sound("small-pages", "pages of 512 bytes in several chunks", small_pages)
    sound("moved", "packs that were replaced twice, by move records", moved)
    sound("empty", "a database of no pages", empty)
    sound("uncompressed", "frames of codec 0", stored)
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


# ---- one thing wrong: bytes

HEADER = [("magic", 0), ("version", 8), ("kind", 12), ("log-kind", 13), ("flags", 14), ("granularity", 15), ("vault", 16), ("branch", 32),
          ("epoch", 36), ("number", 40), ("first-position", 48), ("last-position", 56), ("first-time", 64), ("last-time", 72),
          ("before", 80), ("after", 112), ("points", 144), ("reserved", 150), ("salt", 172), ("crc", 204)]
INDEX = [("offset", -88), ("stored", -84), ("content", -80), ("codec", -76), ("reserved", -75), ("crc", -72)]


def build_flips():
    for name, at in HEADER:
        outcome = {"magic": damaged(L7, "magic", "1:7"), "version": {"1:7": f"unknown_version {L7}"}}.get(name, damaged(L7, "header", "1:7"))
        broken(f"flip-header-{name}", f"a bit of the header of a log object: {name}", flipped(L7, at), {"1:5": None} | outcome)
    for name, at in INDEX:
        broken(f"flip-index-{name}", f"a bit of the first row of the index: {name}", flipped(L7, at), damaged(L7, "index", "1:7"))
    broken("flip-footer-count", "a bit of the frame count", flipped(L7, -48), damaged(L7, "index", "1:7"))
    broken("flip-footer-crc", "a bit of the checksum of the index", flipped(L7, -44), damaged(L7, "index", "1:7"))
    broken("flip-footer-hash", "a bit of the hash of an object: only verifying reads it", flipped(L7, -40), None)
    broken("flip-footer-end", "a bit of the end mark", flipped(L7, -8), damaged(L7, "footer", "1:7"))
    broken("flip-frame", "a bit of a frame", flipped(L7, 220), damaged(L7, "frame", "1:7"))
    broken("flip-details", "a bit of the details", flipped(L7, -120), damaged(L7, "frame", "1:7"))
    for name, key in (("identity", "vault"), ("branch", BR1), ("snapshot", S0)):
        broken(f"flip-{name}", f"a bit of the details of another object: {name}", flipped(key, 230), damaged(key, "frame", "1:1"))
    for name, key in (("frame", "encrypted"), ("details", "encrypted")):
        broken(f"encrypted-flip-{name}", f"a bit of a sealed object, with checksums that fit: {name}",
               sealed_flip(L7, 0 if name == "frame" else -1), damaged(L7, "seal", "1:7"), base=key)
    broken("encrypted-flip-tag", "a bit of a tag, with checksums that fit", sealed_flip(L7, -1, last=True), damaged(L7, "seal", "1:7"),
           base="encrypted")
    for name, at in (("epoch", 36), ("salt", 172), ("reserved", 150)):
        broken(f"encrypted-header-{name}", f"a bit of the header of a sealed object, whose checksum fits: {name}",
               lambda files, at=at: (flipped(L7, at)(files), patched(L7, 10, b"\0\0")(files)), damaged(L7, "seal", "1:7"), base="encrypted")


def sealed_flip(key, number, last=False):
    """A bit of what is stored in a frame, with all checksums made to fit."""

    def edit(files):
        data = bytearray(files[key])
        count = struct.unpack_from("<I", data, len(data) - 48)[0]
        at = len(data) - 48 - 20 * (count - number % count)
        offset, stored_bytes = struct.unpack_from("<2I", data, at)
        data[offset + (stored_bytes - 1 if last else 3)] ^= 1
        struct.pack_into("<I", data, at + 16, crc32c(data[offset:offset + stored_bytes]))
        files[key] = reseal(data)

    return edit


def build_fitting():
    """The header says something else, and its checksum fits."""
    for name, at, value, layer in (
            ("kind", 12, b"\5", "place"), ("log-kind", 13, b"\3", "details"), ("flags", 14, b"\0", "details"),
            ("granularity", 15, b"\2", "details"), ("vault", 16, b"\1\2\3", "place"), ("branch", 32, b"\2", "place"),
            ("number", 40, b"\10", "place"), ("first-position", 48, b"\7", "details"), ("last-position", 56, b"\11", "details"),
            ("first-time", 64, b"\1", "details"), ("last-time", 72, b"\1", "details"), ("before", 80, b"\1", "lineage"),
            ("after", 112, b"\1", "lineage"), ("points", 144, b"\1", "details")):
        broken(f"header-{name}", f"the header of a log object says something else, and its checksum fits: {name}",
               patched(L7, at, value), or_gone(damaged(L7, layer, "1:7"), name == "flags"))
    broken("header-epoch", "another epoch: no link covers it", patched(L7, 36, b"\11"), None)
    broken("header-reserved", "reserved bytes and a salt that are not zero: ignored", patched(L7, 150, b"\1" * 54), None)
    for version in (0, 2, 256):
        broken(f"version-{version}", f"a log object of version {version}", patched(L7, 8, struct.pack("<H", version)),
               {"1:5": None, "1:7": f"unknown_version {L7}"})
    broken("version-2-identity", "an identity of version 2", patched("vault", 8, b"\2\0"), {"1:1": "unknown_version vault"})
    broken("version-2-pack", "a snapshot of version 2", patched(S0, 8, b"\2\0"), {"1:1": f"unknown_version {S0}"})
    broken("identity-of-another", "the identity of another vault: everything is foreign", patched("vault", 16, b"\1\2\3"),
           damaged(BR1, "place", "1:1"))
    for name, number, field, value, layer in (
            ("offset", 0, "offset", 209, "index"), ("overlap", 1, "offset", 208, "index"), ("stored-huge", 0, "stored", 0xFFFFFFF0, "index"),
            ("content-huge", 0, "content", MIB + 1, "index"), ("details-huge", 1, "content", (16 << 20) + 1, "index"),
            ("codec", 0, "codec", 2, "index"), ("codec-stored", 0, "codec", 0, "index"), ("content-short", 0, "content", 512, "details"),
            ("content-long", 0, "content", 4096, "details"), ("frame-crc", 0, "crc", 1, "frame"),
            ("details-short", 1, "content", 64, "frame"), ("details-long", 1, "content", 1 << 20, "frame")):
        broken(f"index-{name}", f"a row of the index has an impossible number, and its checksum fits: {name}", row(L7, number, field, value),
               damaged(L7, layer, "1:7"))
    for name, count in (("none", 0), ("overflow", 0xFFFFFFFF), ("wraps", 214748365), ("more", 3)):
        broken(f"frame-count-{name}", f"the footer says that there are {count} frames", patched(L7, -48, struct.pack("<I", count), fits=False),
               damaged(L7, "index" if count == 3 else "footer", "1:7"))


def build_places():
    """Objects that are cut, missing, doubled, swapped or replayed."""
    cut = lambda length: lambda files: files.__setitem__(L7, files[L7][:length])
    for name, length, layer in (("empty", 0, "size"), ("header", 100, "size"), ("smallest", 275, "size"), ("frame", 400, "footer"),
                                ("end", -1, "footer")):
        broken(f"cut-{name}", f"a log object that was cut: {name}", cut(length), damaged(L7, layer, "1:7"))
    broken("longer", "a byte after the end", lambda files: files.__setitem__(L7, files[L7] + b"\0"), damaged(L7, "footer", "1:7"))
    broken("zeros", "an object of zeros", lambda files: files.__setitem__(L7, bytes(len(files[L7]))), damaged(L7, "magic", "1:7"))
    broken("text", "an object that is a text", lambda files: files.__setitem__(L7, b"hello\r\n" * 99), damaged(L7, "magic", "1:7"))
    broken("missing-identity", "a vault without identity", without("vault"), damaged("vault", "missing", "1:1"))
    broken("missing-branch", "a branch without its parent", without(BR1), damaged(BR1, "missing", "2:5"))
    broken("missing-log", "a hole in the log", without(L3), {"1:3": None} | damaged(L3, "missing", "1:4") | {"1:5": None, "1:7": None})
    broken("missing-tail", "the newest log object is not there: older, and whole", without(L7), {"1:5": None, "1:7": "no_such_point"})
    broken("missing-snapshot", "the second snapshot is not there: the first one is enough", without(S5), None)
    broken("missing-image", "the image is not there", without(S0), damaged("snapshots", "missing", "1:1", "1:4") | {"1:6": None})
    broken("missing-claims", "no claims: readers need none", without("claims/0000000001"), None)
    broken("swapped-logs", "two log objects in each other's place", swapped(L6, L7), damaged(L7, "place", "1:7"))
    broken("replayed-log", "an old log object in the place of a new one", copied(L2, L7), damaged(L7, "place", "1:7"))
    broken("doubled-log", "a log object once more under the next number", copied(L7, L7[:-1] + "8"),
           damaged(L7[:-1] + "8", "place", "1:8"))
    broken("swapped-branches", "a log object of another branch", copied(L1, B2L1), damaged(B2L1, "place", "2:5"))
    broken("swapped-snapshots", "a snapshot in the place of another", copied(S0, S5), damaged(S5, "place", "1:5"))
    broken("swapped-kinds", "a branch record where a log object belongs", copied(BR1, L7), damaged(L7, "place", "1:7"))
    broken("foreign-log", "the same object of another vault", lambda files: files.__setitem__(L7, SOUND["compacted"][2].files[L7]),
           damaged(L7, "place", "1:7"))
    broken("sealed-in-plain", "a sealed object in a plain vault", lambda files: files.__setitem__(L7, SOUND["encrypted"][2].files[L7]),
           damaged(L7, "place", "1:7"))
    for key, base in (("moves/1", "moved"), ("keys/1", "encrypted")):
        broken("name-" + key.replace("/", "-"), f"a key that is not spelled as keys are: {key}", copied("vault", key),
               damaged(key, "name", "1:5"), base=base)
    for key in ("log/000001/7", "log/1/0000000000000008", "branches/3", "snapshots/000001/5", "backups/1",
                "log/000001/0000000000000008-0000000000000008", "log/000001/0000000000000009-0000000000000008"):
        broken("name-" + key.replace("/", "-"), f"a key that is not spelled as keys are: {key}", copied(L7, key), damaged(key, "name", "1:1"))
    broken("unfinished", "files whose names begin with a dot: not part of the vault", copied(L7, "log/000001/.0000000000000008.tmp"), None)


# ---- one thing wrong: what a writer says


def build_forged():
    for name, change, layer in (
            ("kind-unknown", setting(kind=9), "details"), ("final-unknown", setting(final=2), "details"),
            ("page-size-zero", setting(page_size=0), "details"), ("page-size-odd", setting(page_size=768), "details"),
            ("page-size-other", setting(page_size=1024), "details"), ("first-part-missing", setting(first_part=6), "position"),
            ("first-part-later", setting(first_part=9), "details"), ("first-part-zero", setting(first_part=0), "details"),
            ("page-zero", page(0, number=0), "details"), ("page-lock-byte", page(0, number=2097153), "details"),
            ("page-hash", page(0, hash=1), "page"), ("page-past-end", page(0, number=77), "position"),
            ("commit-checksum", commit(1, checksum=1), "checksum"), ("commit-pages", commit(1, pages=9), "details"),
            ("commit-grows", commit(1, count=1 << 30), "size"), ("commit-shrinks", commit(1, count=3), "checksum"),
            ("time-backwards", commit(1, time=5), "details"), ("time-impossible", commit(1, raw=1 << 62), "details"),
            ("positions", setting(positions=[6, 8]), "details"), ("granularity-unknown", setting(granularity=9), "details"),
            ("compacted-claims", setting(first_number=6), "details"), ("trailing", lambda parts: parts.update(details=lambda b: b + b"x"), "details"),
            ("truncated", lambda parts: parts.update(details=lambda b: b[:-9]), "details"),
            ("nothing", lambda parts: parts.update(details=lambda b: b""), "details"),
            ("frame-hash", lambda parts: parts.update(hashes=[ZERO]), "frame"), ("frame-hash-none", lambda parts: parts.update(hashes=[]), "details"),
            ("frame-more", lambda parts: parts.update(frames=parts["frames"] * 2), "details"),
            ("frame-other", lambda parts: parts.update(frames=[noise("x") * 5], hashes=[hashlib.sha256(parts["frames"][0]).digest()]), "frame"),
            ("page-content", lambda parts: parts.update(frames=[noise("x") * 5]), "page"),
            ("before-other", heading(before=b"\1" * 32), "lineage"), ("positions-gap", heading(first=7, last=8), "position"),
            ("positions-more", heading(last=9), "details"), ("first-time-other", heading(first_time=1), "details")):
        forged(f"log-{name}", f"a log object with links that fit says what cannot be: {name}", L7, change,
               {"1:5": None} | or_gone(damaged(L7, layer, "1:7"), name == "final-unknown"))
    for name, at in (("hashes", 100), ("commits", 136), ("pages", 204), ("positions", 277), ("breaks", 281), ("parts", 285), ("text", 66)):
        forged(f"log-count-{name}", f"a count that overflows: {name}", L7,
               lambda parts, at=at: parts.update(details=lambda b: b[:at] + b"\xff\xff\xff\x7f" + b[at + 4:]),
               damaged(L7, "details" if name == "text" else "size", "1:7"))


def or_gone(expect, whether=True):
    """Of the newest object a reader that trusts the header may believe that it is no restore point."""
    return {point: outcome + " or no_such_point" for point, outcome in expect.items()} if whether else expect


def page(index, number=None, hash=None):
    def change(parts):
        rows = list(parts["fields"]["pages"])
        rows[index] = (rows[index][0] if number is None else number, rows[index][1] if hash is None else hash)
        parts["fields"]["pages"] = rows

    return change


def commit(index, **fields):
    def change(parts):
        rows = list(parts["fields"]["commits"])
        names = ("raw", "time", "count", "checksum", "pages")
        rows[index] = tuple(fields.get(name, value) for name, value in zip(names, rows[index]))
        parts["fields"]["commits"] = rows

    return change



def bytes_at(at, content):
    """Other bytes in the details of an object."""

    def change(parts):
        details = bytearray(parts["details"])
        details[at:at + len(content)] = content
        parts["details"] = bytes(details)

    return change


def build_snapshots():
    """Roots, trees and packs that say what cannot be. The second snapshot has one chunk; its entry begins at 58."""
    for name, at, content, layer in (
            ("page-size-zero", 0, bytes(4), "details"), ("page-size-odd", 0, b"\0\3\0\0", "details"),
            ("page-count-more", 4, b"\6", "tree"), ("page-count-huge", 4, b"\xff" * 4, "tree"), ("image-unknown", 16, b"\2", "details"),
            ("checksum", 8, b"\1", "checksum"), ("level-huge", 17, b"\6", "tree"), ("packs-huge", 18, b"\xff" * 4, "size"),
            ("entries-huge", 54, b"\xff" * 4, "size"), ("pack-index", 94, b"\7", "tree"), ("length-zero", 90, bytes(4), "tree"),
            ("length-huge", 90, b"\xff" * 4, "tree"), ("length-other", 90, b"\0\10\0\0", "tree"), ("hashes-huge", 96, b"\xff" * 4, "size"),
            ("page-hash", 100, b"\1\2\3", "page")):
        forged(f"snapshot-{name}", f"the root of a snapshot says what cannot be: {name}", S5, bytes_at(at, content),
               {"1:4": None} | damaged(S5, layer, "1:5"))
    forged("snapshot-trailing", "bytes after the details of a snapshot", S5, lambda parts: parts.update(details=parts["details"] + b"x"),
           damaged(S5, "details", "1:5"))
    forged("snapshot-pack-unknown", "the pack of a chunk is not there", S5, bytes_at(22, bytes(32)),
           damaged("packs/" + "0" * 64, "missing", "1:5"))
    forged("snapshot-number", "a snapshot says that it is at another place in the log", S5, heading(number=5),
           damaged(L6, "lineage", "1:6"))
    forged("snapshot-lineage", "a snapshot says that it is on another line of history", S5, heading(after=b"\1" * 32),
           damaged(L7, "lineage", "1:6"))
    forged("image-other", "another image than the one that the base names", S0, bytes_at(8, b"\1"), damaged(L1, "lineage", "1:1"))
    deep_root = "snapshots/000001/0000000000000003"
    for name, at, content, layer in (("level", 17, b"\2", "tree"), ("length", 90, b"\0\1", "tree"), ("nothing", 54, bytes(4), "details")):
        forged(f"tree-{name}", f"the top of a tree says what cannot be: {name}", deep_root, bytes_at(at, content),
               {"1:2": None} | damaged(deep_root, layer, "1:3"), base="deep-tree")


def forged_file(key, change, base="plain"):
    build, options, _ = SOUND[base]
    return build(Writer(base, **options, change={key: change})).files[key]


def second_pack(change):
    """A change of the pack of the second snapshot, which is the second one."""
    seen = []

    def apply(parts):
        seen.append(parts)
        if len(seen) == 2:
            change(parts)

    return apply


def build_packs():
    for name, change, layer in (
            ("chunk-other", lambda parts: parts.update(frames=[noise("z") * 5]), "chunk"),
            ("no-places", lambda parts: parts.update(details=bytes(4)), "chunk"),
            ("places-huge", bytes_at(0, b"\xff" * 4), "size"), ("frame-beyond", bytes_at(36, b"\5"), "details"),
            ("frame-details", bytes_at(36, b"\1"), "details"), ("offset-beyond", bytes_at(38, b"\1"), "details"),
            ("length-beyond", bytes_at(42, b"\xff" * 4), "details"), ("length-overflow", bytes_at(38, b"\xff" * 8), "details"),
            ("length-short", bytes_at(42, b"\0\2\0\0"), "chunk"),
            ("place-truncated", lambda parts: parts.update(details=parts["details"][:-1]), "size"),
            ("bomb", lambda parts: parts.update(packed={0: (zstd(bytes(8 << 20)), 2560, ZSTD)}), "frame"),
            ("bomb-said", lambda parts: parts.update(packed={0: (zstd(bytes(8 << 20)), 8 << 20, ZSTD)}), "index"),
            ("two-frames", lambda parts: parts.update(packed={0: (zstd(parts["frames"][0][:512]) + zstd(parts["frames"][0][512:]), 2560, ZSTD)}),
             "frame"),
            ("frame-tail", lambda parts: parts.update(packed={0: (zstd(parts["frames"][0]) + b"tail", 2560, ZSTD)}), "frame"),
            ("not-zstd", lambda parts: parts.update(packed={0: (b"hello", 2560, ZSTD)}), "frame"),
            ("nothing-stored", lambda parts: parts.update(packed={0: (b"", 2560, ZSTD)}), "frame")):
        build, options, _ = SOUND["plain"]
        writer = build(Writer("plain", **options, change={"packs/": second_pack(change)}))
        pack = next(key for key in writer.files if key.startswith("packs/") and holds(writer, key, S5))
        add_changed(f"pack-{name}", f"a pack says what cannot be: {name}", "plain", writer.files,
                    {"1:4": None} | damaged(pack, layer, "1:5"))
    pack = next(key for key in SOUND["plain"][2].files if key.startswith("packs/") and holds(SOUND["plain"][2], key, S5))
    other = next(key for key in SOUND["plain"][2].files if key.startswith("packs/") and key != pack)
    broken("pack-missing", "a pack is not there", without(pack), {"1:4": None} | damaged(pack, "missing", "1:5"))
    broken("pack-swapped", "another pack under the name of a pack", copied(other, pack), damaged(pack, "place", "1:5"))
    broken("pack-flip", "a bit of a chunk", flipped(pack, 230), damaged(pack, "frame", "1:5"))
    forged("log-bomb", "a frame of a log object that decompresses to more than its row says", L7,
           lambda parts: parts.update(packed={0: (zstd(bytes(12 << 20)), 2560, ZSTD)}), damaged(L7, "frame", "1:7"))
    forged("details-bomb", "16 MiB of zeros as details", L7, lambda parts: parts.update(details=lambda b: bytes(16 << 20)),
           or_gone(damaged(L7, "details", "1:7")))


def json_of(**change):
    return lambda parts: parts.update(details=changed_json(parts["details"], change))


def changed_json(details, change):
    value = json.loads(details) | change
    return json.dumps({name: item for name, item in value.items() if item is not ...}, separators=(",", ":")).encode()


def build_records():
    """Details that are JSON."""
    for name, change in (("source-missing", json_of(source=...)), ("kind-missing", json_of(kind=...)), ("seed-missing", json_of(page_seed=...)),
                         ("seed-short", json_of(page_seed="12")), ("seed-odd", json_of(page_seed="z" * 16)), ("time", json_of(created_at="soon")),
                         ("not-json", lambda parts: parts.update(details=b"hello")), ("nothing", lambda parts: parts.update(details=b"")),
                         ("list", lambda parts: parts.update(details=b"[1]")), ("nested", lambda parts: parts.update(details=b"[" * 100_000)),
                         ("not-utf8", lambda parts: parts.update(details=b'{"source":"\xff"}'))):
        layer = "identity" if name.startswith(("seed", "time")) else "details"
        forged(f"identity-{name}", f"an identity that is none: {name}", "vault", change, damaged("vault", layer, "1:1"))
    forged("identity-seed-other", "another page seed: no page hash fits", None, None, damaged(S0, "page", "1:1"),
           identity={"page_seed": "1" * 16})
    for name, change, key, layer in (
            ("parent-itself", json_of(parent=2), BR2, "details"), ("parent-later", json_of(parent=3), BR2, "details"),
            ("parent-negative", json_of(parent=-1), BR2, "details"), ("parent-text", json_of(parent="1"), BR2, "details"),
            ("lineage-short", json_of(fork_lineage="12"), BR2, "details"), ("lineage-missing", json_of(fork_lineage=...), BR2, "details"),
            ("lineage-other", json_of(fork_lineage="1" * 64), B2L1, "lineage"), ("position-other", json_of(fork_position=3), B2L1, "lineage"),
            ("not-json", lambda parts: parts.update(details=b"{"), BR2, "details")):
        broken(f"branch-{name}", f"the record of a branch says what is not so: {name}",
               lambda files, change=change: files.update({BR2: forged_file(BR2, change)}), damaged(key, layer, "2:5"))
    broken("backup-missing", "a backup that is not there", without("backups/0000000001"), {"backup:1": "no_such_point", "backup:2": None})
    broken("backup-swapped", "a backup in the place of another", swapped("backups/0000000001", "backups/0000000002"),
           damaged("backups/0000000001", "place", "backup:1"))
    forged("backup-id", "a backup that says another id", "backups/0000000001", json_of(id=2),
           damaged("backups/0000000001", "details", "backup:1"))
    forged("backup-position", "a backup of a position that is none", "backups/0000000001", json_of(position=99),
           {"backup:1": "no_such_point"})
    move = "moves/0000000001"
    for name, change, layer in (("packs-missing", json_of(packs=...), "details"), ("packs-text", json_of(packs="x"), "details"),
                                ("number", heading(number=2), "place")):
        forged(f"move-{name}", f"a move record that is none: {name}", move, change, damaged(move, layer, "1:5"), base="moved")
    moved_to = SOUND["moved"][2]
    first = json.loads(first_move(moved_to))["packs"][0]["pack"]
    forged("move-cycle", "moves that lead back to where they began", "moves/0000000002",
           lambda parts: parts.update(details=parts["details"].replace(b'"into":["', b'"into":["' + first.encode() + b'","')), None, base="moved")
    forged("move-cycle-only", "moves that lead nowhere but back", "moves/0000000002",
           json_of(packs=[{"pack": json.loads(first_move(moved_to))["packs"][0]["into"][1], "into": [first]}]),
           damaged(f"packs/{first}", "missing", "1:5"), base="moved")
    broken("move-missing", "a move record is not there", without("moves/0000000002"), damaged(f"packs/{first}", "missing", "1:5"), base="moved")


def first_move(writer):
    data = writer.files["moves/0000000001"]
    offset, stored_bytes, length, codec, _ = struct.unpack_from("<3IB3xI", data, len(data) - 68)
    return data[offset:offset + stored_bytes] if codec == STORED else unzstd(data[offset:offset + stored_bytes], length)


def build_keys():
    """Key slots. 1 is of the key file, 2 and 3 of passphrases."""
    opened = {"1:1": None, "1:7": None, "2:6": None}
    one, two, three = (f"keys/{number:010}" for number in (1, 2, 3))
    add_key = lambda name, what, edit, expect, **secret: broken(f"key-{name}", what, edit, expect, base="encrypted", **secret)
    nothing = lambda files: None
    encrypted = SOUND["encrypted"][2]
    add_key("passphrase-argon2", "opened by a passphrase, through argon2id", nothing, opened, passphrase=PASSPHRASE)
    add_key("passphrase-pbkdf2", "opened by another passphrase, through PBKDF2", nothing, {"1:1": None}, passphrase="another one")
    add_key("wrong-passphrase", "a passphrase of nobody", nothing, {"1:1": "wrong_key"}, passphrase="open sesame")
    add_key("wrong-file", "a key file of another vault", nothing, {"1:1": "wrong_key"}, key_file="q" * 40)
    add("key-missing", "an encrypted vault, and no key", "encrypted", encrypted.files, {"1:1": "missing_key"})
    add_key("slot-lost", "the slot of this key is not there, others are", without(one), {"1:1": "wrong_key"})
    add_key("slots-lost", "all key slots are gone", without(one, two, three), damaged("keys", "missing", "1:1"))
    add_key("slot-flip", "a bit of the slot of this key", flipped(one, 230), damaged(one, "frame", "1:1"))
    add_key("slot-flip-other", "a bit of another slot", flipped(two, 230), {"1:1": None})
    add_key("slots-swapped", "two slots in each other's place", swapped(one, two), damaged(one, "place", "1:1"))
    add_key("rotation-half", "a rotation that was interrupted: the old and the new slot open", with_slot(4, b"n" * 40), opened)
    add_key("rotation-half-new", "the same, opened by the new key", with_slot(4, b"n" * 40), opened, key_file="n" * 40)
    add_key("rotation-whole", "the old slot is gone", lambda files: (with_slot(4, b"n" * 40)(files), without(one)(files)), opened,
            key_file="n" * 40)
    argon = {"name": "argon2id", "memory_kib": 64, "iterations": 1, "parallelism": 2}
    for name, change in (("memory", {"memory_kib": 4 << 20}), ("memory-small", {"memory_kib": 8}), ("memory-none", {"memory_kib": 0}),
                         ("iterations", {"memory_kib": 512 << 10, "iterations": 5}), ("iterations-none", {"iterations": 0}),
                         ("lanes", {"parallelism": 17, "memory_kib": 256}), ("lanes-none", {"parallelism": 0})):
        add_key(f"argon2-{name}", f"a slot with absurd costs: {name}", with_kdf(argon | change), damaged(two, "size", "1:1"),
                passphrase=PASSPHRASE)
    for name, change in (("iterations", {"iterations": 5_000_001}), ("iterations-huge", {"iterations": (1 << 32) - 1}),
                         ("iterations-none", {"iterations": 0})):
        add_key(f"pbkdf2-{name}", f"a slot with absurd costs: {name}", with_kdf({"name": "pbkdf2-sha256"} | change),
                damaged(two, "size", "1:1"), passphrase=PASSPHRASE)
    add_key("kdf-unknown", "a slot with an unknown derivation", with_kdf({"name": "rot13"}), damaged(two, "key", "1:1"), passphrase=PASSPHRASE)
    add_key("salt-short", "a slot with a short salt", with_kdf(argon | {"salt": "12"}), damaged(two, "key", "1:1"), passphrase=PASSPHRASE)
    for name, change in (("wrapped-short", {"wrapped": "12"}), ("wrapped-odd", {"wrapped": "z" * 96})):
        add_key(name, f"a slot whose wrapped key is none: {name}", slot_json(one, change), damaged(one, "key", "1:1"))
    add_key("wrapped-other", "a slot with another wrapped key", slot_json(one, {"wrapped": "1" * 96}), {"1:1": "wrong_key"})
    add_key("label-other", "a slot with another label, to which its key is bound", slot_json(one, {"label": "mine"}), {"1:1": "wrong_key"})
    add_key("kdf-missing", "a slot without derivation", slot_json(one, {"kdf": ...}), damaged(one, "details", "1:1"))
    add_key("slots-many", "33 slots", lambda files: [with_slot(number, b"m" * 40)(files) for number in range(4, 34)],
            damaged("keys", "size", "1:1"), key_file="m" * 40)
    add_key("exported-missing", "nobody noted that the key was exported: readers do not care", without("keys/exported"), opened)
    for name, identity in (("path", {"path": "/data/other.db"}), ("check", {"encryption": {"cipher": "aes-256-gcm", "check": "1" * 64}})):
        forged(f"encrypted-identity-{name}", f"an identity that is not what it was: {name}", None, None, damaged("vault", "identity", "1:1"),
               base="encrypted", identity=identity)
    forged("encrypted-cipher", "an unknown cipher", None, None, damaged("vault", "identity", "1:1"), base="encrypted",
           identity={"encryption": {"cipher": "rot13", "check": "1" * 64}})
    forged("encrypted-unsealed", "an object that is not sealed in an encrypted vault", L7, lambda parts: parts.update(sealed=False),
           damaged(L7, "seal", "1:7"), base="encrypted")


def extra(number, secret=b"", kdf=None):
    """The file of one more slot of the encrypted vault."""
    writer = Writer("encrypted", data_key=DATA_KEY)
    kdf = kdf or {"name": "hkdf-sha256"}
    try:
        writer.slot(number, "key_file" if secret else "passphrase", secret or PASSPHRASE.encode(), kdf, "argon" if number == 2 else "new")
    except (ValueError, TypeError, OverflowError):
        pass
    return writer.files.get(f"keys/{number:010}")


def with_slot(number, secret):
    return lambda files: files.update({f"keys/{number:010}": extra(number, secret)})


def with_kdf(kdf):
    """Slot 2 with other parameters; its wrapped key is of no use, because nobody may come so far."""
    salt = {"salt": hashlib.sha256(b"salt 2").hexdigest()}
    return slot_json("keys/0000000002", {"kdf": salt | kdf})


def slot_json(key, change):
    def edit(files):
        writer = Writer("encrypted", data_key=DATA_KEY)
        data = SOUND["encrypted"][2].files[key]
        offset, stored_bytes, length, codec, _ = struct.unpack_from("<3IB3xI", data, len(data) - 68)
        details = data[offset:offset + stored_bytes] if codec == STORED else unzstd(data[offset:offset + stored_bytes], length)
        writer.put(key, KEY, [], changed_json(details, change), number=int(key[-10:]))
        files[key] = writer.files[key]

    return edit


def build_compacted():
    beside = "log/000001/0000000000000001-0000000000000006"
    part = lambda number: f"{beside}-{number:04}"
    for name, change, layer in (
            ("positions-order", setting(positions=[3, 1, 6]), "details"), ("positions-twice", setting(positions=[1, 1, 6]), "details"),
            ("positions-last", setting(positions=[1, 3, 5]), "details"), ("positions-few", setting(positions=[1, 6]), "details"),
            ("positions-before", setting(positions=[0, 3, 6]), "details"), ("break-first", setting(breaks=[(0, "x")]), "details"),
            ("break-beyond", setting(breaks=[(3, "x")]), "details"), ("breaks-order", setting(breaks=[(2, "x"), (1, "y")]), "details"),
            ("granularity", setting(granularity=5), "details"), ("first-number", setting(first_number=2), "place"),
            ("first-part", setting(first_part=2), "place"), ("checksum", commit(2, checksum=1), "checksum"),
            ("part-number-zero", setting(parts=[(0, ZERO)]), "details"), ("part-numbers", setting(parts=[(2, ZERO), (1, ZERO)]), "details"),
            ("before", heading(before=b"\1" * 32), "lineage"), ("last-time", heading(last_time=1), "details"),
            ("page-count", commit(2, pages=1), "details"), ("last-dropped", lambda parts: drop_last(parts), "details")):
        forged(f"compacted-{name}", f"a compacted log object says what cannot be: {name}", beside, change,
               damaged(beside, layer, "1:6"), base="compacted")
    broken("compacted-part-missing", "a part of a compacted object is not there", without(part(1)), damaged(part(1), "missing", "1:4"),
           base="compacted-parts")
    broken("compacted-parts-swapped", "two parts in each other's place", swapped(part(1), part(2)), damaged(part(1), "lineage", "1:4"),
           base="compacted-parts")
    broken("compacted-part-left", "a part that no object names", copied(part(1), part(9)), None, base="compacted-parts")
    broken("compacted-stray", "an object of a writer that was frozen for long, below a compacted one: ignored", stray, None, base="compacted")
    broken("compacted-hole", "one of the objects that a compacted one was made of is gone: what it dropped is gone too", without(L3),
           {"1:6": None, "1:7": None, "1:5": "no_such_point", "1:2": "no_such_point"}, base="compacted-beside")
    broken("compacted-without", "the compacted object is gone, and those that it was made of are there", without(beside), None,
           base="compacted-beside")


def drop_last(parts):
    fields = parts["fields"]
    fields.update(commits=fields["commits"][:-1], positions=[1, 3], pages=fields["pages"][:sum(row[4] for row in fields["commits"][:-1])])
    parts["frames"] = [parts["frames"][0][:512 * len(fields["pages"])]]


def stray(files):
    writer = Writer("compacted")
    begin(writer, [1, 2, 3, 4])
    for step in range(3):
        writer.log([(3, {1: 77 + step})])
    files[L3] = writer.files[L3]


build_sound()
build_flips()
build_fitting()
build_places()
build_forged()
build_snapshots()
build_packs()
build_records()
build_keys()
build_compacted()
