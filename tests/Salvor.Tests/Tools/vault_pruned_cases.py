"""Test vectors of what prunes leave: records, their outcomes, and records that no prune makes. See vault_vectors.py."""
from vault_cases_more import *

C1, C2, O1, O2 = "condemned/0000000001", "condemned/0000000002", "outcomes/0000000001", "outcomes/0000000002"
S3 = "snapshots/000001/0000000000000003"
MERGED = "log/000001/0000000000000004-0000000000000006"
EXPIRED, REPLACED = [L1, L2, L3], [L4, f"{L4[:-1]}5", L6]
B1, B2 = "backups/0000000001", "backups/0000000002"
OLDEST = ("1:1", "1:2", "1:3", "2:1", "2:2", "2:3", "backup:1")
DROPPED = ("1:4", "2:4")


def aged(writer):
    """What a prune finds: expired log before a snapshot, log that was rewritten as one object, a branch and backups."""
    begin(writer, [1, 2, noise("p"), 4, 5])
    writer.log([(4, {1: 10})])
    writer.log([(5, {5: noise("q"), 2: 11})])
    writer.snapshot()
    writer.log([(5, {1: 20})])
    writer.log([(5, {3: noise("r")})])
    writer.log([(6, {6: 23, 1: 24})])
    fork, left = dict(writer.at), writer.database.copy()
    writer.log([(6, {2: 30}), (5, {4: 31})])
    writer.backup(1, 1, 2)
    writer.backup(2, 1, 6)
    writer.compact(1, 4, 6, kept={5, 6}, delete=False)
    writer.database = left
    writer.branch(2, 1, fork["position"], fork["number"], fork["link"])
    writer.log([(6, {1: 40})])
    for position in range(1, 7):
        writer.points[f"2:{position}"] = writer.points[f"1:{position}"]
    writer.everything = dict(writer.points)
    return writer


def pruned(writer):
    """The first record says what expired, the second what another object stands for. The grace lasts: all of it is there."""
    aged(writer)
    writer.condemn(1, [("", EXPIRED), ("", [B1])], [(1, 1, 3)])
    writer.condemn(2, [(MERGED, REPLACED)])
    writer.points.update(hiding(writer, *OLDEST, *DROPPED))
    return writer


def hiding(writer, *points):
    """Every point of the vault as it was, but for these."""
    return writer.everything | {point: "no_such_point" for point in points}


def decided(number, what, **change):
    def edit(files):
        writer = Writer("pruned")
        writer.outcome(number, what, **change)
        files.update({key: content for key, content in writer.files.items() if key.startswith("outcomes/")})

    return edit


def recorded(number, groups=(), ranges=(), change=None):
    """Another record."""

    def edit(files):
        writer = Writer("pruned")
        writer.condemn(number, groups, ranges, change)
        files.update({key: content for key, content in writer.files.items() if key.startswith("condemned/")})

    return edit


def all_of(*edits):
    return lambda files: [edit(files) for edit in edits]


def build_pruned():
    sound("pruned", "a prune gave up what expired and what another object stands for; all of it is still there", pruned)
    sound("encrypted-pruned", "the same, encrypted: records are sealed", lambda writer: pruned(unlocked(writer)), key_file=KEY_FILE,
          data_key=DATA_KEY)
    writer = SOUND["pruned"][2]
    both = all_of(decided(1, "deleting"), decided(2, "deleting"))
    gone = without(*EXPIRED, *REPLACED, B1)
    prune = lambda name, what, edit, *hidden: broken(f"pruned-{name}", what, edit, hiding(writer, *hidden), base="pruned")
    prune("deleting", "both are being deleted, and nothing is gone yet", both, *OLDEST, *DROPPED)
    prune("half-gone", "both are being deleted, and some is gone", all_of(both, without(L1, L4, REPLACED[1])), *OLDEST, *DROPPED)
    prune("gone", "both were deleted: the log begins behind what was pruned", all_of(both, gone), *OLDEST, *DROPPED)
    prune("undeleted", "both were taken back", all_of(decided(1, "undeleted"), decided(2, "undeleted")))
    prune("undeleted-first", "what expired was taken back", decided(1, "undeleted"), *DROPPED)
    prune("undeleted-second", "what was rewritten was taken back", decided(2, "undeleted"), *OLDEST)
    prune("again", "what was taken back was given up again", all_of(decided(1, "undeleted"), recorded(3, [("", [B1])]),
          decided(2, "undeleted")), "backup:1")
    prune("outcome-alone", "an outcome of a record that is not there", decided(7, "deleting"), *OLDEST, *DROPPED)
    prune("touching", "pruned ranges that touch count as one: what covers both is gone too",
          all_of(without(C1), with_compacted(2, 3), recorded(3, [("", [L1, L2])], [(1, 1, 2)]), recorded(4, [("", [L3])], [(1, 3, 3)])),
          *OLDEST, *DROPPED)
    prune("unlisted", "what lies within pruned numbers counts as absent, though no record names it",
          all_of(without(C1), recorded(3, [], [(1, 1, 3)])), *OLDEST, *DROPPED)
    prune("part", "a part within another object may go; whoever knows its name still reads it",
          recorded(3, [(MERGED, [f"{MERGED[:-1]}5-0001"])]), *OLDEST, *DROPPED)
    prune("end", "the newest numbers were pruned: older points are there", all_of(without(C1), recorded(3, [], [(1, 7, 7)])),
          "1:7", "1:8", *DROPPED)
    prune("all", "all numbers that there can be were pruned", recorded(3, [], [(1, 1, (1 << 64) - 1)]),
          *writer.everything)
    prune("curious", "members that this version does not know: ignored",
          all_of(without(C1), recorded(1, [("", EXPIRED), ("", [B1])], [(1, 1, 3)], {"colour": {"deep": [None]}}),
                 decided(1, "deleting", colour="red")), *OLDEST, *DROPPED)
    build_missing(both, gone)
    build_collected(both, gone)
    build_absent()


