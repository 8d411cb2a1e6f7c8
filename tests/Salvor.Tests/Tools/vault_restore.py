"""Restoring a point: which objects, in what order, and what proves them (sections 6 to 9 of docs/format.md)."""
from vault_listing import *


class State:
    """What a restore has applied: the newest version of each page, and where it is in the log."""

    def __init__(self, snapshot):
        self.snapshot, self.page_size = snapshot, snapshot.page_size
        self.count, self.kept, self.checksum = snapshot.page_count, snapshot.page_count, snapshot.checksum
        self.pages, self.position, self.number, self.link = {}, snapshot.position, snapshot.number, snapshot.link
        self.proved, self.pending = not snapshot.image, []

    def apply(self, log, target):
        item = log.item
        overlaps = log.from_number <= self.number
        if not overlaps and item.before != self.link:
            raise Damaged(log.key, "lineage", "it does not continue the link before it")
        if item.first > self.position + 1 or not overlaps and item.first != self.position + 1:
            raise Damaged(log.key, "position", f"it begins at {item.first}, after {self.position}")
        if log.page_size != self.page_size:
            raise Damaged(log.key, "details", "another page size")
        if log.kind < FENCE and not log.final:
            if self.pending and self.pending[0].first_part != log.first_part:
                self.pending = []
            if log.first_part != log.number and (not self.pending or self.pending[-1].number != log.number - 1):
                raise Damaged(log.key, "position", "the part before it is not there")
            self.pending.append(log)
        elif not log.final:
            self.pending = []
        else:
            self.apply_commits(log.join_parts(), target)
        self.number, self.link = log.number, item.after

    def apply_commits(self, log, target):
        parts = [part for part in self.pending if part.first_part == log.first_part]
        if not log.compacted and log.first_part != log.number and (len(parts) != log.number - log.first_part):
            raise Damaged(log.key, "position", "parts of it are not there")
        self.pending = []
        if log.kind == BASE and log.item.first == self.snapshot.position + 1 and self.snapshot.image:
            if log.snapshot != self.snapshot.vault.name(self.snapshot.item.details()):
                raise Damaged(self.snapshot.key, "lineage", f"it is not the image that {log.key} names")
            self.proved = True
        if not self.proved:
            raise Damaged(log.key, "lineage", "no base completes the image")
        rows = [(source, row) for source in log.sources for row in range(len(source.pages))]
        earlier = [(part, row) for part in parts for row in range(len(part.pages))] if not log.compacted else []
        start = 0
        for position, commit in zip(log.positions, log.commits):
            mine = earlier + rows[start:start + commit[4]]
            start, earlier = start + commit[4], []
            if position > self.position and position <= target:
                self.commit(log, position, commit, mine)

    def commit(self, log, position, commit, rows):
        _, _, count, checksum, _ = commit
        if count > self.count + len(rows) + 1:
            raise Damaged(log.key, "size", f"it grows to {count} pages and brings {len(rows)}")
        for source, row in rows:
            self.pages[source.pages[row][0]] = source, row
        if count < self.count:
            self.pages = {page: place for page, place in self.pages.items() if page <= count}
        for source, row in rows:
            if source.pages[row][0] > count:
                self.pages.pop(source.pages[row][0], None)
        self.kept = min(self.kept, count)
        self.count, self.checksum, self.position, self.last = count, checksum, position, log

    def content(self):
        """The database, every page checked, and its checksum at the end."""
        vault, size, pages, total = self.snapshot.vault, self.page_size, [], 0
        lock, number = lock_page(size), 0
        for content, hashes, key in self.snapshot.chunks():
            for offset, expected in zip(range(0, len(content), size), hashes):
                number += 1
                page = content[offset:offset + size]
                if (0 if number == lock else vault.page_hash(number, page)) != expected:
                    raise Damaged(key, "page", f"page {number}")
                pages.append(page)
        culprit = self.last.key if self.position != self.snapshot.position else self.snapshot.key
        del pages[self.kept:]
        pages += [None] * (self.count - len(pages))
        for number, (source, row) in self.pages.items():
            pages[number - 1] = source.page(row)
        for number, page in enumerate(pages, 1):
            if number == lock:
                pages[number - 1] = bytes(size)
            elif page is None:
                raise Damaged(culprit, "position", f"nothing has page {number}")
            else:
                total ^= vault.page_hash(number, page)
        if total != self.checksum:
            raise Damaged(culprit, "checksum", "the database is not what it was")
        return b"".join(pages)


