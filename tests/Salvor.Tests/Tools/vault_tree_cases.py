"""Test vectors of files, of what a command prints, and of the links between backups. See vault_vectors.py."""
from vault_pruned_cases import *
from vault_tree_writer import *

T1, T2 = "snapshots/000001/0000000000000001", "snapshots/000001/0000000000000002"
UP = entry(END)


def everything(changed=b"one"):
    """Every kind of entry, with names and holes of all sorts."""
    return [
        entry(DIRECTORY, b"empty", mode=0o1777, attributes=[(b"user.note", b"of a directory")]), UP,
        entry(DIRECTORY, b"srv", user=33, group=34),
        entry(BLOCK, b"block", mode=0o600, device=(259, 70_000)),
        file(b"changed", changed, marks=CHANGED, modified=MODIFIED + changed[0]),
        entry(CHARACTER, b"character", device=(1, 3)),
        entry(DIRECTORY, b"deep"), entry(DIRECTORY, b"er", mode=0o500), file(b"file", noise("deep", 3200), b"and its end"), UP, UP,
        file(b"first", noise("first", 4096), attributes=[(b"user.a", b""), (b"user.b", b"value\0z")], user=1234, group=4321),
        entry(LINK, b"link", target=b"../nowhere \xff", user=5, group=6),
        file(b"new\nline", b"x", mode=0o4755, user=2),
        file(b"none"),
        file(b"not utf-8 \xff\xfe", noise("bytes", 640), b"!" * 900),
        entry(PIPE, b"pipe", mode=0o604), entry(SOCKET, b"socket"),
        file(b"sparse", b"A" * 500, b"B", size=300_000, sparse=1, extents=[(70_000, 500), (200_000, 1)]),
        file(b"sparse none", size=90_000, sparse=1),
        entry(DIRECTORY, b"unreadable", marks=UNREADABLE), UP,
        file(b"unreadable file", size=77, marks=UNREADABLE),
        UP,
        file(b"young", b"soon", marks=YOUNG),
        file(b"zz second name", noise("first", 4096), first=b"/srv/first", attributes=[(b"user.a", b""), (b"user.b", b"value\0z")],
             user=1234, group=4321),
    ]


def trees(*made, **options):
    """A vault of files with a backup of each of these trees."""

    def build(writer):
        writer.branch(1)
        for number, entries in enumerate(made, 1):
            snapshot(writer, number, entries, more_unreadable=1, **options)
            backup(writer, number)
            writer.points[f"backup:{number}"] = digest_of(entries)
        writer.points["verify"] = "sound"
        return writer

    return build


def backup(writer, number, position=None, **change):
    """A record that is linked to the one before it."""
    before = {"id": number - 1, "hash": writer.names[f"backups/{number - 1:010}"].hex() if number > 1 else ZERO.hex(), "gone": []}
    writer.backup(number, 1, position or number, **{"before": before} | change)


def streams(*made):
    """A vault of a command, with a backup of each of these streams, given as chunks."""

    def build(writer):
        writer.branch(1)
        for number, chunks in enumerate(made, 1):
            snapshot(writer, number, [file(b"dump", *chunks, mode=0o600)])
            backup(writer, number)
            writer.points[f"backup:{number}"] = hashlib.sha256(b"".join(chunks)).hexdigest()
        writer.points["verify"] = "sound"
        return writer

    return build


def moved_files(writer):
    """The packs of the first snapshot went to others, which went on to one."""
    both(writer)
    packs = [name for name in sorted(writer.files) if name.startswith("packs/") and holds(writer, name, T1)]
    chunks = [chunk for item in everything() for chunk in item.content]
    listing = b"".join(struct.pack("<I", len(body)) + body for body in map(packed, everything()))
    second = writer.pack(list(dict.fromkeys(chunks)) + [listing])
    third = writer.pack([listing] + list(dict.fromkeys(chunks)))
    writer.move(1, [(name.split("/")[1], [second]) for name in packs])
    writer.move(2, [(second, [third])])
    for name in (*packs, f"packs/{second}"):
        del writer.files[name]
    return writer


def pruned_files(writer):
    both(writer)
    writer.condemn(1, [("", [B1]), ("", [T1])])
    writer.points["backup:1"] = "no_such_point"
    return writer


def both(writer):
    return trees(everything(), everything(b"two"), listing_cut=16_000)(writer)


