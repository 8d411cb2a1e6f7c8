"""Test vectors with one thing wrong in the bytes, the places and the details of objects. See vault_vectors.py."""
import hashlib
import struct

from vault_codecs import GZIP, GZIP_HEAD, LZ4, ZSTD, gzip, lz4, zstd
from vault_objects import MIB, ZERO
from vault_sound import *
from vault_writer import Writer


# ---- one thing wrong: bytes

HEADER = [("magic", 0), ("version", 8), ("kind", 12), ("log-kind", 13), ("flags", 14), ("granularity", 15), ("vault", 16), ("branch", 32),
          ("epoch", 36), ("number", 40), ("first-position", 48), ("last-position", 56), ("first-time", 64), ("last-time", 72),
          ("before", 80), ("after", 112), ("points", 144), ("reserved", 150), ("salt", 172), ("crc", 204)]
INDEX = [("offset", -88), ("stored", -84), ("content", -80), ("codec", -76), ("reserved", -75), ("crc", -72)]


def build_flips():
    for name, at in HEADER:
        outcome = {"magic": damaged(L7, "magic", "1:7"), "version": {"1:7": f"unknown_version {L7}"}}.get(name, damaged(L7, "header",
        "1:7"))
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


    for base, layer in (("plain", "frame"), ("encrypted", "seal")):
        broken(f"{base}-frames-swapped", "frames of two objects in each other's place, with checksums that fit", swap_frames(B2L1, B2L3),
               {"1:7": None} | damaged(B2L1, layer, "2:5"), base=base)
        broken(f"{base}-frame-replayed", "a frame of an older object, with checksums that fit", swap_frames(B2L1, B2L3, replay=True),
               {"2:5": None} | damaged(B2L3, layer, "2:6"), base=base)


def swap_frames(one, other, replay=False):
    """The first frames of two objects, which are as long as each other."""

    def edit(files):
        first, second = files[one], files[other]
        length = struct.unpack_from("<I", first, len(first) - 84)[0]
        if length != struct.unpack_from("<I", second, len(second) - 84)[0]:
            raise ValueError("the frames have different lengths")
        for key, frame in ((one, second), (other, first))[replay:]:
            data = bytearray(files[key])
            data[208:208 + length] = frame[208:208 + length]
            struct.pack_into("<I", data, len(data) - 72, crc32c(data[208:208 + length]))
            files[key] = reseal(data)

    return edit


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
            ("offset", 0, "offset", 209, "index"), ("overlap", 1, "offset", 208, "index"),
            ("stored-huge", 0, "stored", 0xFFFFFFF0, "index"),
            ("content-huge", 0, "content", MIB + 1, "index"), ("details-huge", 1, "content", (16 << 20) + 1, "index"),
            ("codec", 0, "codec", 4, "index"), ("codec-huge", 0, "codec", 255, "index"), ("codec-lz4", 0, "codec", LZ4, "frame"),
            ("codec-gzip", 0, "codec", GZIP, "frame"), ("codec-stored", 0, "codec", 0, "index"),
            ("content-short", 0, "content", 512, "details"),
            ("content-long", 0, "content", 4096, "details"), ("frame-crc", 0, "crc", 1, "frame"),
            ("details-short", 1, "content", 64, "frame"), ("details-long", 1, "content", 1 << 20, "frame")):
        broken(f"index-{name}", f"a row of the index has an impossible number, and its checksum fits: {name}", row(L7, number, field,
               value),
               damaged(L7, layer, "1:7"))
    for name, count in (("none", 0), ("overflow", 0xFFFFFFFF), ("wraps", 214748365), ("more", 3)):
        broken(f"frame-count-{name}", f"the footer says that there are {count} frames", patched(L7, -48, struct.pack("<I", count),
               fits=False),
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
    broken("swapped-logs", "two log objects in each other's place", swapped(L6, L7),
           {"1:7": f"damaged {L7} place or damaged {L6} place"})
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
        broken("name-" + key.replace("/", "-"), f"a key that is not spelled as keys are: {key}", copied(L7, key), damaged(key, "name",
               "1:1"))
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
            ("compacted-claims", setting(first_number=6), "details"),
            ("trailing", lambda parts: parts.update(details=lambda b: b + b"x"), "details"),
            ("truncated", lambda parts: parts.update(details=lambda b: b[:-9]), "details"),
            ("nothing", lambda parts: parts.update(details=lambda b: b""), "details"),
            ("frame-hash", lambda parts: parts.update(hashes=[ZERO]), "frame"),
            ("frame-hash-none", lambda parts: parts.update(hashes=[]), "details"),
            ("frame-more", lambda parts: parts.update(frames=parts["frames"] * 2), "details"),
            ("frame-other", lambda parts: parts.update(frames=[noise("x") * 5], hashes=[hashlib.sha256(parts["frames"][0]).digest()]),
            "frame"),
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
            ("length-huge", 90, b"\xff" * 4, "tree"), ("length-other", 90, b"\0\10\0\0", "tree"), ("hashes-huge", 96, b"\xff" * 4, "size")):
        forged(f"snapshot-{name}", f"the root of a snapshot says what cannot be: {name}", S5, bytes_at(at, content),
               {"1:4": None} | damaged(S5, layer, "1:5"))
    forged("snapshot-page-hash", "a page hash in a leaf that is not that of the page: a restore need not look at it", S5,
           bytes_at(100, b"\1\2\3"), {"1:5": f"{SOUND['plain'][2].points['1:5']} or damaged {S5} page"})
    forged("snapshot-trailing", "bytes after the details of a snapshot", S5, lambda parts: parts.update(details=parts["details"] + b"x"),
           damaged(S5, "details", "1:5"))
    forged("snapshot-pack-unknown", "the pack of a chunk is not there", S5, bytes_at(22, bytes(32)),
           damaged("packs/" + "0" * 64, "missing", "1:5"))
    forged("snapshot-number", "a snapshot says that it is at another place in the log", S5, heading(number=5),
           damaged(L6, "lineage", "1:6"))
    forged("snapshot-lineage", "a snapshot says that it is on another line of history", S5, heading(after=b"\1" * 32),
           damaged(L7, "lineage", "1:6"))
    forged("image-other", "another image than the one that the base names", S0, bytes_at(8, b"\1"), damaged(S0, "lineage", "1:1"))
    deep_root = "snapshots/000001/0000000000000003"
    for name, at, content, layer in (("length", 90, b"\0\1", "tree"), ("nothing", 54, bytes(4), "details")):
        forged(f"tree-{name}", f"the top of a tree says what cannot be: {name}", deep_root, bytes_at(at, content),
               {"1:2": None} | damaged(deep_root, layer, "1:3"), base="deep-tree")


    nodes = next(key for key in SOUND["deep-tree"][2].files if key.startswith("packs/") and holds(SOUND["deep-tree"][2], key, deep_root))
    forged("tree-level", "the top of a tree says that it is of a higher level", deep_root, bytes_at(17, b"\2"),
           {"1:3": f"damaged {deep_root} tree or damaged {nodes} tree"}, base="deep-tree")


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


