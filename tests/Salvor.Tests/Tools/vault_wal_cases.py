"""Test vectors of the log of PostgreSQL. See vault_vectors.py."""
from vault_tree_cases import *
from vault_wal_writer import *

FIRST, BOUNDARY = 0xFFC000, 0x1000000
NAMES = ["before the import", "ünïcode"]


def records(timeline_of, count, salt):
    """Commits and other records of all lengths, some longer than a page."""
    made = []
    for number in range(count):
        time = TIME + number * 1_000_000
        made.append((timeline_of, OTHER, 700 + number, 0, noise(f"wal {salt}", 640)[:17 + number * 31] * (4 + number % 7)))
        made.append((timeline_of, ABORT if number % 5 == 4 else COMMIT, 700 + number, time, ""))
        if number in (3, 11):
            made.append((timeline_of, NAMED, 0, time, NAMES[number == 11]))
    return made


OLD = records(1, 16, "old")
ONE = log(FIRST, OLD)
LEFT = len(OLD) - 6
TWO = log(FIRST, OLD[:LEFT] + records(2, 9, "new"))
FORK, END_OF_ONE, END_OF_TWO = ONE.ends[LEFT - 1], ONE.ends[-1], TWO.ends[-1]
HISTORY = f"1\t{FORK >> 32:X}/{FORK & 0xFFFFFFFF:X}\tno recovery target specified\n"
CUT = ONE.ends[-9] - 5
EARLIER = ONE.ends[LEFT - 4]
THREE = log(FIRST, OLD[:LEFT - 3] + records(3, 5, "third"))
END_OF_THREE = THREE.ends[-1]
WHOLE = f"wal/000001/{BOUNDARY:016x}-{END_OF_ONE:016x}"
PIECE = f"wal/000001/{BOUNDARY:016x}-{CUT:016x}"
SECOND = f"wal/000002/{BOUNDARY:016x}-{END_OF_TWO:016x}"
TO_ONE, TO_TWO = f"wal:1:{FIRST:x}-{END_OF_ONE:x}", f"wal:2:{FIRST:x}-{END_OF_TWO:x}"


def build_wal(writer):
    timeline(writer, 1, 1)
    timeline(writer, 2, 2, 1, HISTORY, FORK)
    for first, end in ((FIRST, FIRST + 5000), (FIRST + 5000, BOUNDARY), (BOUNDARY, CUT), (CUT, END_OF_ONE), (BOUNDARY, END_OF_ONE)):
        store(writer, 1, 1, ONE, first, end)
    store(writer, 2, 2, TWO, BOUNDARY, END_OF_TWO)
    writer.points[TO_ONE] = hashlib.sha256(ONE.data).hexdigest()
    writer.points[TO_TWO] = hashlib.sha256(TWO.data).hexdigest()
    writer.points[f"wal:2:{FIRST + 17:x}-{FIRST + 9000:x}"] = hashlib.sha256(ONE.data[17:9000]).hexdigest()
    writer.points[f"wal:1:{FORK - 100:x}-{FORK + 100:x}"] = hashlib.sha256(ONE.data[FORK - FIRST - 100:FORK - FIRST + 100]).hexdigest()
    writer.points["verify"] = "sound"
    return writer


def build_earlier(writer):
    """A recovery along timeline 2 that ended before that began: its own beginning is before the one of its parent."""
    timeline(writer, 1, 1)
    timeline(writer, 2, 2, 1, HISTORY, FORK)
    timeline(writer, 3, 3, 2, f"{HISTORY}\n2\t{EARLIER >> 32:X}/{EARLIER & 0xFFFFFFFF:X}\tbefore 2026-03-01 12:00:00+00\n", EARLIER)
    for first, end in ((FIRST, BOUNDARY), (BOUNDARY, END_OF_ONE)):
        store(writer, 1, 1, ONE, first, end)
    store(writer, 2, 2, TWO, BOUNDARY, END_OF_TWO)
    store(writer, 3, 3, THREE, BOUNDARY, END_OF_THREE)
    writer.points[TO_TWO] = hashlib.sha256(TWO.data).hexdigest()
    writer.points[f"wal:3:{FIRST:x}-{END_OF_THREE:x}"] = hashlib.sha256(THREE.data).hexdigest()
    writer.points["verify"] = "sound"
    return writer