def build_files():
    files = dict(kind="files")
    sound("files", "files of every kind, in two backups", trees(everything(), everything(b"two")), **files)
    sound("files-encrypted", "the same, encrypted", lambda writer: trees(everything(), everything(b"two"))(unlocked(writer)),
          key_file=KEY_FILE, data_key=DATA_KEY, **files)
    sound("files-levels", "trees of several levels, with two entries in a node",
          trees(everything(), everything(b"two"), per_leaf=2, listing_cut=90), **files)
    sound("files-codecs", "the same with frames of all codecs", with_codecs(trees(everything(), per_leaf=5)), **files)
    sound("files-moved", "packs that were replaced twice, by move records", moved_files, **files)
    sound("files-pruned", "a backup was given up, with its snapshot", pruned_files, **files)
    sound("files-nothing", "a snapshot without entries", trees([]), **files)
    sound("files-curious", "marks and permissions that version 1 does not know: ignored", trees(
        [file(b"a", b"a", marks=0xF0, mode=0o100644), entry(LINK, b"b", target=b"a", marks=0x80)]), **files)
    sound("files-firsts", "first names that lead nowhere, elsewhere, or to what comes later: each has its own content", trees(
        [entry(DIRECTORY, b"a"), UP] + [file(name, name, first=first) for name, first in (
            (b"b", b"/a"), (b"c", b"/../a"), (b"d", b"/z"), (b"e", b"/e"), (b"f", b"/"), (b"g", b"/a/./b"), (b"z", b"/b/b"))]), **files)
    long = [b"%03d " % number + noise(f"s{number}", 1600) for number in range(20)]
    sound("command", "what a command printed, in two backups", streams(long, long[:12] + [b"another", *long[12:]]), kind="command")
    sound("command-nothing", "a command that printed nothing", streams([]), kind="command")


def with_codecs(build):
    def packed_too(writer):
        writer.codecs = (ZSTD, LZ4, GZIP, STORED)
        return build(writer)

    return packed_too


def item(of, **fields):
    """Another entry in the first tree in place of one of its entries."""

    def change(tree):
        for entry_of in tree.entries:
            if entry_of.name == of:
                entry_of.__dict__.update(fields)

    return change


def build_broken():
    """The first tree is wrong, and the second stays what it is."""
    for name, change in [
            *[(f"name-{what}", item(b"first", name=bad)) for what, bad in (
                ("empty", b""), ("dot", b"."), ("dots", b".."), ("slash", b"../a"), ("zero", b"a\0b"), ("long", b"f" * 256),
                ("twice", b"deep"), ("descends", b"a"))],
            ("kind-unknown", item(b"pipe", kind=8)), ("kind-huge", item(b"pipe", kind=255)),
            ("longer", item(b"pipe", trailing=b"\0")), ("end-longer", lambda tree: tree.entries[1].__dict__.update(trailing=b"\0")),
            ("sparse-unknown", item(b"sparse", sparse=2)), ("sparse-no-more", item(b"sparse", sparse=0)),
            ("extent-nothing", item(b"sparse", extents=[(70_000, 501), (200_000, 0)])),
            ("extent-overlaps", item(b"sparse", extents=[(70_000, 500), (70_499, 1)])),
            ("extents-descend", item(b"sparse", extents=[(200_000, 500), (70_000, 1)])),
            ("extent-beyond", item(b"sparse", extents=[(70_000, 500), (300_000, 1)])),
            ("extent-huge", item(b"sparse", extents=[(70_000, 500), (2, (1 << 64) - 1)])),
            ("size-huge", item(b"none", size=(1 << 63))), ("size-more", item(b"first", size=4097)),
            ("size-less", item(b"first", size=4095)),
            ("link-nowhere", item(b"link", target=b"")), ("link-zero", item(b"link", target=b"a\0b")),
            ("end-first", lambda tree: tree.entries.insert(0, UP)), ("end-missing", lambda tree: tree.entries.pop(1)),
            ("end-more", lambda tree: tree.entries.append(UP)),
            ("path-long", lambda tree: nest(tree, 65)),
            *[(f"count-{what}", counting(place, 1)) for place, what in enumerate(("files", "directories", "others", "bytes"))],
            ("count-changed", counting(5, 1)), ("count-unreadable", counting(4, -2)),
            ("content-less", lambda tree: tree.content.pop()), ("content-more", lambda tree: tree.content.append(b"more")),
            ("content-none", lambda tree: tree.content.clear()), ("content-other", lambda tree: tree.content.insert(0, b"x")),
            *[(f"entry-{what}", listing(edit)) for what, edit in (
                ("length-zero", lambda data: bytes(4) + data[4:]), ("length-huge", lambda data: b"\1\0\x80\0" + data[4:]),
                ("length-beyond", lambda data: data + b"\x09\0\0\0\0"), ("length-cut", lambda data: data[:-3]),
                ("head-cut", lambda data: data + b"\1\0"), ("nothing", lambda data: b""), ("text", lambda data: b"hello " * 99),
                ("attributes-huge", lambda data: data.replace(b"\1\0\0\0\x09\0user.note", b"\xff\xff\xff\xff\x09\0user.note")))]]:
        break_tree(name, change, damaged(T1, "listing", "backup:1", "verify"))
    for name, change in (
            ("layout-0", lambda tree: tree.__dict__.update(layout=0)), ("layout-2", lambda tree: tree.__dict__.update(layout=2)),
            ("details-longer", details(lambda data: data + b"\0")), ("details-cut", details(lambda data: data[:-1])),
            ("details-nothing", details(lambda data: bytes(4)))):
        break_tree(name, change, damaged(T1, "details", "backup:1", "verify"))
    break_nodes()
    break_objects()
    for name, entries in (("two", [file(b"a", b"a"), file(b"b", b"b")]), ("directory", [entry(DIRECTORY, b"a"), UP]),
                          ("sparse", [file(b"a", b"a", size=5, sparse=1, extents=[(1, 1)])])):
        forged(f"command-{name}", f"a snapshot of a command that is not of one stream: {name}", "tree 1",
               lambda tree, entries=entries: remake(tree, entries), {"backup:2": None} | damaged(T1, "listing", "backup:1"), base="command")