def with_compacted(first, last):
    def edit(files):
        writer = aged(Writer("pruned"))
        writer.compact(1, first, last, kept={first, last}, delete=False)
        key = f"log/000001/{first:016}-{last:016}"
        files[key] = writer.files[key]

    return edit


def build_missing(both, gone):
    """What is needed where log was pruned, and is not there or is not good."""
    prune = lambda name, what, edit, expect: broken(f"pruned-{name}", what, edit, expect, base="pruned")
    prune("snapshot-missing", "the snapshot from which the log goes on is not there", all_of(both, gone, without(S3)),
          {"1:1": "no_such_point"} | damaged(L1, "missing", "1:5", "1:7", "2:7"))
    prune("snapshots-missing", "no snapshot is there", all_of(both, gone, without(S3, S0)),
          {"1:1": "no_such_point"} | damaged("snapshots", "missing", "1:5"))
    prune("snapshot-flip", "the snapshot from which the log goes on is damaged", all_of(both, gone, flipped(S3, 230)),
          {"1:1": "no_such_point"} | damaged(S3, "frame", "1:5"))
    prune("hole", "more is gone than was pruned", all_of(both, gone, without(MERGED)),
          {"1:1": f"no_such_point or damaged {L4} missing"} | damaged(L4, "missing", "1:5", "1:7"))
    prune("record-flip-gone", "a record is damaged, and what it named is gone: what does not need that is there",
          all_of(both, gone, flipped(C1, 230)),
          damaged(L1, "missing", "1:1", "1:2") | {point: None for point in ("1:5", "1:6", "1:7", "1:8", "2:7", "backup:2")}
          | {"1:4": "no_such_point", "backup:1": "no_such_point"})
    forged("pruned-lineage", "the first log object behind what was pruned does not continue the snapshot", MERGED,
           heading(before=b"\1" * 32), damaged(MERGED, "lineage", "1:5"), base="pruned")
    forged("pruned-positions", "the first log object behind what was pruned begins later than the snapshot ends", MERGED,
           heading(first=5), damaged(MERGED, "position", "1:5"), base="pruned")


def pack_of(snapshot):
    writer = SOUND["pruned"][2]
    return next(key for key in writer.files if key.startswith("packs/") and holds(writer, key, snapshot))