def build_all():
    sound("wal", "the log of two timelines, in pieces, of which one object has several", build_wal, kind="postgres")
    sound("encrypted-wal", "the same, encrypted", lambda writer: with_key(build_wal(writer)), kind="postgres", data_key=DATA_KEY,
          key_file=KEY_FILE)
    sound("wal-earlier", "a timeline that left its parent before that began", build_earlier, kind="postgres")
    gap = {TO_ONE: "no_such_point", TO_TWO: "no_such_point", f"wal:1:{FORK - 100:x}-{FORK + 100:x}": None, "verify": None}
    broken("wal-gap", "a piece is missing, which is no damage", lambda files: files.pop(f"wal/000001/{FIRST:016x}-{FIRST + 5000:016x}"),
           gap, base="wal")
    broken("wal-piece", "what a longer object has is missing", lambda files: files.pop(PIECE), None, base="wal")
    for name, change in (
            ("layout", dict(layout=2)), ("timeline", dict(timeline=0)), ("segment", dict(segment=3 * MIB)), ("page", dict(page=1000)),
            ("hashes-none", dict(hashes=[])), ("longer", dict(more=b"\0")), ("index-cut", dict(index=bytes(20))),
            ("commits-none", dict(index=struct.pack("<Q", 0) + struct.pack("<4q", 1, 1, 1, 1) + bytes(4))),
            ("commits-beyond", dict(index=struct.pack("<Q4q", 2, BOUNDARY, TIME, END_OF_TWO, TIME) + bytes(4))),
            ("commits-reversed", dict(index=struct.pack("<Q4q", 2, BOUNDARY + 80, TIME, BOUNDARY + 40, TIME) + bytes(4))),
            ("commits-one", dict(index=struct.pack("<Q4q", 1, BOUNDARY + 40, TIME, BOUNDARY + 80, TIME) + bytes(4))),
            ("names-reversed", dict(index=bytes(40) + struct.pack("<I", 2) + (text("a") + struct.pack("<Qq", BOUNDARY + 9, TIME)) * 2)),
            ("name-long", dict(index=bytes(40) + struct.pack("<I", 1) + text("a" * 64) + struct.pack("<Qq", BOUNDARY + 9, TIME)))):
        break_wal(name, f"details {SECOND}", change, "details")
    break_wal("names-huge", f"details {SECOND}", dict(index=bytes(40) + b"\xff" * 4), "size")
    break_wal("hash", f"details {SECOND}", dict(hashes=[bytes(32)]), "frame")
    break_wal("place", f"details {SECOND}", dict(end=END_OF_TWO + 8), "place")
    forged("wal-of-other-timeline", "an object of another timeline than its branch", f"details {SECOND}",
           lambda parts: parts.__dict__.update(timeline=3), {TO_ONE: None, TO_TWO: None} | damaged(SECOND, "details", "verify"), base="wal")
    for name, change in (("fork", dict(fork_position=FORK + 8)), ("history", dict(history="MQo=")),
                         ("timeline", dict(timeline=1)), ("system", dict(system_id="0"))):
        forged(f"wal-branch-{name}", f"a branch that does not say what its history says: {name}", BR2, json_of(**change),
               {TO_ONE: None} | damaged(BR2, "details", TO_TWO, "verify"), base="wal")
    forged("wal-branch-history-text", "a history that is not base64", BR2, json_of(history="1!"),
           damaged(BR2, "details", TO_TWO, "verify"), base="wal")
    for name, key in (("digits", SECOND.replace("/00000000", "/000000000")), ("block", f"wal/000002/{FIRST:016x}-{END_OF_TWO:016x}"),
                      ("empty", f"wal/000002/{BOUNDARY:016x}-{BOUNDARY:016x}"), ("short", "wal/000002/1-2")):
        broken(f"wal-name-{name}", f"a key that is not spelled as one: {name}", lambda files, key=key: files.update({key: files[SECOND]}),
               damaged(key, "name", TO_ONE, "verify"), base="wal")
    broken("wal-other-bytes", "the same addresses with other bytes", other_bytes, {TO_ONE: None} | damaged(WHOLE, "lineage", "verify"),
           base="wal")


def break_wal(name, key, change, layer):
    forged(f"wal-{name}", f"an object of the log that cannot be: {name}", key, lambda parts: parts.__dict__.update(change),
           {TO_ONE: None} | damaged(SECOND, layer, TO_TWO, "verify"), base="wal")


def other_bytes(files):
    """A piece from a server that went on in another way."""
    build, options, _ = SOUND["wal"]
    writer = build(Writer("wal", **options))
    other = log(FIRST, OLD[:LEFT - 9] + records(1, 9, "another"))
    store(writer, 1, 1, other, BOUNDARY, CUT)
    files[PIECE] = writer.files[PIECE]


def with_key(writer):
    """A vault that its key file opens."""
    writer.slot(1, "key_file", KEY_FILE.encode(), {"name": "hkdf-sha256"})
    return writer


build_all()
