#!/usr/bin/env python3
"""The ground truth of a workload, kept outside the database: one append-only text file per writer.

    writer ID
    resume SEQ WRITER_SEQ DIGEST MICROS     the writer (re)started and found this as its own last commit
    fork   SEQ WRITER_SEQ DIGEST MICROS     the same, after the database was put back to an earlier state on purpose
    intent SEQ WRITER_SEQ DIGEST MICROS     about to commit; DIGEST is the state of the writer's tables in that commit
    acked  SEQ WRITER_SEQ MICROS            the commit returned
    void   SEQ WRITER_SEQ MICROS            the commit failed and was rolled back

SEQ numbers the commits of all writers in their order in the database, WRITER_SEQ those of one writer. Only processes are
killed, never the machine, so what write() took is in the file. An intent without an answer is open: the commit may or
may not be in the database. A resume settles it.

Usage: ledger.py seq-at MICROS LEDGER...   (the bounds of what a restore to that moment may contain, as JSON)
       ledger.py last LEDGER...            (the last acknowledged and the last intended seq, as JSON)
"""

import json
import os
import sys
import time


def micros():
    return time.time_ns() // 1000


class LedgerWriter:
    def __init__(self, path, writer):
        # The tail of a line that a kill cut off would swallow the next one.
        if os.path.exists(path):
            with open(path, "rb+") as file:
                content = file.read()
                file.truncate(content.rfind(b"\n") + 1)
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        if os.fstat(self.file).st_size == 0:
            os.write(self.file, b"writer %d\n" % writer)

    def resume(self, seq, writer_seq, digest, rewound):
        word = b"fork" if rewound else b"resume"
        os.write(self.file, b"%s %d %d %032x %d\n" % (word, seq, writer_seq, digest, micros()))

    def intent(self, seq, writer_seq, digest):
        os.write(self.file, b"intent %d %d %032x %d\n" % (seq, writer_seq, digest, micros()))

    def acked(self, seq, writer_seq):
        os.write(self.file, b"acked %d %d %d\n" % (seq, writer_seq, micros()))

    def void(self, seq, writer_seq):
        os.write(self.file, b"void %d %d %d\n" % (seq, writer_seq, micros()))


class Ledger:
    """One writer's ledger, read back. An intent that is known to have failed is not in it."""

    def __init__(self, path):
        self.path = path
        self.writer = None
        self.intents = {}  # (seq, writer_seq) -> [(digest, micros)]: several only after a fork
        self.acks = []  # (seq, micros), in file order
        self.last = (0, 0, 0)  # seq, writer_seq and digest of the last commit that is not open
        self.resumes = 0
        self.open = None  # (seq, writer_seq) of an intent without an answer
        with open(path, "rb") as file:
            # In one piece: its writer goes on meanwhile, and the rest of a line that was read half is no line.
            content = file.read()
        for line in content[:content.rfind(b"\n") + 1].splitlines():
            self.take(line.split())
        if self.writer is None:
            raise ValueError(f"{path} is not a ledger: it does not begin with its writer")

    def take(self, words):
        word = words[0]
        if word == b"intent":
            self.open = (int(words[1]), int(words[2]))
            self.intents.setdefault(self.open, []).append((int(words[3], 16), int(words[4])))
        elif word == b"acked":
            key = (int(words[1]), int(words[2]))
            self.acks.append((key[0], int(words[3])))
            self.settle(key)
        elif word == b"void":
            self.withdraw()
        elif word in (b"resume", b"fork"):
            self.resumes += 1
            found = (int(words[1]), int(words[2]))
            if self.open == found:
                self.settle(found)
            elif word == b"resume":
                self.withdraw()
            self.open = None
            self.last = (*found, int(words[3], 16))
        elif word == b"writer":
            self.writer = int(words[1])
        else:
            raise ValueError(f"{self.path} has a line that is not a ledger's: {words}")

    def settle(self, key):
        self.last = (*key, self.intents[key][-1][0])
        self.open = None

    def withdraw(self):
        if self.open is not None:
            attempts = self.intents[self.open]
            attempts.pop()
            if not attempts:
                del self.intents[self.open]
            self.open = None


def seq_at(ledgers, moment):
    """The largest seq surely committed before the moment, and the largest that can have been."""
    acked = max((seq for ledger in ledgers for seq, at in ledger.acks if at < moment), default=0)
    intended = max((key[0] for ledger in ledgers for key, attempts in ledger.intents.items()
                    if any(at < moment for _, at in attempts)), default=0)
    return {"acked": acked, "intended": intended}


def last(ledgers):
    return {
        "acked": max((seq for ledger in ledgers for seq, _ in ledger.acks), default=0),
        "intended": max((seq for ledger in ledgers for seq, _ in ledger.intents), default=0),
    }


def main(arguments):
    if len(arguments) >= 3 and arguments[0] == "seq-at":
        print(json.dumps(seq_at([Ledger(path) for path in arguments[2:]], int(arguments[1]))))
        return 0
    if len(arguments) >= 2 and arguments[0] == "last":
        print(json.dumps(last([Ledger(path) for path in arguments[1:]])))
        return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
