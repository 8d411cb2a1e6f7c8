"""The log of PostgreSQL for the independent writer (vault_writer.py): pages and records as the server writes them, and their objects."""
import base64
import struct
from types import SimpleNamespace

from vault_objects import MIB, WAL
from vault_primitives import crc32c
from vault_writer import TIME, many, text

PAGE, SEGMENT, SYSTEM = 8192, MIB, 7_000_000_000_000_000_001
EPOCH = 946_684_800 * 1_000_000
COMMIT, ABORT, NAMED, OTHER = (1, 0x00), (1, 0x20), (0, 0x70), (10, 0x00)


def log(first, records):
    """Bytes from an address that begins a page, and what the records are: (timeline, kind, number, time, content or name)."""
    made = SimpleNamespace(first=first, data=b"", events=[], ends=[])
    before = 0

    def write(data, timeline, isContinued):
        while data:
            address = first + len(made.data)
            if address % PAGE == 0:
                is_long = address % SEGMENT == 0
                flags = (1 if isContinued else 0) | (2 if is_long else 0)
                made.data += struct.pack("<2HIQI4x", 0xD110, flags, timeline, address, len(data) if isContinued else 0)
                made.data += struct.pack("<Q2I", SYSTEM, SEGMENT, PAGE) if is_long else b""
                address = first + len(made.data)
            room = PAGE - address % PAGE
            made.data, data, isContinued = made.data + data[:room], data[room:], True
        made.data += bytes(-len(made.data) % 8)

    for timeline, (manager, info), number, time, content in records:
        at = first + len(made.data)
        at += 0 if at % PAGE else 40 if at % SEGMENT == 0 else 24
        if (manager, info) != OTHER:
            name = content.encode()
            content = struct.pack("<q", time - EPOCH) + (name.ljust(64, b"\0") if (manager, info) == NAMED else b"")
        body = (bytes([255, len(content)]) if len(content) < 256 else b"\xfe" + struct.pack("<I", len(content))) + content
        head = struct.pack("<2IQ2B2x", 24 + len(body), number, before, info, manager)
        write(head + struct.pack("<I", crc32c(body + head)) + body, timeline, False)
        before = at
        made.ends.append(first + len(made.data))
        if (manager, info) in (COMMIT, NAMED):
            made.events.append(((manager, info), made.ends[-1], time, name.decode()))
    return made


def index(made, first, end):
    """The last fields of the details of a range."""
    own = [event for event in made.events if first < event[1] <= end]
    commits = [event[1:3] for event in own if event[0] == COMMIT]
    names = [event for event in own if event[0] == NAMED]
    points = (commits[0], commits[-1]) if commits else ((0, 0), (0, 0))
    return (struct.pack("<Q2Q2q", len(commits), points[0][0], points[1][0], points[0][1], points[1][1])[:8]
            + b"".join(struct.pack("<Qq", *point) for point in points)
            + struct.pack("<I", len(names)) + b"".join(text(name) + struct.pack("<Qq", end, time) for _, end, time, name in names))


def store(writer, branch, timeline, made, first, end):
    """An object of a range. A change of its key may set the fields of its details before they are put together."""
    key = f"wal/{branch:06}/{first:016x}-{end:016x}"
    content = made.data[first - made.first:end - made.first]
    frames = [content[at:at + MIB] for at in range(0, len(content), MIB)]
    parts = SimpleNamespace(layout=1, system=SYSTEM, timeline=timeline, segment=SEGMENT, page=PAGE, index=index(made, first, end),
                            hashes=[writer.name(frame) for frame in frames], first=first, end=end, more=b"")
    writer.change.get(f"details {key}", lambda parts: None)(parts)
    details = struct.pack("<BQ3I", parts.layout, parts.system, parts.timeline, parts.segment, parts.page) + many("32s", parts.hashes)
    writer.put(key, WAL, frames, details + parts.index + parts.more, branch=branch, first=parts.first, last=parts.end, first_time=TIME,
               last_time=TIME + 1_000_000)


def timeline(writer, number, timeline, parent=0, history="", fork=0):
    writer.branch(number, parent, fork, timeline=timeline, system_id=str(SYSTEM), history=base64.b64encode(history.encode()).decode())
