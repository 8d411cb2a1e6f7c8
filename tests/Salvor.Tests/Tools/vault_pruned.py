"""What prunes gave up: condemned records, their outcomes, and what a reader leaves out for them (section 8a of docs/format.md)."""
import re

from vault_objects import BACKUP, CONDEMNED, KEYS, LOG, OUTCOME, PACK, SNAPSHOT, WAL, Damaged, Refusal, micros



class Condemned:
    """What a vault does not offer: the keys of objects, and by branch the log numbers that are not missing; likewise backups."""

    def __init__(self, vault):
        self.hidden, self.backups, ranges = set(), [], {}
        for number in numbers(vault, CONDEMNED):
            record = readable(condemned_record, vault, number)
            decision, kept = readable(outcome_record, vault, number) or (None, ())
            if record is None or decision == "undeleted":
                continue
            keys = [key for _, keys in record[0] for key in keys]
            self.hidden.update(key for key in keys if key not in kept)
            ids = [int(match[1]) for match in (re.fullmatch(KEYS[BACKUP], key) for key in keys) if match]
            self.backups += [(number, number) for number in ids] + record[2]
            for branch, first, last in record[1]:
                ranges.setdefault(branch, []).append((first, last))
        self.ranges = {branch: joined(some) for branch, some in ranges.items()}

    def is_pruned(self, branch, first, last):
        """Whether all these log numbers are gone on purpose."""
        return any(begin <= first and last <= end for begin, end in self.ranges.get(branch, ()))


def numbers(vault, kind):
    return [int(groups[0]) for groups, _ in vault.of_kind(kind)]


def readable(read, vault, number):
    """What a record says; None where it is not there, or cannot be read: then it counts as absent."""
    try:
        return read(vault, number)
    except Refusal:
        return None


def condemned_record(vault, number):
    """The groups of a record, each (key of what stands for it, keys), the log numbers that it prunes, each (branch, first, last), and the
    backups of records that it takes over, each (first, last)."""
    item = vault.open(f"condemned/{number:010}", CONDEMNED).expect(number=number)
    value, damage = item.json(), lambda why: Damaged(item.key, "details", why)
    check_maker(value, damage)
    if not is_integer(value["grace_seconds"]) or not lists(value["groups"], dict) or not lists(value["pruned"], dict):
        raise damage("a member is of another type")
    pruned = [tuple(row.get(name) for name in ("branch", "first", "last")) for row in value["pruned"]]
    for branch, first, last in pruned:
        if not whole(branch, 32) or not whole(first, 64) or not whole(last, 64) or not 1 <= first <= last:
            raise damage("it prunes numbers that are none")
    if not lists(value.get("retired", []), dict):
        raise damage("what it takes over is of another type")
    for row in value.get("retired", []):
        if not whole(row.get("first"), 64) or not whole(row.get("last"), 64) or not 1 <= row["first"] <= row["last"] < number:
            raise damage("it takes over records that are none")
    if not lists(value.get("pruned_backups", []), dict):
        raise damage("what it says of backups is of another type")
    backups = [(row.get("first"), row.get("last")) for row in value.get("pruned_backups", [])]
    if not all(whole(first, 64) and whole(last, 64) and 1 <= first <= last for first, last in backups):
        raise damage("it prunes backups that are none")
    groups = []
    for group in value["groups"]:
        if not isinstance(group.get("reason"), str) or not isinstance(group.get("by"), str) or not lists(group.get("keys"), str):
            raise damage("a group is of another type")
        for key in group["keys"]:
            if not may_go(key, group["by"], pruned):
                raise damage(f"it condemns {key}, which no prune does")
        groups.append((group["by"], group["keys"]))
    return groups, pruned, backups


def outcome_record(vault, number):
    """What became of a record, `undeleted` or `deleting`, and the keys that stay after all; None while nobody decided."""
    key = f"outcomes/{number:010}"
    if key not in vault.keys:
        return None
    item = vault.open(key, OUTCOME).expect(number=number)
    value, damage = item.json(), lambda why: Damaged(key, "details", why)
    check_maker(value, damage)
    if value["decision"] not in ("undeleted", "deleting"):
        raise damage("it is no outcome")
    if not lists(value.get("kept", []), str):
        raise damage("what it keeps is of another type")
    return value["decision"], value.get("kept", [])


def check_maker(value, damage):
    try:
        micros(value["at"])
    except Damaged:
        raise damage("a time that is no time") from None
    if not isinstance(value["host"], str) or not is_integer(value["pid"]):
        raise damage("nobody made it")


def is_integer(value):
    return isinstance(value, int) and not isinstance(value, bool)


def whole(value, bits):
    return is_integer(value) and 0 <= value < 1 << bits


def lists(value, of):
    return isinstance(value, list) and all(isinstance(item, of) for item in value)


# ---- what a prune may give up: nothing but the kinds in RULES, each by its own rule


def may_go(key, by, pruned):
    for kind, rule in RULES.items():
        match = re.fullmatch(KEYS[kind], key, re.ASCII)
        if match:
            return rule(match.groups(), by, pruned)
    return False


def numbered_may_go(groups, by, pruned):
    """A backup, a snapshot, whose position may be 0, or a range of the log of a cluster."""
    return int(groups[0]) > 0 and by == ""


def pack_may_go(groups, by, pruned):
    return by == ""


def log_may_go(groups, by, pruned):
    """What lies within another object that stands for it, or within pruned numbers."""
    branch, first, last = span(groups)
    if by == "":
        return any(branch == of and begin <= first and last <= end for of, begin, end in pruned)
    over = re.fullmatch(KEYS[LOG], by, re.ASCII)
    if not over:
        return False
    of, begin, end = span(over.groups())
    return branch == of and begin <= first and last <= end and (begin, end) != (first, last)


RULES = {BACKUP: numbered_may_go, SNAPSHOT: numbered_may_go, PACK: pack_may_go, LOG: log_may_go, WAL: numbered_may_go}


def span(groups):
    """Branch, first and last number of the key of a log object."""
    return int(groups[0]), int(groups[1]), int(groups[2] or groups[1])


def joined(ranges):
    """Ranges of numbers in order, and those that touch as one."""
    found = []
    for first, last in sorted(ranges):
        if found and first - 1 <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found
