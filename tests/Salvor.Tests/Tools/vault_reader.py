#!/usr/bin/env python3
"""An independent reader of Salvor vaults, version 1. It was written from docs/format.md and shares no code with Salvor, so that the
page is proved to be enough and a mistake of ours in both writing and reading is noticed.

    vault_reader.py VAULT list
    vault_reader.py VAULT restore BRANCH:POSITION FILE
    vault_reader.py VAULT restore backup:ID FILE          of files: a new directory
    vault_reader.py VAULT digest BRANCH:POSITION...      SHA-256 of each restored database, without writing it; of files
                                                         what tree_digest.py says of a directory; of a command that of its stream
    vault_reader.py VAULT digest wal:BRANCH:FIRST-END    of the log of PostgreSQL: addresses in hexadecimal
    vault_reader.py VAULT digest all
    vault_reader.py VAULT verify                         every object by itself, with the hash in its footer; backups, and of files all
    vault_reader.py --many FILE                          a line of JSON for each line of FILE: a list of arguments

Options before VAULT: --key-file FILE, --passphrase-file FILE. Where something is wrong, the last line of stderr is one of
`damaged OBJECT LAYER: why`, `unknown_version OBJECT: N`, `wrong_key`, `missing_key`, `no_such_point POINT`, and the exit code is
5, 7, 3, 4 or 6. Layers: name, size, magic, header, place, index, footer, frame, seal, details, page, chunk, tree, listing, lineage,
position, missing, checksum, identity, key.
"""
import hashlib
import json
import sys

from vault_backups import backup_record, check_backups
from vault_pruned import condemned_record, numbers, outcome_record
from vault_restore import *
from vault_trees import Tree
from vault_wal import WalLog, range_of


def listing(vault):
    restorer = Restorer(vault)
    backups = []
    for groups, key in vault.of_kind(BACKUP):
        record, _ = backup_record(vault, int(groups[0]))
        backups.append({name: record[name] for name in ("id", "branch", "position", "label", "mode")})
    branches = []
    for number in vault.branches():
        record = vault.branch(number)
        points = restorer.points(number)
        branches.append({"branch": number, "parent": record["parent"], "fork_position": record["fork_position"],
                         "points": [{"position": position, "time": time} for position, time in points]})
    return {"source": vault.identity["source"], "encrypted": vault.keyed, "branches": branches, "backups": backups}


def digests(vault, points):
    restorer = Restorer(vault)
    if points == ["all"]:
        points = [f"{branch}:{position}" for branch in vault.branches() for position, _ in restorer.points(branch)]
        points = [f"backup:{number}" for number in numbers(vault, BACKUP)] if vault.is_tree else points
    return {point: digest_of(vault, restorer, point) for point in points}


def digest_of(vault, restorer, point):
    if range_of(point) and vault.identity["kind"] == "postgres":
        return hashlib.sha256(WalLog(vault).read(*range_of(point))).hexdigest()
    where = place(vault, point)
    if vault.identity["kind"] in ("files", "postgres"):
        return Tree(vault, *where).digest()
    return hashlib.sha256(Tree(vault, *where).stream() if vault.is_tree else restorer.restore(*where)).hexdigest()


def place(vault, point):
    """A point as the command line names it: BRANCH:POSITION or backup:ID."""
    kind, _, number = point.partition(":")
    if not number.isdigit() or not (kind == "backup" or kind.isdigit()):
        raise Refusal(2, f"usage: {point}")
    if kind != "backup":
        if vault.is_tree:
            raise Refusal(6, f"no_such_point {point}")
        return int(kind), int(number)
    key = f"backups/{int(number):010}"
    if not vault.has(key):
        raise Refusal(6, f"no_such_point {point}")
    record, _ = backup_record(vault, int(number))
    return record["branch"], record["position"]


def verify(vault):
    """Every object by itself: opened, every frame read, the hash in its footer computed."""
    vault.check_names(STRICT + ("claims/", "keys/", "moves/", "condemned/", "outcomes/"))
    for kind, read in ((CONDEMNED, condemned_record), (OUTCOME, outcome_record)):
        for number in numbers(vault, kind):
            read(vault, number)
    for key, (kind, _) in sorted(vault.keys.items()):
        if kind is not None:
            item = vault.open(key, kind)
            if hashlib.sha256(item.data[:-40]).digest() != item.footer_hash:
                raise Damaged(key, "footer", "the hash of its bytes does not match")
            for row in range(item.frames):
                item.frame(row)
    if vault.identity["kind"] == "postgres":
        WalLog(vault).verify()
    check_backups(vault)
    for number in numbers(vault, BACKUP) if vault.is_tree else ():
        record, _ = backup_record(vault, number)
        if not vault.has(f"snapshots/{record['branch']:06}/{record['position']:016}"):
            raise Damaged(f"backups/{number:010}", "missing", "its snapshot is not there")
    for groups, _ in vault.of_kind(SNAPSHOT) if vault.is_tree else ():
        for _ in Tree(vault, *map(int, groups)).read():
            pass
    return {"objects": sum(kind is not None for kind, _ in vault.keys.values())}


def run(arguments):
    secrets = {}
    while arguments and arguments[0] in ("--key-file", "--passphrase-file"):
        with open(arguments[1], "rb") as file:
            secret = file.read()
        secrets[arguments[0]] = secret if arguments[0] == "--key-file" else secret.rstrip(b"\r\n")
        arguments = arguments[2:]
    if len(arguments) < 2:
        raise Refusal(2, "usage: vault_reader.py VAULT list|restore|digest|verify ...")
    vault = Vault(arguments[0], secrets.get("--passphrase-file"), secrets.get("--key-file"))
    verb, rest = arguments[1], arguments[2:]
    if verb == "list":
        return listing(vault)
    if verb == "digest" and rest:
        return digests(vault, rest)
    if verb == "verify":
        return verify(vault)
    if verb == "restore" and len(rest) == 2:
        where = place(vault, rest[0])
        if vault.identity["kind"] == "files":
            Tree(vault, *where).restore(rest[1])
            return {}
        content = Tree(vault, *where).stream() if vault.is_tree else Restorer(vault).restore(*where)
        with open(rest[1], "xb") as file:
            file.write(content)
        return {"bytes": len(content)}
    raise Refusal(2, f"usage: unknown verb {verb}")


def main(arguments):
    if arguments[:1] == ["--many"]:
        with open(arguments[1], encoding="utf-8") as file:
            for line in file:
                try:
                    print(json.dumps({"code": 0, "result": run(json.loads(line))}), flush=True)
                except Refusal as error:
                    print(json.dumps({"code": error.code, "line": str(error)}), flush=True)
        return 0
    try:
        print(json.dumps(run(arguments)))
        return 0
    except Refusal as error:
        print(error, file=sys.stderr)
        return error.code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
