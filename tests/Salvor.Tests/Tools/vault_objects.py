"""Objects of a vault as docs/format.md lays them out (sections 2 to 4): envelope, fields, log objects."""
import json
import re
import struct
from datetime import datetime, timezone

from vault_primitives import crc32c, open_gcm, unpack

MIB = 1 << 20
MAX_OBJECT = 16 * MIB
HEADER, ROW, FOOTER, TAG = 208, 20, 48, 16
MAGIC, END = bytes.fromhex("89534C560D0A1A0A"), b"SLVEND\r\n"
VAULT, BRANCH, CLAIM, LOG, PACK, SNAPSHOT, HEAD, MOVE, BACKUP, KEY, CONDEMNED, OUTCOME, WAL = range(1, 14)
COMMITS, BASE, RESYNC, FENCE, END_OF_LOG = range(1, 6)
ZERO = bytes(32)
KEYS = {
    VAULT: r"vault", BRANCH: r"branches/(\d{6})", CLAIM: r"claims/(\d{10})", PACK: r"packs/([0-9a-f]{64})",
    LOG: r"log/(\d{6})/(\d{16})(?:-(\d{16})(?:-(\d{4}))?)?", SNAPSHOT: r"snapshots/(\d{6})/(\d{16})",
    MOVE: r"moves/(\d{10})", BACKUP: r"backups/(\d{10})", KEY: r"keys/(\d{10}|exported)",
    CONDEMNED: r"condemned/(\d{10})", OUTCOME: r"outcomes/(\d{10})", WAL: r"wal/(\d{6})/([0-9a-f]{16})-([0-9a-f]{16})",
}
STRICT = ("branches/", "log/", "snapshots/", "backups/")
SEALED = (BRANCH, LOG, PACK, SNAPSHOT, MOVE, BACKUP, CONDEMNED, OUTCOME, WAL)
MEMBERS = {
    VAULT: "source kind path created_at", BRANCH: "parent fork_position fork_number fork_lineage reason created_at",
    CLAIM: "host boot_id pid start_ticks writer_id since version", MOVE: "created_at packs", KEY: "kind label created_at kdf wrapped",
    BACKUP: "id branch position time label mode created_at host size_bytes checksum added_bytes",
    CONDEMNED: "at host pid grace_seconds groups pruned", OUTCOME: "decision at host pid",
}
LATEST = int(datetime(9999, 12, 31, 23, 59, 59, 999999, timezone.utc).timestamp()) * 1_000_000 + 999_999
EARLIEST = -62_135_596_800_000_000


class Refusal(Exception):
    """The vault cannot give what was asked for; the line says why, and the code is the exit code."""

    def __init__(self, code, line):
        super().__init__(line)
        self.code = code


class Damaged(Refusal):
    """An object is not what the format says, at the layer that noticed."""

    def __init__(self, key, layer, why):
        super().__init__(5, f"damaged {key} {layer}: {why}")
        self.key, self.layer = key, layer


class Fields:
    """Reads the details of an object, field by field; whatever does not fit is damage of that object."""

    def __init__(self, key, data):
        self.key, self.data, self.at = key, data, 0

    def damage(self, why, layer="details"):
        return Damaged(self.key, layer, why)

    def bytes(self, count):
        if count > len(self.data) - self.at:
            raise self.damage("it ends inside a field")
        self.at += count
        return self.data[self.at - count:self.at]

    def take(self, layout):
        values = struct.unpack("<" + layout, self.bytes(struct.calcsize("<" + layout)))
        return values[0] if len(values) == 1 else values

    def text(self):
        try:
            return self.bytes(self.take("H")).decode()
        except UnicodeDecodeError:
            raise self.damage("a text is not UTF-8") from None

    def count(self, least):
        """The count of a list whose items have at least so many bytes: checked before anything is made of it."""
        count = self.take("I")
        if count * least > len(self.data) - self.at:
            raise self.damage("a count is larger than what follows", "size")
        return count

    def list(self, layout):
        return [self.take(layout) for _ in range(self.count(struct.calcsize("<" + layout)))]

    def end(self):
        if self.at != len(self.data):
            raise self.damage("bytes follow the last field")


