"""A vault in a directory: what its listing says, its keys, its chunks, and its snapshots (sections 1, 3 and 4 of docs/format.md)."""
import hashlib
import hmac
import os
import re
import struct
import uuid

from vault_objects import *
from vault_primitives import argon2id, hkdf, open_gcm, page_hash
from vault_pruned import Condemned


class Folder:
    """The files below a directory, by key."""

    def __init__(self, root):
        self.root = root

    def keys(self):
        for folder, _, files in os.walk(self.root):
            for name in files:
                yield os.path.relpath(os.path.join(folder, name), self.root).replace(os.sep, "/")

    def size(self, key):
        return os.path.getsize(os.path.join(self.root, key))

    def read(self, key):
        with open(os.path.join(self.root, key), "rb") as file:
            return file.read()


class Vault:
    """A vault in a directory, or in something like one: what its listing says, its keys, and objects on demand."""

    def __init__(self, root, passphrase=None, key_file=None):
        self.folder, self.keyed, self.data_key = Folder(root) if isinstance(root, str) else root, False, None
        self.items, self.logs, self.packs, self.moves, self.condemned = {}, {}, {}, None, None
        self.keys = {key: self.kind_of(key) for key in self.folder.keys() if "/." not in "/" + key}
        if "vault" not in self.keys:
            raise Damaged("vault", "missing", "there is no identity")
        identity = self.item("vault", VAULT)
        self.id = identity.vault_id
        self.identity = identity.json()
        micros(self.identity["created_at"])
        if self.identity["kind"] not in ("sqlite", "files", "command", "postgres"):
            raise Damaged("vault", "identity", "another kind of source")
        if "encryption" in self.identity:
            self.unlock(passphrase, key_file)
        elif re.fullmatch("[0-9a-f]{16}", str(self.identity.get("page_seed"))):
            self.seed = int(self.identity["page_seed"], 16)
        else:
            raise Damaged("vault", "identity", "no page seed")
        self.condemned = Condemned(self)

    @property
    def is_tree(self):
        return self.identity["kind"] != "sqlite"

    @staticmethod
    def kind_of(key):
        for kind, pattern in KEYS.items():
            match = re.fullmatch(pattern, key, re.ASCII)
            if match:
                return kind, match.groups()
        return None, ()

    # -- keys and hashes

    def unlock(self, passphrase, key_file):
        encryption = self.identity["encryption"]
        if not isinstance(encryption, dict) or encryption.get("cipher") != "aes-256-gcm" or not isinstance(encryption.get("check"), str):
            raise Damaged("vault", "identity", "unknown encryption")
        if passphrase is None and key_file is None:
            raise Refusal(4, "missing_key")
        self.check_names(("keys/",))
        slots = [key for key, (kind, groups) in self.keys.items() if kind == KEY and groups[0] != "exported"]
        if len(slots) > 32:
            raise Damaged("keys", "size", f"{len(slots)} slots")
        damage = None
        for key in sorted(slots):
            try:
                self.data_key = self.try_slot(key, passphrase, key_file)
            except Damaged as error:
                damage = damage or error
            if self.data_key:
                break
        if not self.data_key:
            raise damage or (Refusal(3, "wrong_key") if slots else Damaged("keys", "missing", "there is no key slot"))
        self.keyed = True
        self.name_key, self.lineage_key = self.derive("salvor names"), self.derive("salvor lineage")
        self.seed = int.from_bytes(self.derive("salvor page seed", 8), "little")
        texts = [self.identity[name].encode() for name in ("source", "kind", "path")]
        body = b"".join(struct.pack("<H", len(text)) + text for text in texts) + struct.pack("<q", micros(self.identity["created_at"]))
        if hmac.digest(self.derive("salvor identity"), body, "sha256").hex() != encryption["check"]:
            raise Damaged("vault", "identity", "its check does not match")

    def derive(self, purpose, length=32, salt=None):
        return hkdf(self.data_key, salt, purpose.encode() + b"|" + self.id, length)

    def object_key(self, salt):
        return self.derive("salvor object", salt=salt)

    def try_slot(self, key, passphrase, key_file):
        number = int(key.split("/")[1])
        slot = self.open(key, KEY).expect(number=number).json()
        damage = lambda why, layer="key": Damaged(key, layer, why)
        secret = {"key_file": key_file, "passphrase": passphrase}.get(slot["kind"])
        if secret is None:
            return None
        kdf = slot["kdf"] if isinstance(slot["kdf"], dict) else {}
        name, salt = kdf.get("name"), str(kdf.get("salt"))
        if not re.fullmatch("[0-9a-f]{64}", salt) or not re.fullmatch("[0-9a-f]{96}", str(slot["wrapped"])):
            raise damage("salt or wrapped key has another length")
        memory, iterations, lanes = (kdf.get(field, 0) for field in ("memory_kib", "iterations", "parallelism"))
        if any(not isinstance(value, int) or value < 0 for value in (memory, iterations, lanes)):
            raise damage("a cost is no number")
        if name == "argon2id":
            if not (1 <= iterations and 1 <= lanes <= 16 and 8 * lanes <= memory <= 512 << 10 and memory * iterations <= 2 << 20):
                raise damage("a cost that is refused", "size")
        elif name == "pbkdf2-sha256":
            if not 1 <= iterations <= 5_000_000:
                raise damage("a cost that is refused", "size")
        elif name != "hkdf-sha256":
            raise damage("an unknown derivation")
        salt_bytes = bytes.fromhex(salt)
        if slot["kind"] == "key_file":
            secret = hashlib.sha256(secret).digest()
        if name == "hkdf-sha256":
            wrapping = hkdf(secret, salt_bytes, b"salvor key file")
        elif name == "argon2id":
            wrapping = argon2id(secret, salt_bytes, memory, iterations, lanes)
        else:
            wrapping = hashlib.pbkdf2_hmac("sha256", secret, salt_bytes, iterations)
        parts = ("salvor key slot", uuid.UUID(bytes=self.id), number, slot["kind"], name, salt, memory, iterations, lanes, slot["label"])
        return open_gcm(wrapping, bytes(12), bytes.fromhex(slot["wrapped"]), "|".join(map(str, parts)).encode())

    def name(self, content):
        return hmac.digest(self.name_key, content, "sha256") if self.keyed else hashlib.sha256(content).digest()

    def lineage(self, content):
        return hmac.digest(self.lineage_key, content, "sha256") if self.keyed else hashlib.sha256(content).digest()

    def page_hash(self, number, page):
        return page_hash(self.seed, number, page)

    # -- objects

    def item(self, key, kind):
        if key not in self.keys:
            raise Damaged(key, "missing", "it is not there")
        if self.folder.size(key) > MAX_OBJECT:
            raise Damaged(key, "size", f"{self.folder.size(key)} bytes")
        return Item(self, key, kind, self.folder.read(key))

    def open(self, key, kind):
        if key not in self.items:
            item = self.item(key, kind).expect(vault_id=self.id)
            item.checked = set()
            self.items[key] = item
        return self.items[key]

    def check_names(self, folders=STRICT):
        """Looks for keys that would hide others; each folder when it is read."""
        for key, (kind, _) in self.keys.items():
            if kind is None and key.startswith(folders):
                raise Damaged(key, "name", "it is not spelled like a key")

    def of_kind(self, kind):
        """What is there of a kind and not condemned: the numbers in the key, and the key."""
        return sorted((groups, key) for key, (found, groups) in self.keys.items() if found == kind and not self.is_hidden(key))

    def has(self, key):
        return key in self.keys and not self.is_hidden(key)

    def is_hidden(self, key):
        return self.condemned is not None and key in self.condemned.hidden

    def branches(self):
        return [int(groups[0]) for groups, _ in self.of_kind(BRANCH)]

    def branch(self, number):
        """The record of a branch, with the link where it starts."""
        record = self.open(f"branches/{number:06}", BRANCH).expect(branch=number)
        value = record.json()
        parent, fork, lineage = value["parent"], value["fork_position"], str(value["fork_lineage"])
        whole = all(isinstance(value[name], int) and value[name] >= 0 for name in ("parent", "fork_position", "fork_number"))
        if not whole or parent >= number or not re.fullmatch("[0-9a-f]{64}", lineage) or fork >= 1 << 64:
            raise Damaged(record.key, "details", "its fork is impossible")
        if (number == 1) != (parent == 0) or parent == 0 and (fork or value["fork_number"] or int(lineage, 16)):
            raise Damaged(record.key, "details", "only branch 1 has no parent")
        value["start"] = self.lineage(self.id + struct.pack("<IQ", number, fork) + bytes.fromhex(lineage))
        value["link"] = bytes.fromhex(lineage)
        return value

    def log(self, branch):
        """What the listing says of the log of a branch: (first number, last number, key), without parts and what was given up."""
        found = []
        for (place, first, last, part), key in ((g, k) for k, (kind, g) in self.keys.items() if kind == LOG):
            if int(place) == branch and part is None:
                first, last = int(first), int(last or first)
                if last < first or first < 1 or key.count("-") and last == first:
                    raise Damaged(key, "name", "its range is impossible")
                if not self.is_hidden(key) and not self.condemned.is_pruned(branch, first, last):
                    found.append((first, last, key))
        return sorted(found)

    def log_object(self, branch, entry):
        first, last, key = entry
        if key not in self.logs:
            self.logs[key] = LogObject(self, key, branch, last, first).check_link()
        return self.logs[key]

    def snapshot(self, branch, position):
        return Snapshot(self, f"snapshots/{branch:06}/{position:016}", branch, position)

    def snapshots(self, branch):
        return [int(groups[1]) for groups, _ in self.of_kind(SNAPSHOT) if int(groups[0]) == branch]

    # -- chunks

    def chunk(self, name, pack, length):
        """The content of a chunk or node: from its pack, or from where moves brought it; a damaged copy counts as none."""
        pending, seen, damage = [pack.hex()], set(), None
        while pending:
            current = pending.pop(0)
            if current in seen:
                continue
            seen.add(current)
            try:
                content = self.chunk_in(current, name, length)
                if content is not None:
                    return content
                damage = damage or Damaged(f"packs/{current}", "chunk", f"it does not have chunk {name.hex()}")
            except Damaged as error:
                damage = damage or error
            pending += self.moved(current)
        raise damage

    def chunk_in(self, pack, name, length):
        key = f"packs/{pack}"
        if pack not in self.packs:
            item = self.open(key, PACK).expect(branch=0, epoch=0, first=0, last=0)
            if item.footer_hash.hex() != pack:
                raise Damaged(key, "place", "its hash is not its name")
            fields, places = item.fields(), {}
            for chunk, frame, offset, size in fields.list("32sHII"):
                if frame >= item.frames - 1 or offset + size > item.rows[frame][2]:
                    raise Damaged(key, "details", "a place outside of its frame")
                places.setdefault(chunk, (frame, offset, size))
            fields.end()
            self.packs[pack] = item, places
        item, places = self.packs[pack]
        if name not in places:
            return None
        frame, offset, size = places[name]
        content = item.frame(frame)[offset:offset + size]
        if self.name(content) != name:
            raise Damaged(key, "chunk", f"chunk {name.hex()} is not its name")
        if length is not None and size != length:
            raise Damaged(key, "chunk", f"chunk {name.hex()} has another length")
        return content

    def moved(self, pack):
        if self.moves is None:
            self.moves = {}
            self.check_names(("moves/",))
            for groups, key in self.of_kind(MOVE):
                for row in self.open(key, MOVE).expect(number=int(groups[0])).json()["packs"]:
                    names = [row.get("pack"), *row["into"]] if isinstance(row, dict) and isinstance(row.get("into"), list) else [None]
                    if not all(isinstance(name, str) and re.fullmatch("[0-9a-f]{64}", name) for name in names):
                        raise Damaged(key, "details", "a move of nothing, or to nowhere")
                    self.moves.setdefault(names[0], []).extend(names[1:])
        return self.moves.get(pack, [])


