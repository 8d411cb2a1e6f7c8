"""What the test vectors are: sound vaults, and the same with one thing wrong. See vault_vectors.py."""
import hashlib
import struct
from types import SimpleNamespace

from vault_objects import BASE, KEY, LOG, MIB, PACK, RESYNC, SNAPSHOT, ZERO
from vault_primitives import crc32c
from vault_writer import STORED, Database, Writer, many, text

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
    add(name, what, base, files, expect, key_file or case.key_file, passphrase or case.passphrase)


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
               patched(L7, at, value), damaged(L7, layer, "1:7"))
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
    for key in ("log/000001/7", "log/1/0000000000000008", "branches/3", "snapshots/000001/5", "backups/1", "moves/1", "keys/1",
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
               {"1:5": None} | damaged(L7, layer, "1:7"))
    for name, at in (("hashes", 100), ("commits", 136), ("pages", 204), ("positions", 277), ("breaks", 281), ("parts", 285), ("text", 66)):
        forged(f"log-count-{name}", f"a count that overflows: {name}", L7,
               lambda parts, at=at: parts.update(details=lambda b: b[:at] + b"\xff\xff\xff\x7f" + b[at + 4:]),
               damaged(L7, "details" if name == "text" else "size", "1:7"))


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


build_sound()
build_flips()
build_fitting()
build_places()
build_forged()