def build_collected(both, gone):
    """Snapshots and packs that nothing needs, keys that stay after all, and records that were taken over."""
    sound("pruned-numbered", "packs that were made after a seventh prune: the number makes them other objects", numbered)
    prune = lambda name, what, edit, expect: broken(f"pruned-{name}", what, edit, expect, base="pruned")
    rest = hiding(SOUND["pruned"][2], *OLDEST, *DROPPED)
    oldest, newer = [S0, pack_of(S0)], pack_of(S3)
    prune("collected", "the oldest snapshot and its pack are given up, and are there", recorded(3, [("", oldest)]), rest)
    prune("collected-gone", "the oldest snapshot and its pack are deleted",
          all_of(both, gone, recorded(3, [("", oldest)]), decided(3, "deleting"), without(*oldest)), rest)
    prune("snapshot-hidden", "the snapshot from which the log goes on is condemned, so nothing leads on from it",
          recorded(3, [("", [S3])]),
          {point: f"damaged {L1} missing or damaged {MERGED} lineage" for point in ("1:5", "1:7")} | {"1:1": "no_such_point"})
    prune("snapshots-hidden", "all snapshots are condemned", recorded(3, [("", [S0, S3])]), damaged("snapshots", "missing", "1:5"))
    prune("pack-hidden", "a pack is condemned that a snapshot names: it is read for as long as it is there", recorded(3, [("", [newer])]),
          rest)
    prune("pack-gone", "a pack was deleted that a snapshot names",
          all_of(recorded(3, [("", [newer])]), decided(3, "deleting"), without(newer)),
          damaged(newer, "missing", "1:5") | {"1:1": "no_such_point"})
    prune("kept", "what an outcome keeps stays: the record is as if it did not name it",
          all_of(recorded(3, [("", [S3, B2])]), decided(3, "deleting", kept=[S3, B2])), rest)
    prune("kept-one", "an outcome keeps one of two", all_of(recorded(3, [("", [S3, B2])]), decided(3, "deleting", kept=[S3])),
          rest | {"backup:2": "no_such_point"})
    prune("kept-null", "an outcome that keeps null is none", all_of(decided(2, "undeleted", kept=None)), rest)
    prune("kept-text", "an outcome that keeps a text is none", all_of(decided(2, "undeleted", kept="all")), rest)
    prune("retired", "a later record took both over: it repeats what they pruned, and they are gone",
          all_of(both, gone, without(C1, C2, O1, O2), recorded(3, [], [(1, 1, 3)], {"retired": [{"first": 1, "last": 2}]}),
                 decided(3, "deleting")), rest)
    for name, first, last in (("itself", 1, 3), ("later", 4, 5), ("zero", 0, 2), ("reversed", 2, 1), ("text", "1", "2"), ("none", None, 2)):
        prune(f"retired-{name}", f"a record that takes over what it cannot: {name}",
              recorded(3, [("", [B2])], [(1, 1, 9)], {"retired": [{"first": first, "last": last}]}), rest)
    for name, value in (("null", None), ("row-null", [None]), ("row-empty", [{}]), ("word", "x")):
        prune(f"retired-{name}", f"a record that takes over nothing: {name}",
              recorded(3, [("", [B2])], [(1, 1, 9)], {"retired": value}), rest)


def numbered(writer):
    writer.change["packs/"] = heading(number=7)
    return pruned(writer)