class Item:
    """An object that was opened: header, index and place are good. Frames are read when they are needed."""

    def __init__(self, vault, key, kind, data):
        self.vault, self.key, self.data = vault, key, data
        if not HEADER + ROW + FOOTER <= len(data) <= MAX_OBJECT:
            raise Damaged(key, "size", f"{len(data)} bytes")
        if data[:8] != MAGIC:
            raise Damaged(key, "magic", "this is not an object")
        version = struct.unpack_from("<H", data, 8)[0]
        if version != 1:
            raise Refusal(7, f"unknown_version {key}: {version}")
        if struct.unpack_from("<I", data, 204)[0] != crc32c(data[:204]):
            raise Damaged(key, "header", "its checksum does not match")
        self.header = data[:204]
        (self.kind, self.log_kind, self.flags, self.granularity, self.vault_id, self.branch, self.epoch, self.number, self.first,
         self.last, self.first_time, self.last_time, self.before, self.after, self.points) = struct.unpack_from(
             "<4B16s2I3Q2q32s32sI", data, 12)
        self.salt = data[172:204]
        if self.kind != kind:
            raise Damaged(key, "place", f"its kind is {self.kind}")
        if data[-8:] != END:
            raise Damaged(key, "footer", "no end mark")
        self.frames, index_crc = struct.unpack_from("<2I", data, len(data) - FOOTER)
        self.footer_hash = data[-40:-8]
        self.sealed = vault.keyed and kind in SEALED
        index = len(data) - FOOTER - ROW * self.frames
        if self.frames < 1 or index < HEADER:
            raise Damaged(key, "footer", f"{self.frames} frames")
        if crc32c(data[index:-FOOTER]) != index_crc:
            raise Damaged(key, "index", "its checksum does not match")
        self.rows, offset = [], HEADER
        for row in range(self.frames):
            start, stored, length, codec, crc = struct.unpack_from("<3IB3xI", data, index + row * ROW)
            limit = MAX_OBJECT if row == self.frames - 1 else MIB
            if start != offset or stored > index - start or length > limit:
                raise Damaged(key, "index", f"row {row} has impossible numbers")
            if codec > 3:
                raise Damaged(key, "index", f"row {row} has codec {codec}")
            plain = stored - (TAG if self.sealed else 0)
            if plain < 0 or codec == 0 and plain != length:
                raise Damaged(key, "index", f"row {row} has another length stored")
            self.rows.append((start, stored, length, codec, crc))
            offset = start + stored
        if offset != index:
            raise Damaged(key, "index", "the frames end elsewhere")
        self.contents = {}

    def frame(self, row):
        if row not in self.contents:
            self.contents[row] = self.read_frame(row)
        return self.contents[row]

    def read_frame(self, row):
        start, stored, length, codec, crc = self.rows[row]
        data = self.data[start:start + stored]
        if crc32c(data) != crc:
            raise Damaged(self.key, "frame", f"the checksum of frame {row} does not match")
        if self.sealed:
            associated = self.header + struct.pack("<2IBI", row, self.frames, codec, length)
            data = open_gcm(self.vault.object_key(self.salt), struct.pack("<I8x", row), data, associated)
            if data is None:
                raise Damaged(self.key, "seal", f"the tag of frame {row} does not fit")
        data = unpack(codec, data, length)
        if data is None or len(data) != length:
            raise Damaged(self.key, "frame", f"frame {row} has another length")
        return data

    def details(self):
        return self.frame(self.frames - 1)

    def fields(self):
        return Fields(self.key, self.details())

    def json(self):
        try:
            value = json.loads(self.details().decode())
        except (ValueError, RecursionError):
            raise Damaged(self.key, "details", "not JSON") from None
        members = ("at host waived" if self.key == "keys/exported" else MEMBERS[self.kind]).split()
        missing = [name for name in members if not isinstance(value, dict) or value.get(name) is None]
        if "packs" in members and not missing and not isinstance(value["packs"], list):
            raise Damaged(self.key, "details", "packs are no list")
        if missing:
            raise Damaged(self.key, "details", f"no member {missing[0]}")
        return value

    def expect(self, **places):
        for name, value in places.items():
            if getattr(self, name) != value:
                raise Damaged(self.key, "place", f"its {name} is {getattr(self, name)}, not {value}")
        return self


