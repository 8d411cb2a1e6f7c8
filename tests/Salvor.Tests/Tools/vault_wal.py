"""The log of PostgreSQL in a vault: its objects, and the bytes on the way to a timeline (section 8c of docs/format.md)."""
import base64
import binascii
import re

from vault_objects import *

BLOCK = 8 * MIB
ADDRESS = r"([0-9A-F]{1,8})/([0-9A-F]{1,8})"


def wal_object(vault, key, branch, first, end):
    """An object that is open and checked but for its frames, with the hashes of those."""
    item = vault.open(key, WAL).expect(branch=branch, first=first, last=end)
    damage = lambda why, layer="details": Damaged(key, layer, why)
    if any(not EARLIEST <= time <= LATEST for time in (item.first_time, item.last_time)):
        raise damage("a time that is no time", "place")
    fields = item.fields()
    if fields.take("B") != 1:
        raise damage("another layout")
    system, timeline, segment, page = fields.take("Q3I")
    hashes = fields.list("32s")
    commits = fields.take("Q")
    points = [fields.take("Qq"), fields.take("Qq")]
    names = [(fields.text(), *fields.take("Qq")) for _ in range(fields.count(18))]
    fields.end()
    power = lambda value, least, most: least <= value <= most and value & (value - 1) == 0
    if timeline == 0 or not power(segment, MIB, 1 << 30) or not power(page, 1 << 10, 1 << 16):
        raise damage("sizes that no server has, or no timeline")
    lengths = [row[2] for row in item.rows[:-1]]
    if len(hashes) != len(lengths) or 0 in lengths or sum(lengths) != end - first:
        raise damage("its frames do not have the bytes of its range")
    within = lambda point: first < point[0] <= end and EARLIEST <= point[1] <= LATEST
    if commits == 0 and any(any(point) for point in points) or commits and not all(map(within, points)):
        raise damage("its commits are not in its range")
    if commits and (commits > end - first or points[0][0] > points[1][0] or (commits == 1) != (points[0][0] == points[1][0])):
        raise damage("its commits do not fit each other")
    before = first
    for name, *point in names:
        if not within(point) or point[0] <= before or len(name.encode()) > 63:
            raise damage("its named points do not fit its range")
        before = point[0]
    return item, hashes, (system, timeline)


class WalLog:
    """What of the log is there, and its bytes."""

    def __init__(self, vault):
        self.vault, self.ranges = vault, {}
        for key, (kind, groups) in sorted(vault.keys.items()):
            if kind is None and key.startswith("wal/"):
                raise Damaged(key, "name", "it is not spelled like a key")
            if kind == WAL and not vault.is_hidden(key):
                branch, first, end = int(groups[0]), int(groups[1], 16), int(groups[2], 16)
                if not first < end or first // BLOCK != (end - 1) // BLOCK:
                    raise Damaged(key, "name", "its range is not within a block")
                self.ranges.setdefault(branch, []).append((first, end, key))

    def read(self, branch, first, end):
        """The bytes of a range on the way to a branch."""
        path, limit = [], 1 << 64
        while branch:
            record, fork, parent = self.timeline(branch)
            path.insert(0, (branch, fork, limit))
            limit, branch = min(limit, fork), record["parent"]
            if branch and self.timeline(branch)[0]["timeline"] != parent:
                raise Damaged(f"branches/{path[0][0]:06}", "details", "its parent is of another timeline than its history says")
        content = b""
        while first < end:
            owner = max(row for row, (_, fork, _) in enumerate(path) if row == 0 or fork <= first)
            for number, fork, limit in path[owner:]:
                there = [entry for entry in self.ranges.get(number, []) if entry[0] <= first < entry[1]]
                if there:
                    break
            else:
                raise Refusal(6, f"no_such_point {first:x}")
            start, stop, key = max(there, key=lambda entry: entry[1])
            until = min(stop, end, limit if fork <= first else min(fork, path[owner][2]))
            content += self.content(number, start, stop, key)[first - start:until - start]
            first = until
        return content

    def content(self, branch, first, end, key):
        item, hashes, _ = wal_object(self.vault, key, branch, first, end)
        frames = [item.frame(row) for row in range(item.frames - 1)]
        for row, frame in enumerate(frames):
            if self.vault.name(frame) != hashes[row]:
                raise Damaged(key, "frame", f"the hash of frame {row} does not match")
        return b"".join(frames)

    def timeline(self, number):
        """The record of a branch, its fork, and the timeline before it, from its history."""
        record, key = self.vault.branch(number), f"branches/{number:06}"
        damage = lambda why: Damaged(key, "details", why)
        timeline, fork, parent = record.get("timeline"), 0, 0
        if not isinstance(timeline, int) or not re.fullmatch("[0-9]{1,20}", str(record.get("system_id"))) or not int(record["system_id"]):
            raise damage("no timeline or no cluster")
        try:
            history = base64.b64decode(str(record.get("history")), validate=True).decode(errors="replace")
        except binascii.Error:
            raise damage("its history is not base64") from None
        for line in filter(lambda line: line and line[0] != "#", map(str.strip, history.split("\n"))):
            match = re.match(rf"(\d+)[\t ]+{ADDRESS}(?:[\t ]|$)", line)
            if not match or not parent < int(match[1]) < timeline:
                raise damage("its history is none")
            parent, fork = int(match[1]), int(match[2], 16) << 32 | int(match[3], 16)
        if timeline < 1 or (timeline == 1) != (not history) or (timeline > 1) != (parent > 0):
            raise damage("its history is not that of its timeline")
        if (record["parent"] == 0) != (parent == 0) or record["fork_position"] != fork:
            raise damage("its history says another origin")
        return record, fork, parent

    def verify(self):
        """All that a verification looks at but for the records in the log."""
        for number in self.vault.branches():
            self.timeline(number)
        for branch, ranges in self.ranges.items():
            for row, (first, end, key) in enumerate(ranges):
                content = self.content(branch, first, end, key)
                record = self.timeline(branch)[0]
                if wal_object(self.vault, key, branch, first, end)[2] != (int(record["system_id"]), record["timeline"]):
                    raise Damaged(key, "details", "it is of another timeline or cluster than its branch")
                for start, stop, other in ranges[:row]:
                    low, high = max(first, start), min(end, stop)
                    there = self.content(branch, start, stop, other)
                    if low < high and content[low - first:high - first] != there[low - start:high - start]:
                        raise Damaged(key, "lineage", f"it has other bytes than {other}")


def range_of(point):
    """The branch and the range of a point wal:BRANCH:FIRST-END; None for another point."""
    match = re.fullmatch(r"wal:(\d+):([0-9a-f]+)-([0-9a-f]+)", point)
    return match and (int(match[1]), int(match[2], 16), int(match[3], 16))