def build_absent():
    """Records and outcomes that count as absent: what they named is offered."""
    writer = SOUND["pruned"][2]
    absent = lambda name, what, edit, *hidden: broken(f"condemned-{name}", what, edit, hiding(writer, *hidden), base="pruned")
    absent("missing", "a record is not there", without(C1), *DROPPED)
    absent("flip", "a bit of a record", flipped(C1, 230), *DROPPED)
    absent("version-2", "a record of version 2", patched(C1, 8, b"\2\0"), *DROPPED)
    absent("swapped", "two records in each other's place", swapped(C1, C2))
    absent("kind", "an outcome where a record belongs", all_of(decided(1, "deleting"), copied(O1, C1)), *DROPPED)
    absent("foreign", "a record of another vault", patched(C1, 16, b"\1\2\3"), *DROPPED)
    absent("name", "a record whose key is not spelled as keys are", all_of(copied(C1, "condemned/1"), without(C1)), *DROPPED)
    undeleted = all_of(decided(1, "undeleted"), decided(2, "undeleted"))
    absent("outcome-flip", "a bit of an outcome: nobody decided", all_of(undeleted, flipped(O1, 230)), *OLDEST)
    absent("outcome-version-2", "an outcome of version 2", all_of(undeleted, patched(O1, 8, b"\2\0")), *OLDEST)
    absent("outcome-swapped", "an outcome in the place of another", all_of(undeleted, copied(O2, O1)), *OLDEST)
    for name, change in (("unknown", {"decision": "maybe"}), ("null", {"decision": None}), ("time", {"at": "soon"}),
                         ("host", {"host": 5}), ("pid", {"pid": "1"})):
        absent(f"outcome-{name}", f"an outcome that is none: {name}",
               all_of(decided(1, "undeleted"), decided(2, "undeleted", **change)), *DROPPED)
    absent("outcome-not-json", "an outcome that is not JSON", all_of(undeleted, garbled(O2)), *DROPPED)
    for name, groups, ranges in (
            ("vault", [("", ["vault"])], []), ("claim", [("", ["claims/0000000001"])], []), ("branch", [("", [BR1])], []),
            ("branch-by", [(MERGED, [BR1])], []), ("record", [("", [C1])], []), ("head", [("", ["_heads/w/0000000000000001"])], []),
            ("key", [("", ["keys/0000000001"])], []), ("outside", [("", ["../other/vault"])], []), ("nothing", [("", [""])], []),
            ("log", [("", [L7])], []), ("log-pruned-other", [("", [L7])], [(1, 1, 4)]), ("log-pruned-branch", [("", [L7])], [(2, 1, 9)]),
            ("log-itself", [(L7, [L7])], []), ("log-merged-itself", [(MERGED, [MERGED])], []), ("log-by-beside", [(MERGED, [L7])], []),
            ("log-by-branch", [("log/000002/0000000000000001-0000000000000009", [L7])], []), ("log-by-backup", [(B1, [L7])], []),
            ("log-by-nothing", [("nothing", [L7])], []), ("log-name", [("", ["log/000001/5"])], [(1, 1, 9)]),
            ("backup-by", [(MERGED, [B2])], []), ("backup-name", [("", ["backups/2"])], []),
            ("backup-zero", [("", ["backups/" + "0" * 10])], []),
            ("snapshot-by", [(MERGED, [S0])], []), ("snapshot-name", [("", ["snapshots/000001/0"])], []),
            ("snapshot-branch", [("", ["snapshots/000000/" + "0" * 16])], []), ("pack-by", [(MERGED, [pack_of(S0)])], []),
            ("pack-name", [("", ["packs/" + "A" * 64])], []), ("pack-short", [("", ["packs/12"])], []),
            ("range-zero", [], [(1, 0, 9)]), ("range-reversed", [], [(1, 6, 5)]),
            ("range-negative", [], [(1, -1, 9)]), ("range-huge", [], [(1, 1, 1 << 64)]), ("range-branch", [], [(1 << 32, 1, 9)])):
        absent(f"hostile-{name}", f"a record that no prune makes: {name}", recorded(3, [("", [B2]), *groups], ranges), *OLDEST, *DROPPED)
    ranged = {"branch": 1, "first": 1, "last": 9}
    grouped = {"reason": "x", "by": "", "keys": [B2]}
    less = lambda value, name: {key: item for key, item in value.items() if key != name}
    for name, change in (
            ("groups-null", {"groups": None}), ("groups-text", {"groups": "x"}), ("group-null", {"groups": [None]}),
            ("group-text", {"groups": ["x"]}), ("reason-none", {"groups": [less(grouped, "reason")]}),
            ("by-none", {"groups": [less(grouped, "by")]}), ("by-null", {"groups": [grouped | {"by": None}]}),
            ("keys-none", {"groups": [less(grouped, "keys")]}), ("keys-null", {"groups": [grouped | {"keys": None}]}),
            ("key-null", {"groups": [grouped | {"keys": [None]}]}), ("key-number", {"groups": [grouped | {"keys": [5]}]}),
            ("pruned-null", {"pruned": None}), ("range-null", {"pruned": [None]}), ("range-text", {"pruned": ["x"]}),
            ("range-without-branch", {"pruned": [less(ranged, "branch")]}),
            ("range-without-first", {"pruned": [less(ranged, "first")]}),
            ("range-without-last", {"pruned": [less(ranged, "last")]}), ("range-words", {"pruned": [ranged | {"first": "1"}]}),
            ("range-half", {"pruned": [ranged | {"last": 8.5}]}), ("time", {"at": "soon", "pruned": [ranged]}),
            ("host-null", {"host": None, "pruned": [ranged]}), ("pid-text", {"pid": "1", "pruned": [ranged]}),
            ("grace-text", {"grace_seconds": "7d", "pruned": [ranged]})):
        absent(f"details-{name}", f"a record that is none: {name}", recorded(3, [("", [B2])], [(1, 1, 9)], change), *OLDEST, *DROPPED)
    broken("condemned-unsealed", "a record that is not sealed, in an encrypted vault",
           lambda files: files.update({C1: forged_file(C1, lambda parts: parts.update(sealed=False), "encrypted-pruned")}),
           hiding(SOUND["encrypted-pruned"][2], *DROPPED), base="encrypted-pruned")


def garbled(key):
    """An object of the same kind and place whose details are no JSON."""

    def edit(files):
        writer = Writer("pruned")
        writer.put(key, files[key][12], [], b"{", number=int(key[-10:]))
        files[key] = writer.files[key]

    return edit


build_pruned()
