#!/usr/bin/env python3
"""Readers of a test database: connections that hold read transactions at different marks, for a random time each.

Each looks at the database twice, at the beginning and at the end of its transaction; a snapshot that moved is an error.
SIGTERM ends it. Prints {"transactions": n, "errors": [...]}; exit code 1 if a snapshot moved.
"""

import argparse
import json
import os
import random
import signal
import sqlite3
import sys
import time

LOOK = "SELECT count(*), max(seq), total(writer_seq) FROM (SELECT * FROM _commits ORDER BY seq DESC LIMIT 500)"


class Reader:
    def __init__(self, path, hold, rng):
        self.db = sqlite3.connect(path, timeout=10, isolation_level=None)
        self.hold = hold
        self.rng = rng
        self.seen = None
        self.until = time.monotonic() + rng.uniform(0, hold / 4)

    def turn(self):
        """Begins or ends a transaction. Returns an error or None."""
        if self.seen is None:
            self.db.execute("BEGIN")
            self.seen = self.db.execute(LOOK).fetchone()
            self.until = time.monotonic() + self.rng.uniform(0, self.hold)
            return None
        before, after = self.seen, self.db.execute(LOOK).fetchone()
        self.db.execute("COMMIT")
        self.seen = None
        self.until = time.monotonic() + self.rng.uniform(0, self.hold / 10)
        return None if before == after else f"a snapshot moved from {before} to {after}"


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("db")
    parser.add_argument("--hold", type=float, default=1.0, help="longest transaction in seconds")
    parser.add_argument("--count", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0, help="0: until SIGTERM")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--follow-parent", action="store_true")
    options = parser.parse_args(arguments)

    stopping = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(1))
    signal.signal(signal.SIGINT, lambda *_: stopping.append(1))
    rng, parent, started = random.Random(options.seed), os.getppid(), time.monotonic()
    readers = [Reader(options.db, options.hold, rng) for _ in range(options.count)]
    transactions, errors = 0, []
    while not stopping and not (options.seconds and time.monotonic() - started > options.seconds):
        if options.follow_parent and os.getppid() != parent:
            break
        reader = min(readers, key=lambda each: each.until)
        time.sleep(min(0.02, max(0, reader.until - time.monotonic())))
        if time.monotonic() >= reader.until:
            error = reader.turn()
            transactions += reader.seen is None
            errors += [error] if error else []
    print(json.dumps({"transactions": transactions, "errors": errors[:20]}))
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