def break_tree(name, change, expect, base="files"):
    forged(f"files-{name}", f"a snapshot of files that cannot be: {name}", "tree 1", change, {"backup:2": None} | expect, base=base)


def listing(edit):
    return lambda tree: tree.__dict__.update(listing=edit)


def details(edit):
    return lambda tree: tree.__dict__.update(details=edit)


def counting(place, more):
    def change(tree):
        tree.totals[place] += more

    return change


def remake(tree, entries):
    tree.__dict__.update(entries=entries, totals=totals_of(entries), content=[chunk for item in entries for chunk in item.content])


def nest(tree, depth):
    """Directories in each other, of which the root counts all."""
    tree.entries[:] = [entry(DIRECTORY, b"d" * 255) for _ in range(depth)] + [UP] * depth
    tree.__dict__.update(content=[], totals=[0, depth, 0, 0, 1, 0])


def break_nodes():
    """What the content names is not what is there."""

    def swap_lengths(level, rows):
        """The first chunk is said to be longer than it is, the second shorter: together they are as long."""
        if level == 0:
            (one, length, pack), (other, shorter, _) = rows[:2]
            rows = [(one, length + 1, pack), (other, shorter - 1, pack), *rows[2:]]
        return rows

    def swap_nodes(level, rows):
        """The same of two nodes."""
        return swap_lengths(0, rows) if level == 1 else rows

    def as_leaf(level, rows):
        """The top names a chunk where it should name a leaf."""
        return [(writer.name(noise("first", 4096)), rows[0][1], 0), *rows[1:]] if level == 1 else rows

    writer = SOUND["files"][2]
    break_tree("chunk-length", nodes(swap_lengths), damaged(content_pack(writer), "chunk", "backup:1", "verify"))
    several = SOUND["files-levels"][2]
    leaves = leaves_pack(several)
    break_tree("node-length", nodes(swap_nodes), damaged(leaves, "tree", "backup:1", "verify"), "files-levels")
    break_tree("node-chunk", nodes(as_leaf), damaged(leaves, "chunk", "backup:1", "verify"), "files-levels")


def nodes(change):
    return lambda tree: tree.__dict__.update(nodes=change)


def packs_with(writer, name):
    """The packs that have a chunk: what they list does not compress."""
    return [key for key in sorted(writer.files) if key.startswith("packs/") and name in writer.files[key]]


def content_pack(writer):
    return next(key for key in packs_with(writer, writer.name(b"one")) if noise("first", 4096) in writer.files[key])


def leaves_pack(writer):
    """The pack of the leaves of the first content."""
    pack = bytes.fromhex(content_pack(writer).split("/")[1])
    chunks = [chunk for item in everything() for chunk in item.content][:2]
    leaf = writer.node(0, [pack], [(writer.name(chunk), len(chunk), 0) for chunk in chunks])
    return next(key for key in packs_with(writer, writer.name(leaf)) if writer.name(b"one") in writer.files[key])


