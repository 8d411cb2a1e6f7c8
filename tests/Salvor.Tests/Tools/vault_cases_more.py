"""Test vectors with one thing wrong in records, keys and compacted objects. See vault_vectors.py."""
import hashlib
import json
import struct

from vault_cases import *
from vault_objects import KEY
from vault_primitives import unpack
from vault_writer import Writer


def json_of(**change):
    return lambda parts: parts.update(details=changed_json(parts["details"], change))


def changed_json(details, change):
    value = json.loads(details) | change
    return json.dumps({name: item for name, item in value.items() if item is not ...}, separators=(",", ":")).encode()


def build_records():
    """Details that are JSON."""
    for name, change in (("source-missing", json_of(source=...)), ("kind-missing", json_of(kind=...)),
            ("seed-missing", json_of(page_seed=...)),
                         ("seed-short", json_of(page_seed="12")), ("seed-odd", json_of(page_seed="z" * 16)),
                         ("time", json_of(created_at="soon")),
                         ("not-json", lambda parts: parts.update(details=b"hello")), ("nothing", lambda parts: parts.update(details=b"")),
                         ("list", lambda parts: parts.update(details=b"[1]")),
                         ("nested", lambda parts: parts.update(details=b"[" * 100_000)),
                         ("not-utf8", lambda parts: parts.update(details=b'{"source":"\xff"}'))):
        layer = "identity" if name.startswith(("seed", "time")) else "details"
        forged(f"identity-{name}", f"an identity that is none: {name}", "vault", change, damaged("vault", layer, "1:1"))
    forged("identity-seed-other", "another page seed: no page hash fits", None, None, {"1:1": f"damaged {S0} page or damaged {L1} page"},
           identity={"page_seed": "1" * 16})
    for name, change, key, layer in (
            ("parent-itself", json_of(parent=2), BR2, "details"), ("parent-later", json_of(parent=3), BR2, "details"),
            ("parent-negative", json_of(parent=-1), BR2, "details"), ("parent-text", json_of(parent="1"), BR2, "details"),
            ("lineage-short", json_of(fork_lineage="12"), BR2, "details"), ("lineage-missing", json_of(fork_lineage=...), BR2, "details"),
            ("lineage-other", json_of(fork_lineage="1" * 64), B2L1, "lineage"),
            ("position-other", json_of(fork_position=3), B2L1, "lineage"),
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
    for name, rows in (("pack-none", [{"into": []}]), ("into-none", [{"pack": "0" * 64}]),
                       ("into-null", [{"pack": "0" * 64, "into": None}]),
                       ("into-nulls", [{"pack": "0" * 64, "into": [None]}]), ("row-null", [None]),
                       ("name-short", [{"pack": "12", "into": []}])):
        forged(f"move-{name}", f"a move of nothing, or to nowhere: {name}", move, json_of(packs=rows), damaged(move, "details", "1:5"),
               base="moved")
    forged("move-packs-null", "a list that is null", move, json_of(packs=None), damaged(move, "details", "1:5"), base="moved")
    forged("branch-reason-null", "a text that is null", BR2, json_of(reason=None), damaged(BR2, "details", "2:5"))
    moved_to = SOUND["moved"][2]
    first = json.loads(first_move(moved_to))["packs"][0]["pack"]
    forged("move-cycle", "moves that lead back to where they began", "moves/0000000002",
           lambda parts: parts.update(details=parts["details"].replace(b'"into":["', b'"into":["' + first.encode() + b'","')), None,
           base="moved")
    forged("move-cycle-only", "moves that lead nowhere but back", "moves/0000000002",
           json_of(packs=[{"pack": json.loads(first_move(moved_to))["packs"][0]["into"][1], "into": [first]}]),
           damaged(f"packs/{first}", "missing", "1:5"), base="moved")
    broken("move-missing", "a move record is not there", without("moves/0000000002"), damaged(f"packs/{first}", "missing", "1:5"),
           base="moved")


def first_move(writer):
    data = writer.files["moves/0000000001"]
    offset, stored_bytes, length, codec, _ = struct.unpack_from("<3IB3xI", data, len(data) - 68)
    return unpack(codec, data[offset:offset + stored_bytes], length)


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
    add_key("kdf-unknown", "a slot with an unknown derivation", with_kdf({"name": "rot13"}), damaged(two, "key", "1:1"),
            passphrase=PASSPHRASE)
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
        forged(f"encrypted-identity-{name}", f"an identity that is not what it was: {name}", None, None, damaged("vault", "identity",
               "1:1"),
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
        details = unpack(codec, data[offset:offset + stored_bytes], length)
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
    broken("compacted-stray", "an object of a writer that was frozen for long, below a compacted one: ignored", stray, None,
           base="compacted")
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
