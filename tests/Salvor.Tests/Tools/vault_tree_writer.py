"""Snapshots of files for the independent writer (vault_writer.py), from docs/format.md."""
import copy
import hashlib
import struct
from types import SimpleNamespace

from tree_digest import digest, further_name, line
from vault_objects import SNAPSHOT
from vault_writer import TIME, many, text

END, DIRECTORY, FILE, LINK, PIPE, CHARACTER, BLOCK, SOCKET = range(8)
WORDS = ["", "directory", "file", "link", "pipe", "character", "block", "socket"]
CHANGED, UNREADABLE, YOUNG = 1, 2, 4
MODIFIED = 1_600_000_000_123_456_789


def entry(kind, name=b"", **fields):
    """An entry as its writer means it. `content` is the list of the chunks of a file."""
    return SimpleNamespace(**dict(
        kind=kind, marks=0, name=name, mode=0o755 if kind == DIRECTORY else 0o644, user=0, group=0, user_name="", group_name="",
        modified=MODIFIED, changed=MODIFIED + 1, inode=7, attributes=[], content=[], size=None, first=b"", sparse=0, extents=[],
        target=b"", device=(0, 0), trailing=b"") | fields)


def file(name, *content, **fields):
    return entry(FILE, name, content=list(content), **fields)


def size_of(item):
    return sum(map(len, item.content)) if item.size is None else item.size


def counted(value):
    return struct.pack("<H", len(value)) + value


def packed(item):
    """The bytes of an entry."""
    if item.kind == END:
        return b"\0" + item.trailing
    body = (struct.pack("<BB", item.kind, item.marks) + counted(item.name) + struct.pack("<3I", item.mode, item.user, item.group)
            + text(item.user_name) + text(item.group_name) + struct.pack("<2qQ", item.modified, item.changed, item.inode)
            + struct.pack("<I", len(item.attributes))
            + b"".join(counted(name) + struct.pack("<I", len(value)) + value for name, value in item.attributes))
    if item.kind == FILE:
        body += struct.pack("<Q", size_of(item)) + counted(item.first) + bytes([item.sparse])
        body += many("2Q", item.extents) if item.sparse else b""
    elif item.kind == LINK:
        body += counted(item.target)
    elif item.kind in (CHARACTER, BLOCK):
        body += struct.pack("<2I", *item.device)
    return body + item.trailing


def totals_of(entries, more_unreadable=0):
    kinds = [item.kind for item in entries if item.kind != END]
    sizes = sum(size_of(item) for item in entries if item.kind == FILE and not item.first)
    marked = lambda mark: sum(bool(item.marks & mark) for item in entries)
    others = sum(kind not in (FILE, DIRECTORY) for kind in kinds)
    return [kinds.count(FILE), kinds.count(DIRECTORY), others, sizes, marked(UNREADABLE) + more_unreadable, marked(CHANGED)]


def snapshot(writer, position, entries, per_leaf=256, listing_cut=4000, more_unreadable=0):
    """Stores one. A change of `tree POSITION` gets what it is made of before it is written."""
    tree = SimpleNamespace(
        entries=copy.deepcopy(entries), totals=totals_of(entries, more_unreadable), page_size=0, layout=1, listing=None,
        content=[chunk for item in entries if item.kind == FILE for chunk in item.content], details=None, nodes=lambda level, rows: rows)
    writer.change.get(f"tree {position}", lambda parts: None)(tree)
    listing = b"".join(struct.pack("<I", len(body)) + body for body in map(packed, tree.entries))
    listing = tree.listing(listing) if tree.listing else listing
    details = struct.pack("<IB6Q", tree.page_size, tree.layout, *tree.totals)
    details += top(writer, [listing[at:at + listing_cut] for at in range(0, len(listing), listing_cut)], per_leaf)
    details += top(writer, tree.content, per_leaf, tree.nodes)
    details = tree.details(details) if tree.details else details
    time = TIME + position * 1_000_000
    writer.put(f"snapshots/000001/{position:016}", SNAPSHOT, [], details, branch=1, first=position, last=position, first_time=time,
               last_time=time)


def top(writer, chunks, per_leaf, change=lambda level, rows: rows):
    """Stores chunks, and the nodes above them but for the top, which is returned."""
    level, rows = 0, [(chunk, len(chunk)) for chunk in chunks]
    while True:
        stored = list(dict.fromkeys(content for content, _ in rows))
        pack = bytes.fromhex(writer.pack(stored)) if stored else None
        entries = change(level, [(writer.name(content), length, 0) for content, length in rows])
        nodes = []
        for at in range(0, max(1, len(entries)), per_leaf):
            some = entries[at:at + per_leaf]
            nodes.append((writer.node(level, [pack] if some else [], some), sum(length for _, length, _ in some)))
        if len(nodes) == 1:
            return nodes[0][0]
        level, rows = level + 1, nodes


def digest_of(entries):
    """What tree_digest.py says of a directory with these entries."""
    lines, above, firsts = [], [b""], {}
    for item in entries:
        if item.kind == END:
            above.pop()
            continue
        path = above[-1] + b"/" + item.name
        if item.kind == DIRECTORY:
            above.append(path)
        if item.kind == FILE and item.marks & UNREADABLE:
            continue
        if item.first in firsts:
            lines.append(further_name(path, item.first))
            continue
        if item.kind == FILE:
            firsts[path] = True
        own = {FILE: lambda: hashlib.sha256(content_of(item)).hexdigest(), LINK: item.target.hex}.get(
            item.kind, lambda: "{}:{}".format(*item.device) if item.kind in (CHARACTER, BLOCK) else "")
        lines.append(line(path, WORDS[item.kind], item.mode & 0o7777, item.user, item.group, item.modified, item.attributes, own()))
    return digest(lines)


def content_of(item):
    whole = b"".join(item.content)
    if not item.sparse:
        return whole
    filled, at = bytearray(size_of(item)), 0
    for offset, length in item.extents:
        filled[offset:offset + length] = whole[at:at + length]
        at += length
    return bytes(filled)
