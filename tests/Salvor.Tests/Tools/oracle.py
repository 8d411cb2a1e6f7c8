#!/usr/bin/env python3
"""Judges a database file by the ledgers of its writers: is it sound, and is it a state that was really committed?

Checked: PRAGMA integrity_check; the commits 1..G are all there, each by the writer that the ledgers name; the tables of
every writer hold what that writer noted for its last commit in 1..G; no tables of anybody else; G within the given bounds.
The file is read as it lies there, without -wal and without locks, unless --live says that it is in use.
Prints one JSON document, {"ok": bool, "seq": G, "errors": [...], ...}. Exit codes: 0 good, 1 not.
"""

import argparse
import json
import os
import re
import sqlite3
import sys
import urllib.parse

from content import digest_of
from ledger import Ledger

ERRORS_MAX = 20


class Judgement:
    def __init__(self, db, ledgers):
        self.db = db
        self.ledgers = {ledger.writer: ledger for ledger in ledgers}
        self.errors = []
        self.seq = 0
        self.rows = 0

    def blame(self, error):
        if len(self.errors) < ERRORS_MAX:
            self.errors.append(error)

    def run(self, options):
        self.check_integrity()
        last_commits = self.check_history()
        self.check_tables()
        for writer, ledger in self.ledgers.items():
            self.check_content(writer, ledger, last_commits.get(writer))
        self.check_bounds(options, last_commits)

    def check_integrity(self):
        for message, in self.db.execute("PRAGMA integrity_check(5)"):
            if message != "ok":
                self.blame(f"integrity_check: {message}")

    def check_history(self):
        """The last (seq, writer_seq) of every writer, after following the commits one by one."""
        if not self.db.execute("SELECT count(*) FROM sqlite_schema WHERE name = '_commits'").fetchone()[0]:
            return {}
        last = {}
        for seq, writer, writer_seq in self.db.execute("SELECT seq, writer, writer_seq FROM _commits ORDER BY seq"):
            if seq != self.seq + 1:
                self.blame(f"commit {self.seq + 1} is missing: {seq} follows {self.seq}")
            self.seq = seq
            if writer not in self.ledgers:
                self.blame(f"commit {seq} is by writer {writer}, who has no ledger")
            elif (seq, writer_seq) not in self.ledgers[writer].intents:
                self.blame(f"commit {seq} as number {writer_seq} of writer {writer} was never made")
            previous = last.get(writer, (0, 0))[1]
            if writer_seq != previous + 1:
                self.blame(f"writer {writer}: number {writer_seq} follows {previous}")
            last[writer] = (seq, writer_seq)
        return last

    def check_tables(self):
        own = re.compile(r"w(\d+)_")
        for name, in self.db.execute("SELECT DISTINCT tbl_name FROM sqlite_schema"):
            match = own.match(name)
            if name != "_commits" and not (match and int(match[1]) in self.ledgers):
                self.blame(f"table {name} belongs to no writer")

    def check_content(self, writer, ledger, last_commit):
        digest, rows = digest_of(self.db, writer)
        self.rows += rows
        if last_commit is None:
            if digest != 0:
                self.blame(f"writer {writer} has tables but no commit")
        elif digest not in [expected for expected, _ in ledger.intents.get(last_commit, [])]:
            self.blame(f"writer {writer}: the tables differ from what commit {last_commit[0]} held")

    def check_bounds(self, options, last_commits):
        if options.at_least is not None and self.seq < options.at_least:
            self.blame(f"ends at commit {self.seq}, below {options.at_least} which had to be there")
        if options.at_most is not None and self.seq > options.at_most:
            self.blame(f"ends at commit {self.seq}, past {options.at_most}")
        if options.not_after is None:
            return
        for writer, last_commit in last_commits.items():
            begun = [at for _, at in self.ledgers[writer].intents.get(last_commit, [])] if writer in self.ledgers else []
            if begun and min(begun) > options.not_after:
                late = min(begun) - options.not_after
                self.blame(f"commit {last_commit[0]} was begun {late} microseconds after the target")


def leftovers(path):
    return [path + suffix for suffix in ("-wal", "-shm", "-journal") if os.path.exists(path + suffix)]


def judge(options):
    """The answer as a dictionary."""
    ledgers = [Ledger(path) for path in options.ledgers]
    if not os.path.exists(options.db):
        return {"ok": False, "seq": 0, "rows": 0, "errors": [f"{options.db} does not exist"]}
    # SQLite would replay them into the restored file on its next open.
    errors = [] if options.live else [f"{path} lies beside the file" for path in leftovers(options.db)]
    mode = "mode=ro" if options.live else "immutable=1"
    db = sqlite3.connect(f"file:{urllib.parse.quote(os.path.abspath(options.db))}?{mode}", uri=True, timeout=30, isolation_level=None)
    judgement = Judgement(db, ledgers)
    try:
        db.execute("BEGIN")
        judgement.run(options)
    except sqlite3.DatabaseError as error:
        judgement.blame(f"unreadable: {error}")
    finally:
        db.close()
    errors += judgement.errors
    return {"ok": not errors, "seq": judgement.seq, "rows": judgement.rows, "errors": errors}


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("db")
    parser.add_argument("ledgers", nargs="+")
    parser.add_argument("--at-least", type=int, help="a commit that must be in it")
    parser.add_argument("--at-most", type=int, help="the last commit that may be in it")
    parser.add_argument("--not-after", type=int, help="microseconds: no commit that was begun later may be in it")
    parser.add_argument("--live", action="store_true", help="the file is a database in use: read it with its -wal")
    parser.add_argument("--json", action="store_true", help="accepted; the answer is always JSON")
    answer = judge(parser.parse_args(arguments))
    print(json.dumps(answer))
    return 0 if answer["ok"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
