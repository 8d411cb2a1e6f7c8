"""Records of backups, and whether one of them was removed or replaced (section 8b of docs/format.md)."""
import re

from vault_objects import BACKUP, Damaged
from vault_pruned import joined, lists, numbers, whole


def backup_record(vault, number):
    """A record and the name of what it says."""
    item = vault.open(f"backups/{number:010}", BACKUP).expect(number=number)
    record, damage = item.json(), lambda why: Damaged(item.key, "details", why)
    if record["id"] != number or not whole(record["branch"], 32) or not whole(record["position"], 64):
        raise damage("another id")
    days, before = record.get("retention_days"), record.get("before")
    if days is not None and not (whole(days, 32) and 1 <= days <= 36_500):
        raise damage("it stays for days that are none")
    if before is not None and not is_link(before, number):
        raise damage("it cannot follow what it names")
    return record, vault.name(item.details())


def is_link(before, number):
    if not isinstance(before, dict) or not whole(before.get("id"), 64) or not lists(before.get("gone"), dict):
        return False
    gone = [(row.get("first"), row.get("last")) for row in before["gone"]]
    return before["id"] < number and bool(re.fullmatch("[0-9a-f]{64}", str(before.get("hash")))) and all(
        whole(first, 64) and whole(last, 64) and 1 <= first <= last < number for first, last in gone)


def check_backups(vault):
    """Raises for the first that was replaced, and for the first that is missing and no prune removed. Heads, which are beside the vault,
    are not read."""
    records = {number: backup_record(vault, number) for number in numbers(vault, BACKUP)}
    linked = [record for record, _ in records.values() if record.get("before")]
    for record in linked:
        earlier = records.get(record["before"]["id"])
        if earlier and earlier[1].hex() != record["before"]["hash"]:
            raise Damaged(f"backups/{record['before']['id']:010}", "lineage", f"backup {record['id']} was made after another one")
    if not linked:
        return
    gone = [(row["first"], row["last"]) for row in linked[-1]["before"]["gone"]]
    known = joined([(number, number) for number in records] + gone + vault.condemned.backups)
    following = 1
    for first, last in known:
        if following < first and following < max(records):
            raise Damaged(f"backups/{following:010}", "missing", "no prune removed it")
        following = last + 1
