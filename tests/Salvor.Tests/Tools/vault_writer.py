"""An independent writer of small Salvor vaults, from docs/format.md, for test vectors. The same calls always make the same bytes: nothing
is random, and what is compressed is put together by hand (vault_codecs.py)."""
import hashlib
import hmac
import json
import struct
import uuid

from vault_codecs import PACK_BY, STORED, ZSTD
from vault_objects import (BACKUP, BASE, BRANCH, CLAIM, COMMITS, CONDEMNED, END, FENCE, KEY, LOG, MAGIC, MIB, MOVE, OUTCOME, PACK, SEALED,
                           SNAPSHOT, VAULT, ZERO)
from vault_primitives import argon2id, crc32c, hkdf, page_hash, seal_gcm

TIME = 1_785_580_200_000_000
ISO = "2026-08-01T10:30:00+00:00"


def text(value):
    value = value.encode()
    return struct.pack("<H", len(value)) + value


def many(layout, rows):
    return struct.pack("<I", len(rows)) + b"".join(struct.pack("<" + layout, *(row if isinstance(row, tuple) else (row,))) for row in rows)


def digits(number, count):
    return f"{number:0{count}}"


class Database:
    """Pages of a made-up database and its checksum."""

    def __init__(self, vault, pages=()):
        self.vault, self.pages = vault, list(pages)

    def copy(self):
        return Database(self.vault, self.pages)

    def hash(self, number):
        return page_hash(self.vault.seed, number, self.pages[number - 1])

    def checksum(self):
        total = 0
        for number in range(1, len(self.pages) + 1):
            total ^= self.hash(number)
        return total

    def digest(self):
        return hashlib.sha256(b"".join(self.pages)).hexdigest()