def break_objects():
    writer = SOUND["files"][2]
    content = content_pack(writer)
    one = b"".join(struct.pack("<I", len(body)) + body for body in map(packed, everything()))
    listed = packs_with(writer, writer.name(one))[0]
    for name, edit, expect in (
            ("root-missing", without(T1), damaged(T1, "missing", "backup:1") | damaged(B1, "missing", "verify")),
            ("root-flip", flipped(T1, 230), damaged(T1, "frame", "backup:1") | damaged(T1, "footer", "verify")),
            ("root-version-2", patched(T1, 8, b"\2\0"), {"backup:1": f"unknown_version {T1}"}),
            ("roots-swapped", swapped(T1, T2), damaged(T1, "place", "backup:1") | damaged(T2, "place", "backup:2")),
            ("listing-flip", flipped(listed, 230), damaged(listed, "frame", "backup:1") | damaged(listed, "footer", "verify")),
            ("listing-missing", without(listed), damaged(listed, "missing", "backup:1", "verify")),
            ("content-flip", flipped(content, 230),
             damaged(content, "frame", "backup:1") | damaged(content, "footer", "verify")),
            ("content-missing", without(content), damaged(content, "missing", "backup:1", "verify"))):
        broken(f"files-{name}", f"an object of a vault of files: {name}", edit, {"backup:2": None} | expect, base="files")


def linked(writer):
    """Four backups of a database, of which a prune removed the second."""
    history(writer)
    for number in (1, 2, 3, 4):
        backup(writer, number, position=5)
    writer.condemn(1, [("", [B2])])
    writer.outcome(1, "deleting")
    del writer.files[B2]
    writer.points |= {"backup:2": "no_such_point", "verify": "sound"}
    return writer


def taken_over(writer):
    """The same, and the record of the prune was taken over by a later one."""
    linked(writer)
    writer.condemn(2, change={"retired": [{"first": 1, "last": 1}], "pruned_backups": [{"first": 2, "last": 2}]})
    writer.outcome(2, "deleting")
    del writer.files[C1], writer.files[O1]
    return writer


def late(writer):
    """The first two records are older than links, and an id between them was absent already."""
    history(writer)
    del writer.files[B2]
    writer.backup(1, 1, 5)
    writer.backup(3, 1, 5)
    gone = [{"first": 2, "last": 2}]
    backup(writer, 4, position=5, before={"id": 3, "hash": writer.names[B3].hex(), "gone": gone})
    writer.points |= {"backup:2": "no_such_point", "verify": "sound"}
    return writer


B3, B4 = "backups/0000000003", "backups/0000000004"


def build_links():
    sound("backups", "backups that name each other, and one that a prune removed", linked)
    sound("backups-taken-over", "the record of that prune was taken over by a later one", taken_over)
    sound("backups-late", "backups of an older writer, of which one was removed before there were links", late)
    broken("backups-removed", "a backup that somebody removed", without(B3),
           {"backup:3": "no_such_point", "backup:4": None} | damaged(B3, "missing", "verify"), base="backups")
    broken("backups-prune-missing", "the record of the prune is gone, so nobody knows that it was one", without(C1, O1),
           {"backup:4": None} | damaged(B2, "missing", "verify"), base="backups")
    broken("backups-newest-removed", "the newest one: without a head nobody knows", without(B4),
           {"backup:4": "no_such_point", "verify": None}, base="backups")
    broken("backups-replaced", "another backup was put in its place", replaced(B3),
           {"backup:3": None, "backup:4": None} | damaged(B3, "lineage", "verify"), base="backups")
    for name, change in (
            ("before-itself", dict(before={"id": 4, "hash": "1" * 64, "gone": []})),
            ("before-later", dict(before={"id": 9, "hash": "1" * 64, "gone": []})),
            ("before-hash-short", dict(before={"id": 3, "hash": "1" * 62, "gone": []})),
            ("before-gone-later", dict(before={"id": 3, "hash": "1" * 64, "gone": [{"first": 2, "last": 4}]})),
            ("before-gone-reversed", dict(before={"id": 3, "hash": "1" * 64, "gone": [{"first": 2, "last": 1}]})),
            ("before-gone-zero", dict(before={"id": 3, "hash": "1" * 64, "gone": [{"first": 0, "last": 1}]})),
            ("before-gone-null", dict(before={"id": 3, "hash": "1" * 64, "gone": [None]})),
            ("before-text", dict(before="backup 3")),
            ("retention-zero", dict(retention_days=0)), ("retention-long", dict(retention_days=36_501))):
        forged(f"backups-{name}", f"a record of a backup that cannot be: {name}", B4, json_of(**change),
               {"backup:3": None} | damaged(B4, "details", "backup:4", "verify"), base="backups")


def replaced(key):
    """Another record under the id of one."""

    def edit(files):
        build, options, _ = SOUND["backups"]
        files[key] = build(Writer("backups", **options, change={key: json_of(label="better")})).files[key]

    return edit


build_files()
build_broken()
build_links()