class LogObject:
    """The details of a log object, checked against its header (section 4) and, where it is compacted, joined with its parts."""

    def __init__(self, vault, key, branch, number, first_number, part=0):
        self.vault, self.key, self.part = vault, key, part
        self.item = item = vault.open(key, LOG).expect(branch=branch, number=number)
        self.number, self.from_number = number, first_number
        fields = item.fields()
        self.kind, self.final, self.page_size = fields.take("BBI")
        self.first_part, self.checksum_before, self.checksum_after = fields.take("3Q")
        fields.take("5IQq")
        fields.text()
        self.snapshot = fields.take("32s")
        self.hashes = fields.list("32s")
        self.commits = fields.list("2qIQI")
        self.pages = fields.list("IQ")
        self.first_number, self.granularity = fields.take("QB")
        self.positions = fields.list("Q")
        self.breaks = [(fields.take("I"), fields.text()) for _ in range(fields.count(6))]
        self.parts = fields.list("I32s")
        fields.end()
        self.per_frame = MIB // self.page_size if self.page_size else 0
        self.compacted = first_number != number
        self.check()
        if not self.positions:
            self.positions = range(item.first, item.first + len(self.commits))
        self.sources = [self]

    def check(self):
        item, damage = self.item, lambda why, layer="details": Damaged(self.key, layer, why)
        if not 1 <= self.kind <= 5 or self.final > 1:
            raise damage("unknown log kind")
        if self.page_size not in (512, 1024, 2048, 4096, 8192, 16384, 32768, 65536):
            raise damage(f"page size {self.page_size}")
        if (item.log_kind, item.flags, item.granularity, item.points) != (
                self.kind, self.final | (2 if self.breaks else 0), self.granularity, len(self.commits)):
            raise damage("the header says otherwise")
        if self.kind >= FENCE and (self.pages or self.final):
            raise damage("a fence with pages")
        if bool(self.commits) != bool(self.final):
            raise damage("commits in an earlier part, or none in a final one")
        if len(self.hashes) != item.frames - 1 or len(self.hashes) != -(-len(self.pages) // self.per_frame):
            raise damage("another number of frames than its pages need")
        for row, frame in enumerate(item.rows[:-1]):
            pages = min(self.per_frame, len(self.pages) - row * self.per_frame)
            if frame[2] != pages * self.page_size:
                raise damage(f"frame {row} has another length than its pages")
        if any(page in (0, lock_page(self.page_size)) for page, _ in self.pages):
            raise damage("a page that no database has")
        times = [time for commit in self.commits for time in commit[:2]] + [item.first_time, item.last_time]
        if any(not EARLIEST <= time <= LATEST for time in times):
            raise damage("a time that is no time")
        ordered = [commit[1] for commit in self.commits]
        if ordered != sorted(ordered):
            raise damage("times go backwards")
        if item.last < item.first or item.first < 1:
            raise damage("positions go backwards")
        if self.compacted:
            return self.check_compacted(damage, ordered)
        if self.first_number or self.granularity or self.positions or self.breaks or self.parts or self.part:
            raise damage("it says that it is compacted")
        if item.last - item.first + 1 != (len(self.commits) or 1):
            raise damage("positions are not as many as commits")
        if not 1 <= self.first_part <= self.number:
            raise damage("its first part is after it")
        if self.final and (item.first_time, item.last_time) != (ordered[0], ordered[-1]):
            raise damage("its times are not those of its commits")
        if self.final and sum(commit[4] for commit in self.commits) != len(self.pages):
            raise damage("the pages of its commits are not those of the list")

    def check_compacted(self, damage, ordered):
        item, count = self.item, len(self.commits)
        if self.first_number != self.from_number or self.first_part != self.first_number:
            raise damage("its key says another range", "place")
        positions = self.positions or range(item.first, item.first + count)
        if self.part == 0:
            if not count or len(positions) != count or positions[-1] != item.last or positions[0] < item.first:
                raise damage("its positions are not those of its commits")
            if any(a >= b for a, b in zip(positions, positions[1:])):
                raise damage("its positions do not ascend")
            if ordered[-1] != item.last_time or ordered[0] < item.first_time:
                raise damage("its times are not those of its range")
        elif count or self.parts or self.breaks or self.positions:
            raise damage("an earlier part with commits")
        places = [index for index, _ in self.breaks]
        if self.granularity > 4 or places != sorted(set(places)) or any(not 0 < place < count for place in places):
            raise damage("its breaks are no places")
        numbers = [number for number, _ in self.parts]
        if numbers != sorted(set(numbers)) or any(not 1 <= number <= 9999 for number in numbers):
            raise damage("its parts do not ascend")

    def join_parts(self):
        """Reads the parts of a compacted object and puts their pages before its own."""
        if self.parts and len(self.sources) == 1:
            earlier = []
            for number, digest in self.parts:
                key = f"{self.key}-{number:04}"
                if key not in self.vault.keys:
                    raise Damaged(key, "missing", f"{self.key} needs it")
                part = LogObject(self.vault, key, self.item.branch, self.number, self.from_number, number)
                if self.vault.name(part.item.details()) != digest or part.page_size != self.page_size:
                    raise Damaged(key, "lineage", f"it is not the part that {self.key} names")
                earlier.append(part)
            self.sources = earlier + [self]
        if self.compacted and sum(len(source.pages) for source in self.sources) != sum(commit[4] for commit in self.commits):
            raise Damaged(self.key, "details", "the pages of its commits are not those of the list")
        return self

    def link(self):
        """The link of the lineage after this object, from what it is; a compacted one states it."""
        item = self.item
        if self.compacted:
            return item.after
        body = item.before + struct.pack("<I3Q2q", item.branch, self.number, item.first, item.last, item.first_time, item.last_time)
        return self.vault.lineage(body + self.vault.name(item.details()))

    def check_link(self):
        if self.link() != self.item.after:
            raise Damaged(self.key, "lineage", "its link is not what follows from it")
        return self

    def page(self, row):
        number, digest = self.pages[row]
        frame = row // self.per_frame
        content = self.item.frame(frame)
        if frame not in self.item.checked:
            if self.vault.name(content) != self.hashes[frame]:
                raise Damaged(self.key, "frame", f"frame {frame} is not what the details name")
            self.item.checked.add(frame)
        start = row % self.per_frame * self.page_size
        page = content[start:start + self.page_size]
        if self.vault.page_hash(number, page) != digest:
            raise Damaged(self.key, "page", f"page {number}")
        return page


def lock_page(page_size):
    return (1 << 30) // page_size + 1


def micros(text):
    try:
        match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,7}))?(Z|[+-]\d\d:\d\d)", text)
        moment = datetime.fromisoformat(match[1] + match[3].replace("Z", "+00:00"))
        seconds = int((moment - datetime(1970, 1, 1, tzinfo=timezone.utc)).total_seconds())
        return seconds * 1_000_000 + int((match[2] or "0").ljust(7, "0")[:6])
    except (TypeError, ValueError):
        raise Damaged("vault", "identity", "a time that is no time") from None