def node_of(fields):
    """A node: level, entries, length of what it covers, page hashes."""
    level, packs, entries, total = fields.take("B"), fields.list("32s"), [], 0
    if level > 5:
        raise fields.damage("its level is too high", "tree")
    for name, length, pack in fields.list("32sIH" if level == 0 else "32sQH"):
        if pack >= len(packs) or length == 0 or level == 0 and length > MIB:
            raise fields.damage("an impossible entry", "tree")
        entries.append((name, length, packs[pack]))
        total += length
    if len(entries) > 256 or total >= 1 << 64:
        raise fields.damage("too many entries", "tree")
    return level, entries, total, fields.list("Q") if level == 0 else []


def child_of(key, length, level, content, read):
    """The node below one of a level, which is stored as a chunk."""
    fields = Fields(key, content)
    child = read(fields)
    fields.end()
    if child[0] != level - 1 or child[2] != length:
        raise fields.damage("a node with another level or length", "tree")
    return child


class Snapshot:
    """The root of a snapshot of a database; its tree is read when it is restored."""

    def __init__(self, vault, key, branch, position):
        self.vault, self.key = vault, key
        self.item = vault.open(key, SNAPSHOT).expect(branch=branch, last=position)
        self.number, self.position, self.link = self.item.number, position, self.item.after
        fields = self.item.fields()
        self.page_size, self.page_count, self.checksum, self.image = fields.take("IIQB")
        if self.page_size < 512 or self.page_size > 65536 or self.page_size & self.page_size - 1 or self.image > 1:
            raise fields.damage("page size or flag")
        self.length = self.page_size * self.page_count
        self.top = self.node(fields)
        fields.end()
        if self.top[2] != self.length:
            raise Damaged(key, "tree", "its length is not that of the database")
        chunks, level = -(-self.length // self.chunk_size()), 0
        while chunks > 256 ** (level + 1):
            level += 1
        if self.top[0] != level:
            raise Damaged(key, "tree", "its top is at another level")

    def chunk_size(self):
        return max(16384, self.page_size)

    def node(self, fields):
        node = node_of(fields)
        if node[0] == 0 and len(node[3]) != -(-node[2] // self.page_size):
            raise fields.damage("other pages than its chunks have", "tree")
        return node

    def chunks(self):
        """(content, page hashes) of each chunk in order."""
        yield from self.walk(self.top, self.key, 0)

    def walk(self, node, key, offset):
        level, entries, _, hashes = node
        full = self.chunk_size() * 256 ** level
        for index, (name, length, pack) in enumerate(entries):
            if length != min(full, self.length - offset):
                raise Damaged(key, "tree", "a node is not full, and not the last")
            content = self.vault.chunk(name, pack, length if level == 0 else None)
            if level == 0:
                pages = len(content) // self.page_size
                first = index * full // self.page_size
                yield content, hashes[first:first + pages], key
            else:
                key_of_child = f"{self.key}#{name.hex()}"
                yield from self.walk(child_of(key_of_child, length, level, content, self.node), key_of_child, offset)
            offset += length
