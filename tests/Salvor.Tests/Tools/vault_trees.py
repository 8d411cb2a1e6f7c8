"""Snapshots of files ("Files" in section 4 of docs/format.md): what they list, whether it holds together, and bringing it back."""
import hashlib
import os

from tree_digest import digest, further_name, line
from vault_listing import *

END_OF_DIRECTORY, DIRECTORY, FILE, LINK, PIPE, CHARACTER, BLOCK, SOCKET = range(8)
WORDS = {DIRECTORY: "directory", FILE: "file", LINK: "link", PIPE: "pipe", CHARACTER: "character", BLOCK: "block", SOCKET: "socket"}
CHANGED, UNREADABLE = 1, 2
ENTRY_MAX, PATH_MAX = 8 * MIB, 16 << 10


class Flow:
    """The content of a tree of chunks, in pieces of any length."""

    def __init__(self, tree, top):
        self.chunks, self.left = tree.chunks(top), b""

    def take(self, count):
        """So many bytes, or fewer where it ends."""
        pieces, taken = [self.left], len(self.left)
        while taken < count:
            piece = next(self.chunks, None)
            if piece is None:
                break
            pieces.append(piece)
            taken += len(piece)
        whole = b"".join(pieces)
        self.left = whole[count:]
        return whole[:count]


class Tree:
    """The root of a snapshot of files."""

    def __init__(self, vault, branch, position):
        self.vault, self.key = vault, f"snapshots/{branch:06}/{position:016}"
        fields = vault.open(self.key, SNAPSHOT).expect(branch=branch, last=position).fields()
        if fields.take("IB") != (0, 1):
            raise fields.damage("no snapshot of files of a known layout")
        self.files, self.directories, self.others, self.bytes, self.unreadable, self.changed = fields.take("6Q")
        self.listing, self.content = node_of(fields), node_of(fields)
        fields.end()

    def chunks(self, node):
        level, entries, _, _ = node
        for name, length, pack in entries:
            content = self.vault.chunk(name, pack, length if level == 0 else None)
            if level == 0:
                yield content
            else:
                yield from self.chunks(child_of(f"packs/{pack.hex()}", length, level, content, node_of))

    def damage(self, why):
        return Damaged(self.key, "listing", why)

    def entries(self):
        """(path, entry) of each entry in order, and (path, None) at the end of a directory; the whole listing is checked at the end."""
        flow, above, counts, content = Flow(self, self.listing), [[b"", b""]], dict.fromkeys(WORDS, 0), 0
        sizes = unreadable = changed = 0
        while True:
            head = flow.take(4)
            if not head:
                break
            length = int.from_bytes(head, "little")
            body = flow.take(length) if len(head) == 4 and 1 <= length <= ENTRY_MAX else b""
            if not body or len(body) < length:
                raise self.damage("an entry of an impossible length")
            entry = Entry(self, body)
            if entry.kind == END_OF_DIRECTORY:
                if len(above) == 1:
                    raise self.damage("the end of a directory that was not begun")
                yield above.pop()[0], None
                continue
            path = above[-1][0] + b"/" + entry.name
            if entry.name <= above[-1][1] or len(path) > PATH_MAX:
                raise self.damage("names do not ascend, or a path is too long")
            above[-1][1] = entry.name
            if entry.kind == DIRECTORY:
                above.append([path, b""])
            counts[entry.kind] += 1
            sizes += entry.size if entry.kind == FILE and not entry.first else 0
            unreadable, changed = unreadable + bool(entry.marks & UNREADABLE), changed + bool(entry.marks & CHANGED)
            content += entry.stored
            yield path, entry
        others = sum(counts.values()) - counts[FILE] - counts[DIRECTORY]
        if len(above) > 1 or content != self.content[2]:
            raise self.damage("it ends inside of a directory, or does not fit the content")
        if (counts[FILE], counts[DIRECTORY], others, sizes, changed) != (
                self.files, self.directories, self.others, self.bytes, self.changed) or unreadable > self.unreadable:
            raise self.damage("it counts other entries")

    def read(self):
        """(path, entry, extents) of each in order, once the whole listing is checked: an extent is (offset, content)."""
        checked = list(self.entries())
        flow = Flow(self, self.content)
        for path, entry in checked:
            extents = entry.extents if entry and entry.stored else ()
            yield path, entry, [(offset, flow.take(length)) for offset, length in extents]

    def digest(self):
        """What tree_digest.py says of a directory into which this was restored, by numbers of users and groups."""
        lines, firsts = [], {}
        for path, entry, extents in self.read():
            if entry is None or entry.kind == FILE and entry.marks & UNREADABLE:
                continue
            if entry.kind == FILE and entry.first in firsts:
                firsts[path] = firsts[entry.first]
                lines.append(further_name(path, firsts[path]))
                continue
            own = entry.own
            if entry.kind == FILE:
                firsts[path] = path
                own = hashlib.sha256(filled(entry.size, extents)).hexdigest()
            lines.append(line(path, WORDS[entry.kind], entry.mode, entry.user, entry.group, entry.modified, entry.attributes, own))
        return digest(lines)

    def stream(self):
        """The one file of a vault of a command."""
        checked = list(self.entries())
        if len(checked) != 1 or checked[0][1].kind != FILE or checked[0][1].stored != checked[0][1].size:
            raise self.damage("it is not of one stream")
        return b"".join(self.chunks(self.content))

    def restore(self, target):
        """Writes it into a new directory, with what the user may set."""
        os.mkdir(target)
        firsts, open_directories = {}, []
        for path, entry, extents in self.read():
            place = os.fsencode(target) + path
            if entry is None:
                dress(place, open_directories.pop())
            elif entry.kind == DIRECTORY:
                os.mkdir(place, 0o700)
                open_directories.append(entry)
            elif entry.kind == FILE and entry.first in firsts:
                os.link(firsts[entry.first], place)
                firsts[path] = place
            elif not (entry.kind == FILE and entry.marks & UNREADABLE):
                firsts.update({path: place} if entry.kind == FILE else {})
                make(place, entry, extents)
                dress(place, entry)