class Writer:
    """Makes a vault. `change` may hold functions by key: each gets the parts of that object (a dictionary) just before they are sealed,
    and what follows is linked to the result."""

    def __init__(self, name, page_size=512, data_key=None, change=None, identity=None, kind="sqlite"):
        self.id = hashlib.sha256(name.encode()).digest()[:16]
        self.page_size, self.data_key, self.change = page_size, data_key, change or {}
        self.codecs = (ZSTD,)
        self.files, self.points, self.database, self.tips = {}, {}, Database(self), {}
        self.history, self.before, self.pending, self.names = {}, {}, {}, {}
        self.seed = 0x0123456789ABCDEF if data_key is None else int.from_bytes(self.derive("salvor page seed", 8), "little")
        path = "/data/app.db" if kind == "sqlite" else "app"
        value = {"source": "app", "kind": kind, "path": path, "created_at": ISO}
        if data_key is None:
            value["page_seed"] = f"{self.seed:016x}"
        else:
            body = text("app") + text(kind) + text(path) + struct.pack("<q", TIME)
            value["encryption"] = {"cipher": "aes-256-gcm", "check": hmac.digest(self.derive("salvor identity"), body, "sha256").hex()}
        self.json("vault", VAULT, value | (identity or {}))
        if kind != "sqlite":
            return
        claim = {"host": "h", "boot_id": "b", "pid": 1, "start_ticks": 1, "writer_id": "w", "since": ISO, "version": "1.0"}
        self.json("claims/0000000001", CLAIM, claim, epoch=1)

    # -- hashes and keys

    def derive(self, purpose, length=32, salt=None):
        return hkdf(self.data_key, salt, purpose.encode() + b"|" + self.id, length)

    def name(self, content):
        return hmac.digest(self.derive("salvor names"), content, "sha256") if self.data_key else hashlib.sha256(content).digest()

    def link(self, content):
        return hmac.digest(self.derive("salvor lineage"), content, "sha256") if self.data_key else hashlib.sha256(content).digest()

    def start(self, branch, fork, lineage):
        return self.link(self.id + struct.pack("<IQ", branch, fork) + lineage)

    # -- the envelope

    def header(self, kind, log_kind=0, flags=0, granularity=0, branch=0, epoch=0, number=0, first=0, last=0, first_time=0, last_time=0,
               before=ZERO, after=ZERO, points=0, vault_id=None, version=1, reserved=b"", salt=ZERO):
        return struct.pack("<8sH2x4B16s2I3Q2q32s32sI24s32s", MAGIC, version, kind, log_kind, flags, granularity, vault_id or self.id,
                           branch, epoch, number, first, last, first_time, last_time, before, after, points, reserved, salt)

    def put(self, key, kind, frames, details, given=None, **header):
        """Seals an object. Parts that `change` may set: frames, details, header, codec (of all), sealed, and packed:
        by row what is stored instead, how long its content is said to be, and its codec."""
        parts = dict(kind=kind, frames=frames, details=details, header=header, packed={},
                     codec=self.codecs[len(self.files) % len(self.codecs)], sealed=bool(self.data_key and kind in SEALED)) | (given or {})
        if kind != LOG:
            self.change.get(key, lambda parts: None)(parts)
        rows, head = [], self.header(parts["kind"], **parts["header"])
        contents = parts["frames"] + [parts["details"]]
        for content in contents:
            codec = parts["codec"]
            packed = PACK_BY[codec](content)
            packed, codec = (packed, codec) if len(packed) < len(content) else (content, STORED)
            rows.append(list(parts["packed"].get(len(rows), (packed, len(content), codec))))
        tag = 16 if parts["sealed"] else 0
        if parts["sealed"]:
            body, offset = head, 208
            for packed, length, codec in rows:
                body += struct.pack("<3IB3xI", offset, len(packed) + tag, length, codec, 0) + packed
                offset += len(packed) + tag
            head = head[:172] + hmac.digest(self.derive("salvor salts"), body, "sha256")
            object_key = self.derive("salvor object", salt=head[172:])
            for row, item in enumerate(rows):
                associated = head + struct.pack("<2IBI", row, len(rows), item[2], item[1])
                item[0] = seal_gcm(object_key, struct.pack("<I8x", row), item[0], associated)
        data, index = head + struct.pack("<I", crc32c(head)), b""
        for packed, length, codec in rows:
            index += struct.pack("<3IB3xI", len(data), len(packed), length, codec, crc32c(packed))
            data += packed
        data += index + struct.pack("<2I", len(rows), crc32c(index))
        data += hashlib.sha256(data).digest() + END
        if kind == PACK:
            key = "packs/" + data[-40:-8].hex()
        self.files[key], self.names[key] = data, self.name(parts["details"])
        return key

    def json(self, key, kind, value, **header):
        return self.put(key, kind, [], json.dumps(value, separators=(",", ":")).encode(), **header)

    # -- keys

    def slot(self, number, kind, secret, kdf, label="first", **change):
        kdf = {"salt": hashlib.sha256(f"salt {number}".encode()).hexdigest()} | kdf
        salt, costs = bytes.fromhex(kdf["salt"]), [kdf.get(name, 0) for name in ("memory_kib", "iterations", "parallelism")]
        if kdf["name"] == "hkdf-sha256":
            wrapping = hkdf(hashlib.sha256(secret).digest(), salt, b"salvor key file")
        elif kdf["name"] == "argon2id":
            wrapping = argon2id(secret, salt, *costs)
        else:
            wrapping = hashlib.pbkdf2_hmac("sha256", secret, salt, costs[1])
        bound = "|".join(map(str, ["salvor key slot", uuid.UUID(bytes=self.id), number, kind, kdf["name"], kdf["salt"], *costs, label]))
        wrapped = seal_gcm(wrapping, bytes(12), self.data_key, bound.encode()).hex()
        value = {"kind": kind, "label": label, "created_at": ISO, "kdf": kdf, "wrapped": wrapped} | change
        self.json(f"keys/{digits(number, 10)}", KEY, value, number=number)

    def exported(self):
        self.json("keys/exported", KEY, {"at": ISO, "host": "h", "waived": False})

    # -- branches and the log

    def branch(self, number, parent=0, fork=0, fork_number=0, lineage=ZERO, **change):
        value = {"parent": parent, "fork_position": fork, "fork_number": fork_number, "fork_lineage": lineage.hex(),
                 "reason": "because", "created_at": ISO} | change
        self.json(f"branches/{digits(number, 6)}", BRANCH, value, branch=number, epoch=1)
        self.at = dict(branch=number, number=0, position=fork, link=self.start(number, fork, lineage), time=TIME + fork * 1_000_000)

    def pack(self, chunks, per_frame=None):
        """A pack of chunks; returns the name of the pack."""
        places, frames, offset = [], [b""], 0
        for chunk in chunks:
            if len(frames[-1]) + len(chunk) > (per_frame or MIB):
                frames.append(b"")
            places.append((self.name(chunk), len(frames) - 1, len(frames[-1]), len(chunk)))
            frames[-1] += chunk
        return self.put("packs/", PACK, frames, many("32sHII", places)).split("/")[1]

    def node(self, level, packs, entries, hashes=()):
        return (struct.pack("<B", level) + many("32s", packs) + many("32sIH" if level == 0 else "32sQH", entries)
                + (many("Q", list(hashes)) if level == 0 else b""))

    def tree(self, database):
        """Stores the chunks and the nodes of a database; returns the top node."""
        size, content = max(16384, self.page_size), b"".join(database.pages)
        chunks = [content[at:at + size] for at in range(0, len(content), size)]
        pack = bytes.fromhex(self.pack(sorted(set(chunks)))) if chunks else None
        entries, per = [(self.name(chunk), len(chunk), 0) for chunk in chunks], size // self.page_size
        hashes = [database.hash(number) for number in range(1, len(database.pages) + 1)]
        nodes = []
        for at in range(0, max(1, len(entries)), 256):
            some = entries[at:at + 256]
            nodes.append((self.node(0, [pack] if some else [], some, hashes[at * per:(at + 256) * per]), sum(entry[1] for entry in some)))
        level = 0
        while len(nodes) > 1:
            level += 1
            pack = bytes.fromhex(self.pack([node for node, _ in nodes]))
            entries = [(self.name(node), length, 0) for node, length in nodes]
            nodes = [(self.node(level, [pack], entries[at:at + 256]), sum(entry[1] for entry in entries[at:at + 256]))
                     for at in range(0, len(entries), 256)]
        return nodes[0][0]

    def snapshot(self, image=0, database=None, key=None):
        database, at = database or self.database, self.at
        details = struct.pack("<IIQB", self.page_size, len(database.pages), database.checksum(), image) + self.tree(database)
        key = f"snapshots/{digits(at['branch'], 6)}/{digits(at['position'], 16)}"
        self.put(key, SNAPSHOT, [], details, branch=at["branch"], epoch=1, number=at["number"], first=at["position"], last=at["position"],
                 first_time=at["time"], last_time=at["time"], before=at["link"], after=at["link"])
        if image:
            self.image = self.name(details)

    def log(self, transactions=(), kind=COMMITS, part=None, first_part=None, extra=()):
        """One object. A transaction is (new page count, {page: fill byte or content}); a part is such pages without a commit."""
        at, database = self.at, self.database
        number, before, pages, commits = at["number"] + 1, database.checksum(), [], []
        position, earlier = at["position"], self.pending if first_part else {}
        if part is not None:
            self.pending = earlier | {page: self.content(page, content) for page, content in part.items()}
            pages = [(page, page_hash(self.seed, page, self.pending[page]), self.pending[page]) for page in part]
        for count, changes in transactions:
            changes = {page: self.content(page, content) for page, content in changes.items()}
            pages += [(page, page_hash(self.seed, page, content), content) for page, content in changes.items()]
            written, earlier = earlier | changes, {}
            for page in sorted(written):
                database.pages += [bytes(self.page_size)] * (page - len(database.pages))
                database.pages[page - 1] = written[page]
            del database.pages[count:]
            position += 1
            time = TIME + position * 1_000_000
            commits.append((time + 17, time, count, database.checksum(), len(changes)))
            self.points[f"{at['branch']}:{position}"] = database.digest()
            self.history.setdefault(at["branch"], []).append((number, position, commits[-1], written))
        final = int(bool(commits))
        fields = dict(kind=kind, final=final, page_size=self.page_size, first_part=first_part or number, before=before,
                      after=database.checksum() if final else before, reason="", snapshot=self.image if kind == BASE else ZERO,
                      commits=commits, pages=[page[:2] for page in pages], first_number=0, granularity=0, positions=[], breaks=[], parts=[])
        times = (commits[0][1], commits[-1][1]) if commits else (at["time"], at["time"])
        self.before[(at["branch"], number)] = (before, at["link"])
        self.log_object(f"log/{digits(at['branch'], 6)}/{digits(number, 16)}", fields, [page[2] for page in pages], dict(
            branch=at["branch"], epoch=1, number=number, first=at["position"] + 1, last=max(position, at["position"] + 1),
            first_time=times[0], last_time=times[1], before=at["link"]))
        at["number"], at["position"] = number, position
        at["time"] = times[1]
        self.tips[(at["branch"], number)] = dict(at)

    def log_object(self, key, fields, pages, header, compacted=None):
        per = max(1, MIB // self.page_size)
        frames = [b"".join(pages[at:at + per]) for at in range(0, len(pages), per)]
        parts = dict(fields=fields, frames=frames, header=header, hashes=None, details=None, after=compacted)
        self.change.get(key, lambda parts: None)(parts)
        hashes = parts["hashes"] if parts["hashes"] is not None else [self.name(frame) for frame in parts["frames"]]
        f = parts["fields"]
        details = (struct.pack("<BBI3Q5IQq", f["kind"], f["final"], f["page_size"], f["first_part"], f["before"], f["after"],
                               1, 2, 3, 4, 5, 7, 8)
                   + text(f["reason"]) + f["snapshot"] + many("32s", hashes) + many("2qIQI", f["commits"]) + many("IQ", f["pages"])
                   + struct.pack("<QB", f["first_number"], f["granularity"]) + many("Q", f["positions"])
                   + struct.pack("<I", len(f["breaks"])) + b"".join(struct.pack("<I", at) + text(why) for at, why in f["breaks"])
                   + many("I32s", f["parts"]))
        details = parts["details"](details) if parts["details"] else details
        head = dict(log_kind=f["kind"], flags=f["final"] | (2 if f["breaks"] else 0), granularity=f["granularity"],
                    points=len(f["commits"])) | parts["header"]
        if compacted is None:
            head["after"] = head.get("after") or self.link(
                head["before"] + struct.pack("<I3Q2q", head["branch"], head["number"], head["first"], head["last"], head["first_time"],
                                             head["last_time"]) + self.name(details))
            self.at["link"] = head["after"]
        else:
            head["after"] = head.get("after", compacted)
        given = {name: parts[name] for name in ("packed", "sealed", "codec") if name in parts}
        self.put(key, LOG, parts["frames"], details, given, **head)
        return self.name(details)

    def content(self, page, content):
        return content if isinstance(content, bytes) else bytes([content]) * self.page_size

    def compact(self, branch, first, last, kept, granularity=4, part_pages=None, kind=COMMITS, delete=True):
        """One compacted object for the log objects of a range, with these positions kept, and in parts of so many pages."""
        history = [row for row in self.history[branch] if first <= row[0] <= last]
        commits, rows, written = [], [], {}
        for _, position, commit, changes in history:
            written = {page: content for page, content in (written | changes).items() if page <= commit[2]}
            if position in kept:
                commits.append((*commit[:4], len(written)))
                rows += sorted(written.items())
                written = {}
        positions = [row[1] for row in history if row[1] in kept]
        tip, (before, link) = self.tips[(branch, last)], self.before[(branch, first)]
        key = f"log/{digits(branch, 6)}/{digits(first, 16)}-{digits(last, 16)}"
        common = dict(page_size=self.page_size, first_part=first, before=before, reason="", first_number=first, breaks=[])
        header = dict(branch=branch, epoch=0, number=last, first=history[0][1], last=history[-1][1], first_time=history[0][2][1],
                      last_time=history[-1][2][1], before=link)
        pages = lambda some: [(page, page_hash(self.seed, page, content)) for page, content in some]
        parts = []
        while part_pages and len(rows) > part_pages:
            some, rows = rows[:part_pages], rows[part_pages:]
            fields = common | dict(kind=COMMITS, final=0, after=before, snapshot=ZERO, commits=[], pages=pages(some), granularity=0,
                                   positions=[], parts=[])
            number = len(parts) + 1
            parts.append((number, self.log_object(f"{key}-{digits(number, 4)}", fields, [row[1] for row in some], header, tip["link"])))
        dense = positions == [row[1] for row in history]
        fields = common | dict(kind=kind, final=1, after=history[-1][2][3], snapshot=self.image if kind == BASE else ZERO, commits=commits,
                               pages=pages(rows), granularity=0 if dense else granularity, positions=[] if dense else positions,
                               parts=parts)
        self.log_object(key, fields, [row[1] for row in rows], header, tip["link"])
        for number in range(first, last + 1) if delete else ():
            del self.files[f"log/{digits(branch, 6)}/{digits(number, 16)}"]
        if delete:
            for _, position, _, _ in history:
                if position not in kept:
                    self.points[f"{branch}:{position}"] = "no_such_point"

    def backup(self, number, branch, position, **change):
        value = {"id": number, "branch": branch, "position": position, "time": ISO, "label": "", "mode": "full", "created_at": ISO,
                 "host": "h", "size_bytes": 512, "checksum": "0" * 16, "added_bytes": 0} | change
        self.json(f"backups/{digits(number, 10)}", BACKUP, value, number=number)
        if f"{branch}:{position}" in self.points:
            self.points[f"backup:{number}"] = self.points[f"{branch}:{position}"]

    def move(self, number, packs, **change):
        value = {"created_at": ISO, "packs": [{"pack": pack, "into": into} for pack, into in packs]} | change
        self.json(f"moves/{digits(number, 10)}", MOVE, value, number=number)

    # -- prunes

    def condemn(self, number, groups=(), pruned=(), change=None):
        """A record. A group is (key of what stands for it, or "", keys); a pruned range is (branch, first, last)."""
        value = {"at": ISO, "host": "h", "pid": 1, "grace_seconds": 604_800,
                 "groups": [{"reason": "expired", "by": by, "keys": keys} for by, keys in groups],
                 "pruned": [{"branch": branch, "first": first, "last": last} for branch, first, last in pruned]} | (change or {})
        self.json(f"condemned/{digits(number, 10)}", CONDEMNED, value, number=number)

    def outcome(self, number, what, **change):
        value = {"decision": what, "at": ISO, "host": "h", "pid": 1} | change
        self.json(f"outcomes/{digits(number, 10)}", OUTCOME, value, number=number)

    def fence(self):
        self.log(kind=FENCE)