class Restorer:
    def __init__(self, vault):
        self.vault = vault
        vault.check_names()

    def path(self, branch, target):
        """The branches from the root to the one whose own log holds the target, each with its record."""
        path = []
        while True:
            if f"branches/{branch:06}" not in self.vault.keys:
                missing = Damaged(f"branches/{branch:06}", "missing", "it is not there")
                raise missing if path else Refusal(6, f"no_such_point {branch}:{target}")
            record = self.vault.branch(branch)
            own = target > record["fork_position"] or branch == 1
            if not path and not own:
                branch = record["parent"]
                continue
            path.insert(0, (branch, record))
            if branch == 1:
                return path
            branch = record["parent"]

    def check_start(self, branch, record):
        """The first log object of a branch proves where its record says that it starts."""
        for entry in self.vault.log(branch):
            if entry[0] == 1:
                log = self.vault.log_object(branch, entry)
                if log.item.before != record["start"]:
                    raise Damaged(log.key, "lineage", "it does not begin where the record of its branch says")

    def restore(self, branch, target):
        path = self.path(branch, target)
        for number, record in path:
            self.check_start(number, record)
        ends = [following["fork_position"] for _, following in path[1:]] + [target]
        best = max(((place, position) for place, (number, _) in enumerate(path)
                    for position in self.vault.snapshots(number) if position <= ends[place]), default=None, key=lambda x: (x[0], x[1]))
        if best is None:
            self.expect_not_pruned(path[-1][0], 1, target)
            raise Damaged("snapshots", "missing", f"none is at or before {branch}:{target}")
        begin, position = best
        state = State(self.vault.snapshot(path[begin][0], position))
        for place in range(begin, len(path)):
            number, record = path[place]
            if place > begin:
                self.cross(state, record)
            self.advance(state, number, ends[place])
            if state.position != ends[place] or not state.proved:
                raise Refusal(6, f"no_such_point {branch}:{target}")
        self.expect_point(path[-1][0], target)
        return state.content()

    def expect_point(self, branch, target):
        """A snapshot may stand where compaction dropped the commit: then its position is no restore point."""
        if target == 0 or not any(target in self.vault.log_object(branch, entry).positions for entry in self.around(branch, target)):
            raise Refusal(6, f"no_such_point {branch}:{target}")

    def expect_not_pruned(self, branch, number, target):
        """Where a log number was given up on purpose, so were the points there; for others it is still a damage that it is not there."""
        if self.vault.condemned.is_pruned(branch, number, number):
            self.expect_point(branch, target)

    def around(self, branch, target):
        """Log objects whose headers say that they have a position."""
        for entry in self.vault.log(branch):
            try:
                item = self.vault.open(entry[2], LOG)
                if item.first <= target <= item.last and item.flags & 1:
                    yield entry
            except Refusal:
                continue  # What the point does not need is no reason to refuse it.

    def cross(self, state, record):
        if state.number == record["fork_number"] and state.link != record["link"]:
            raise Damaged(f"branches/{record['parent']:06}", "lineage", "the branch left another history")
        state.number, state.link, state.pending = 0, record["start"], []

    def advance(self, state, branch, target):
        """Applies the log of a branch until the target is reached."""
        entries = self.vault.log(branch)
        while state.position < target or not state.proved:
            entry = coarsest(entries, state.number)
            if entry is None:
                later = [first for first, _, _ in entries if first > state.number]
                if later:
                    self.expect_not_pruned(branch, state.number + 1, target)
                    raise Damaged(f"log/{branch:06}/{state.number + 1:016}", "missing", "the log has a hole")
                return
            for log in self.finest_needed(branch, entries, entry, state, target):
                if state.position < target or not state.proved:
                    state.apply(log, target)

    def finest_needed(self, branch, entries, entry, state, target):
        """The object, or where it does not have the target, the finer ones below it, if they are whole and linked."""
        log = self.vault.log_object(branch, entry)
        if not log.compacted or not log.item.first <= target < log.item.last or target in log.positions:
            return [log]
        inside = [other for other in entries if entry[0] <= other[0] and other[1] <= entry[1] and other != entry]
        number, link, chain = entry[0] - 1, log.item.before, []
        while number < entry[1]:
            finer = coarsest(inside, number)
            if finer is None or finer[0] != number + 1:
                raise Refusal(6, f"no_such_point {branch}:{target}")
            found = self.vault.log_object(branch, finer)
            if found.item.before != link:
                raise Refusal(6, f"no_such_point {branch}:{target}")
            number, link = finer[1], found.item.after
            chain.append(finer)
        if link != log.item.after:
            raise Refusal(6, f"no_such_point {branch}:{target}")
        needed = [finer for finer in chain if finer[1] > state.number]
        return [found for finer in needed for found in self.finest_needed(branch, inside, finer, state, target)]

    def points(self, branch):
        """Positions and times of the restore points in the own log of a branch, finer objects beside coarse ones too."""
        found = {}
        for entry in self.vault.log(branch):
            log = self.vault.log_object(branch, entry)
            found.update({position: commit[1] for position, commit in zip(log.positions, log.commits)})
        return sorted(found.items())


def coarsest(entries, number):
    """What begins with the next number and reaches furthest; else what is around it and reaches furthest."""
    covering = [entry for entry in entries if entry[0] <= number + 1 <= entry[1]]
    return max(covering, key=lambda entry: (entry[0] == number + 1, entry[1]), default=None)
