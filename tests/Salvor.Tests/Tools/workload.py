#!/usr/bin/env python3
"""One writer of a test database. Several may write to the same database at once; each keeps a ledger of what it committed.

Every transaction takes the next number of the table _commits(seq, writer, writer_seq), so the commits of all writers have
one order and a missing one leaves a hole. Before each COMMIT the writer notes in its ledger what its tables will hold.
SIGTERM ends it after the running transaction. The last line on stdout is a JSON document with statistics.
Exit codes: 0 done, 3 the database does not hold what this writer had committed, 4 the database stayed locked.
"""

import argparse
import json
import os
import random
import signal
import sqlite3
import sys
import time

import profiles
from content import Content
from ledger import Ledger, LedgerWriter

CHECKPOINT_MODES = ("passive", "full", "restart", "truncate")
LOCKED_SECONDS_MAX = 180
LATE_SECONDS_MAX = 1.0


class Latencies:
    def __init__(self):
        self.values = []

    def add(self, started_ns):
        self.values.append((time.perf_counter_ns() - started_ns) // 1000)

    def summary(self):
        ordered = sorted(self.values)
        if not ordered:
            return None
        at = lambda share: ordered[min(len(ordered) - 1, int(len(ordered) * share))]
        return {"p50": at(0.5), "p99": at(0.99), "p99.9": at(0.999), "max": ordered[-1]}


class Writer:
    def __init__(self, options):
        self.options = options
        self.stopping = False
        self.parent = os.getppid()
        self.commits, self.locked, self.vacuums, self.voids = 0, 0, 0, 0
        self.begin_us, self.commit_us, self.checkpoint_us = Latencies(), Latencies(), Latencies()
        self.checkpoints = {"done": 0, "busy": 0}
        self.seq = 0
        signal.signal(signal.SIGTERM, self.stop)
        signal.signal(signal.SIGINT, self.stop)

    def stop(self, *_):
        self.stopping = True

    def may_go_on(self):
        # A writer whose test was killed would load the machine for ever.
        if self.options.follow_parent and os.getppid() != self.parent:
            self.stopping = True
        return not self.stopping

    def nap(self, seconds):
        until = time.monotonic() + seconds
        while self.may_go_on() and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.02))

    def patiently(self, action, needed=True):
        """Repeats what fails because another connection has the database. Returns False when it was given up."""
        deadline = time.monotonic() + LOCKED_SECONDS_MAX
        while True:
            try:
                action()
                return True
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                    raise
                self.locked += 1
                if not needed:
                    return False
                if time.monotonic() > deadline:
                    print(f"workload: the database stayed locked for {LOCKED_SECONDS_MAX} s: {error}", file=sys.stderr)
                    sys.exit(4)
                time.sleep(0.001)

    def open(self):
        options = self.options
        self.db = sqlite3.connect(options.db, timeout=options.busy_timeout / 1000, isolation_level=None, cached_statements=256)
        execute = self.db.execute
        if options.page_size:
            self.patiently(lambda: execute(f"PRAGMA page_size = {options.page_size}"))
        if options.auto_vacuum:
            self.patiently(lambda: execute(f"PRAGMA auto_vacuum = {options.auto_vacuum}"))
        if options.journal != "keep":
            self.patiently(lambda: execute(f"PRAGMA journal_mode = {options.journal}").fetchone())
        execute(f"PRAGMA synchronous = {options.synchronous}")
        if options.cache_kib:
            execute(f"PRAGMA cache_size = -{options.cache_kib}")
        if options.checkpoint not in ("auto", "random"):
            execute("PRAGMA wal_autocheckpoint = 0")
        self.patiently(lambda: execute(
            "CREATE TABLE IF NOT EXISTS _commits (seq INTEGER PRIMARY KEY, writer INTEGER, writer_seq INTEGER)"))
        self.patiently(self.resume)

    def resume(self):
        """Takes up from what the database holds, after comparing it with what this writer knows it had committed."""
        identity, path = self.options.id, self.options.ledger
        known = Ledger(path) if os.path.exists(path) and os.path.getsize(path) > 0 else None
        self.db.execute("BEGIN")
        seq, self.writer_seq = self.db.execute(
            "SELECT coalesce(max(seq), 0), count(*) FROM _commits WHERE writer = ?", (identity,)).fetchone()
        self.content = Content(self.db, identity)
        self.db.execute("COMMIT")
        if known and not self.options.rewound:
            self.compare(known, seq)
        self.rng = random.Random(f"{self.options.seed}:{identity}:{known.resumes if known else 0}")
        self.ledger = LedgerWriter(path, identity)
        self.ledger.resume(seq, self.writer_seq, self.content.digest, self.options.rewound)
        self.body = profiles.Body(self.db, self.content, self.rng, self.options.rows)

    def compare(self, known, seq):
        found = (seq, self.writer_seq)
        if known.open == found:
            expected = known.intents[found][-1][0]
        elif found == known.last[:2]:
            expected = known.last[2]
        else:
            print(f"workload: the source holds commit {found} of writer {known.writer} as its last, "
                  f"but {known.last[:2]} was committed and {known.open} is open", file=sys.stderr)
            sys.exit(3)
        if expected != self.content.digest:
            print(f"workload: the source's tables of writer {known.writer} differ from its commit {found}", file=sys.stderr)
            sys.exit(3)

    def transact(self, body):
        started = time.perf_counter_ns()
        self.patiently(lambda: self.db.execute("BEGIN IMMEDIATE"))
        self.begin_us.add(started)
        self.seq = self.db.execute("SELECT coalesce(max(seq), 0) + 1 FROM _commits").fetchone()[0]
        body(self.body)
        own = self.writer_seq + 1
        self.db.execute("INSERT INTO _commits VALUES (?, ?, ?)", (self.seq, self.options.id, own))
        self.ledger.intent(self.seq, own, self.content.digest)
        started = time.perf_counter_ns()
        try:
            self.patiently(lambda: self.db.execute("COMMIT"))
        except sqlite3.OperationalError:
            # A full disk, for example. The transaction may be gone already; the database knows best what is left.
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            self.ledger.void(self.seq, own)
            self.voids += 1
            self.content = self.body.content = Content(self.db, self.options.id)
            return
        self.commit_us.add(started)
        self.ledger.acked(self.seq, own)
        self.writer_seq = own
        self.commits += 1

    def maintain(self):
        """What an app does between its transactions: checkpoints and VACUUM."""
        now = time.monotonic()
        mode = self.options.checkpoint
        if mode not in ("none", "auto") and now >= self.next_checkpoint:
            self.checkpoint(self.rng.choice(CHECKPOINT_MODES) if mode == "random" else mode)
            self.next_checkpoint = now + self.rng.expovariate(1 / self.options.checkpoint_interval)
        if self.options.profile == "vacuum" and now >= self.next_vacuum:
            incremental = self.options.auto_vacuum == "incremental" and self.rng.random() < 0.7
            statement = f"PRAGMA incremental_vacuum({self.rng.randrange(200)})" if incremental else "VACUUM"
            # Other writers win: a VACUUM that finds the database locked is tried again at the next turn.
            self.vacuums += self.patiently(lambda: self.db.execute(statement).fetchall(), needed=False)
            self.next_vacuum = now + self.rng.expovariate(1 / self.options.vacuum_interval)

    def checkpoint(self, mode):
        started = time.perf_counter_ns()
        try:
            busy = self.db.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()[0]
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise
            busy = 1
        self.checkpoint_us.add(started)
        self.checkpoints["busy" if busy else "done"] += 1

    def run(self):
        options = self.options
        self.open()
        started = due = time.monotonic()
        self.next_checkpoint = self.next_vacuum = started
        while self.may_go_on():
            now = time.monotonic()
            if options.seconds and now - started >= options.seconds or options.commits and self.commits >= options.commits:
                break
            self.transact(profiles.pick(options.profile, self.rng))
            self.maintain()
            self.nap(profiles.rest(options.profile, self.rng))
            if options.rate:
                # After a stall the writer catches up for a while, but does not owe the stall for ever.
                due = max(due + 1 / options.rate, time.monotonic() - LATE_SECONDS_MAX)
                self.nap(due - time.monotonic())
        self.report(time.monotonic() - started)
        self.db.close()

    def report(self, seconds):
        print(json.dumps({
            "writer": self.options.id, "commits": self.commits, "seconds": round(seconds, 3),
            "rate": round(self.commits / seconds, 1) if seconds else 0,
            "last_seq": self.seq, "last_writer_seq": self.writer_seq,
            "commit_us": self.commit_us.summary(), "begin_us": self.begin_us.summary(),
            "checkpoint_us": self.checkpoint_us.summary(), "checkpoints": self.checkpoints,
            "vacuums": self.vacuums, "locked": self.locked, "voids": self.voids,
        }), flush=True)


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("db")
    parser.add_argument("ledger")
    parser.add_argument("--id", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=0, help="0: until SIGTERM")
    parser.add_argument("--commits", type=int, default=0)
    parser.add_argument("--rate", type=float, default=0, help="commits per second; 0: flat out")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--profile", choices=list(profiles.PROFILES), default="mixed")
    parser.add_argument("--checkpoint", choices=("none", "auto", *CHECKPOINT_MODES, "random"), default="auto")
    parser.add_argument("--checkpoint-interval", type=float, default=0.2, help="mean seconds between explicit checkpoints")
    parser.add_argument("--vacuum-interval", type=float, default=1.0, help="mean seconds between two VACUUM")
    parser.add_argument("--synchronous", choices=("off", "normal", "full"), default="normal")
    parser.add_argument("--journal", choices=("wal", "delete", "truncate", "persist", "keep"), default="wal")
    parser.add_argument("--auto-vacuum", choices=("none", "full", "incremental"), default=None)
    parser.add_argument("--page-size", type=int, default=0)
    parser.add_argument("--cache-kib", type=int, default=0, help="small: large transactions write pages before they commit")
    parser.add_argument("--busy-timeout", type=int, default=5000, help="milliseconds")
    parser.add_argument("--rows", type=int, default=2000, help="about how many rows a table keeps")
    parser.add_argument("--rewound", action="store_true", help="the database was put back on purpose: history forks here")
    parser.add_argument("--follow-parent", action="store_true", help="stop when the process that started this one is gone")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    Writer(parse(sys.argv[1:])).run()