class Entry:
    """An entry of a listing, checked by itself."""

    def __init__(self, tree, body):
        fields = Fields(tree.key, body)
        fields.damage = lambda why, layer="listing": Damaged(tree.key, "listing", why)
        self.kind, self.stored = fields.take("B"), 0
        if self.kind == END_OF_DIRECTORY:
            return fields.end()
        self.marks, self.name = fields.take("B"), fields.bytes(fields.take("H"))
        if self.kind > SOCKET:
            raise tree.damage("an unknown kind")
        if self.name in (b"", b".", b"..") or len(self.name) > 255 or b"\0" in self.name or b"/" in self.name:
            raise tree.damage("a name that is none")
        self.mode, self.user, self.group = fields.take("3I")
        self.mode &= 0o7777
        self.user_name, self.group_name = fields.text(), fields.text()
        self.modified, _, _ = fields.take("2qQ")
        self.attributes = [(fields.bytes(fields.take("H")), fields.bytes(fields.take("I"))) for _ in range(fields.count(6))]
        self.own = ""
        if self.kind == FILE:
            self.file(tree, fields)
        elif self.kind == LINK:
            self.target = fields.bytes(fields.take("H"))
            self.own = self.target.hex()
            if not self.target or b"\0" in self.target:
                raise tree.damage("a link to nowhere")
        elif self.kind in (CHARACTER, BLOCK):
            self.device = fields.take("2I")
            self.own = "{}:{}".format(*self.device)
        fields.end()

    def file(self, tree, fields):
        self.size, self.first = fields.take("Q"), fields.bytes(fields.take("H"))
        sparse = fields.take("B")
        self.extents = fields.list("2Q") if sparse else [(0, self.size)]
        if self.size >= 1 << 63 or sparse > 1:
            raise tree.damage("a size or way of holes that is none")
        end = 0
        for offset, length in self.extents if sparse else ():
            if length == 0 or offset < end or offset + length > self.size:
                raise tree.damage("extents that do not fit")
            end = offset + length
        self.stored = 0 if self.marks & UNREADABLE else sum(length for _, length in self.extents)


def filled(size, extents):
    """The content of a file with its holes."""
    pieces, end = [], 0
    for offset, content in extents:
        pieces += [bytes(offset - end), content]
        end = offset + len(content)
    return b"".join(pieces + [bytes(size - end)])


def make(place, entry, extents):
    if entry.kind == FILE:
        with open(place, "xb") as file:
            for offset, content in extents:
                os.pwrite(file.fileno(), content, offset)
            file.truncate(entry.size)
    elif entry.kind == LINK:
        os.symlink(entry.target, place)
    else:
        kind = {PIPE: 0o010000, CHARACTER: 0o020000, BLOCK: 0o060000, SOCKET: 0o140000}[entry.kind]
        os.mknod(place, kind, os.makedev(*entry.device) if entry.own else 0)


def dress(place, entry):
    if os.geteuid() == 0:
        os.lchown(place, entry.user, entry.group)
    for name, value in entry.attributes:
        os.setxattr(place, name, value, follow_symlinks=False)
    if entry.kind != LINK:
        os.chmod(place, entry.mode)
    os.utime(place, ns=(entry.modified, entry.modified), follow_symlinks=False)