def badly_packed():
    """What is no frame of its codec, or of another length: by a function of what would be one, and of its content."""
    cases = []
    for name, codec, pack in (("lz4", LZ4, lz4), ("gzip", GZIP, gzip)):
        for what, make in (
                ("bomb", lambda good, content, pack=pack: pack(bytes(8 << 20))),
                ("short", lambda good, content, pack=pack: pack(content[1:])),
                ("tail", lambda good, content: good + b"tail"), ("tail-zero", lambda good, content: good + b"\0"),
                ("cut", lambda good, content: good[:-1]), ("nothing", lambda good, content: b""), ("other", lambda good, content: b"hello"),
                ("two", lambda good, content, pack=pack: pack(content[:512]) + pack(content[512:])),
                ("empty-first", lambda good, content, pack=pack: pack(b"") + good),
                ("empty-last", lambda good, content, pack=pack: good + pack(b""))):
            cases.append((f"{name}-{what}", codec, make))
    cases += [("gzip-crc", GZIP, lambda good, content: good[:-8] + bytes([good[-8] ^ 1]) + good[-7:]),
              ("gzip-length", GZIP, lambda good, content: good[:-4] + b"\1" + good[-3:]),
              ("gzip-flag", GZIP, lambda good, content: good[:3] + b"\1" + good[4:]),
              ("gzip-name", GZIP, lambda good, content: GZIP_HEAD[:3] + b"\x08" + GZIP_HEAD[4:] + b"app.db\0" + good[10:]),
              ("gzip-no-end", GZIP, lambda good, content: good[:-9] + good[-8:]),
              ("gzip-inner-tail", GZIP, lambda good, content: good[:-8] + b"\0" + good[-8:]),
              ("lz4-far", LZ4, lambda good, content: b"\x1fx\xff\xff" + b"\xff" * 9 + b"\0" + b"\x50abcde")]

    def change(codec, make):
        def apply(parts):
            content = parts["frames"][0]
            good = {LZ4: lz4, GZIP: gzip}[codec](content)
            parts.update(packed={0: (make(good, content), len(content), codec)})

        return apply

    return [(name, change(codec, make), "frame") for name, codec, make in cases]


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
            ("two-frames", lambda parts: parts.update(packed={0: (zstd(parts["frames"][0][:512]) + zstd(parts["frames"][0][512:]), 2560,
            ZSTD)}),
             "frame"),
            ("frame-tail", lambda parts: parts.update(packed={0: (zstd(parts["frames"][0]) + b"tail", 2560, ZSTD)}), "frame"),
            ("not-zstd", lambda parts: parts.update(packed={0: (b"hello", 2560, ZSTD)}), "frame"),
            ("nothing-stored", lambda parts: parts.update(packed={0: (b"", 2560, ZSTD)}), "frame"), *badly_packed()):
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
