#!/usr/bin/env python3
"""Measures what the README promises, on this machine, and prints one table.

    bench/run [--quick] [--only lag,writers,copy,codecs,memory,snapshots,unchanged,verify,prune,long,requests,remote,start,metrics,files,cluster] [--size MIB] [--days N]

'lag', 'writers', 'copy', 'codecs' (compression.py) and 'memory' are about a database that is written to; 'snapshots' to 'long' (lasting.py) about a vault that lasts for
years; 'requests' and 'remote' (remote.py) about one in a bucket; 'start' and 'metrics' (asking.py) about asking how it fares; 'files' (trees.py) about directories; 'cluster' (clusters.py) about PostgreSQL. With --quick each takes a few minutes at most. Where restic is installed, 'snapshots' and 'verify' compare with it, 'files' also with borg, and
'cluster' with pgBackRest.

Figures are ratios against something in the same run (cp, sqlite3, the app without Salvor) wherever that makes sense, because absolute
figures of two machines, or of one machine on two days, do not compare. Every benchmark ends with a restore that is checked.
"""

import argparse
import json
import os
import shutil
import signal
import sqlite3
import statistics
import struct
import subprocess
import sys
import tempfile
import time

import asking
import clusters
import compression
import lasting
import remote
import trees
from common import (MIB, SALVOR, TOOLS, Replicating, Timed, cpu_seconds, folder_bytes, judge, make_database, memory_mib, percentile, row, rows,
                    workload)


def commit_times(ledger):
    times = {}
    with open(ledger) as lines:
        for line in lines:
            fields = line.split()
            if fields[0] == "acked":
                times[int(fields[1])] = int(fields[3])
    return times


def lag(folder, quick):
    """From the return of COMMIT to the object being durable under its name, for each commit: the ledger against the files' times."""
    database, ledger, vault = (os.path.join(folder, name) for name in ("lag.db", "lag.ledger", "lag.vault"))
    workload(database, ledger, 1, 100)
    salvor = Replicating(database, vault)
    salvor.sync()
    before = max(commit_times(ledger))
    idle = memory_mib(salvor.process.pid)
    used = salvor.cpu_seconds()
    stats = workload(database, ledger, 10 if quick else 30, 500)
    used = salvor.cpu_seconds() - used
    busy = salvor.memory_mib()
    salvor.sync()
    times = commit_times(ledger)
    objects = []
    log = os.path.join(vault, "lag", "log", "000001")
    for name in sorted(os.listdir(log)):
        path = os.path.join(log, name)
        with open(path, "rb") as file:
            first, last = struct.unpack_from("<QQ", file.read(64), 48)
        objects.append((first, last, os.stat(path).st_mtime_ns // 1000))
    shift = objects[-1][1] - max(times)
    lags = [(stored - times[position - shift]) / 1000
            for first, last, stored in objects for position in range(first, last + 1) if times.get(position - shift) and position - shift > before]
    row("commit → durable at 500 commits/s", f"p50 {percentile(lags, 50):.0f} ms, p99 {percentile(lags, 99):.0f} ms",
        f"{len(lags)} commits, {stats['rate']:.0f}/s; promised 50 and 250")
    row("processor time for that", f"{100 * used / stats['seconds']:.1f} % of one core", "")
    row("resident memory, 1 database", f"{idle:.0f} MiB before, {busy:.0f} MiB under load", "promised 60 idle")
    committed = stats["commits"]
    row("bytes stored per commit", f"{folder_bytes(os.path.join(vault, 'lag', 'log')) / max(1, committed):.0f}",
        f"a commit of this workload changes about 3 pages of 4096 bytes")
    salvor.stop()
    judge(vault, folder, ledger)


def writers(folder, quick):
    """What the app notices: its own commit latencies with and without us, in turns."""
    seconds = 4 if quick else 8
    for checkpoint in ("none", "full", "restart", "truncate"):
        figures = {False: [], True: []}
        for turn in range(2 if quick else 3):
            for attached in (False, True):
                name = f"writers-{checkpoint}-{turn}-{attached}"
                database, ledger, vault = (os.path.join(folder, f"{name}.{end}") for end in ("db", "ledger", "vault"))
                workload(database, ledger, 0.5, 100)
                salvor = Replicating(database, vault) if attached else None
                if salvor:
                    salvor.sync()
                options = {} if checkpoint == "none" else {"checkpoint": checkpoint, "checkpoint_interval": 0.2}
                figures[attached].append(workload(database, ledger, seconds, 500, **options)["commit_us"])
                if salvor:
                    salvor.sync()
                    salvor.stop()
                    judge(vault, folder, ledger)
        text = ", ".join(
            f"{key} {statistics.median(f[key] for f in figures[True]):.0f}/{statistics.median(f[key] for f in figures[False]):.0f}"
            for key in ("p50", "p99", "p99.9"))
        label = "automatic checkpoints" if checkpoint == "none" else f"{checkpoint.upper()} every 0.2 s"
        row(f"commit latency of the app, {label}", f"{text} µs", "with/without Salvor, 500 commits/s")


def copy_and_restore(folder, quick, mebibytes):
    database, vault, restored = (os.path.join(folder, name) for name in ("big.db", "big.vault", "restored.db"))
    make_database(database, mebibytes)
    config = os.path.join(folder, "big.yaml")
    with open(config, "w") as file:
        file.write(f"destinations: {{ here: {{ type: file, path: {vault} }} }}\n"
                   f"sources: {{ big: {{ type: sqlite, path: {database}, to: [here] }} }}\n")
    size = os.path.getsize(database) / MIB
    copied = os.path.join(folder, "copied.db")
    for turn in range(1 if quick else 3):
        shutil.rmtree(vault, ignore_errors=True)
        shutil.rmtree(os.path.join(folder, ".salvor"), ignore_errors=True)
        first = Timed([*SALVOR, "sync", "--config", config, "--quiet"])
        backup = Timed(["sqlite3", database, f".backup {copied}"])
        os.remove(copied)
        plain = Timed(["sh", "-c", f"cp {database} {copied} && sync {copied}"])
        check = Timed(["sqlite3", copied, "PRAGMA integrity_check"])
        os.remove(copied)
        bare = Timed([*SALVOR, "restore", "--from", vault, "--output", restored, "--no-check", "--quiet"])
        assert subprocess.run(["cmp", restored, database]).returncode == 0, "the restored file is another"
        os.remove(restored)
        full = Timed([*SALVOR, "restore", "--from", vault, "--output", restored, "--quiet"])
        os.remove(restored)
        last = (first, backup, plain, check, bare, full)
        best = last if turn == 0 else tuple(min(pair, key=lambda timed: timed.seconds) for pair in zip(best, last))
    first, backup, plain, check, bare, full = best
    row(f"first full copy of {size:.0f} MiB", f"{first.seconds:.2f} s, {size / first.seconds:.0f} MiB/s, {first.rss_mib:.0f} MiB resident",
        f"{first.seconds / backup.seconds:.2f} × sqlite3 .backup ({backup.seconds:.2f} s); promised 3 s for 1 GiB")
    row("its size in the vault", f"{folder_bytes(vault) / MIB:.0f} MiB", f"{folder_bytes(vault) / os.path.getsize(database):.2f} of the file")
    row("restore, proved and durable", f"{bare.seconds:.2f} s, {size / bare.seconds:.0f} MiB/s, {bare.rss_mib:.0f} MiB resident",
        f"{bare.seconds / plain.seconds:.2f} × (cp + sync) ({plain.seconds:.2f} s); promised 1.5 s for 1 GiB, 256 MiB")
    row("restore with integrity_check", f"{full.seconds:.2f} s, {full.rss_mib:.0f} MiB resident",
        f"{full.seconds / (plain.seconds + check.seconds):.2f} × (cp + sync + sqlite3 integrity_check); promised 1.2 ×")


def memory(folder, quick):
    for count in (1, 100, 1000):
        base = os.path.join(folder, f"many-{count}")
        os.makedirs(base)
        first = os.path.join(base, "d0000.db")
        database = sqlite3.connect(first, isolation_level=None)
        database.execute("pragma journal_mode=WAL")
        database.execute("create table t(a, b)")
        database.executemany("insert into t values(?, ?)", [(i, "x" * 200) for i in range(500)])
        database.close()
        for i in range(1, count):
            shutil.copy(first, os.path.join(base, f"d{i:04}.db"))
        vault = os.path.join(folder, f"many-{count}.vault")
        config = os.path.join(folder, f"many-{count}.yaml")
        with open(config, "w") as file:
            file.write(f"destinations: {{ here: {{ type: file, path: {vault} }} }}\n"
                       f"sources:\n  many: {{ type: sqlite, paths: \"{base}/*.db\", to: [here] }}\n")
        started = time.perf_counter()
        daemon = subprocess.Popen([*SALVOR, "daemon", "--config", config, "--quiet"])
        while sum(os.path.exists(os.path.join(vault, "many", f"d{i:04}.db", "log", "000001", "0" * 15 + "1")) for i in range(count)) < count:
            time.sleep(0.1)
        ready = time.perf_counter() - started
        time.sleep(25)
        used = cpu_seconds(daemon.pid)
        minutes = 20 if quick else 60
        time.sleep(minutes)
        used = cpu_seconds(daemon.pid) - used
        row(f"{count} idle database(s)", f"{memory_mib(daemon.pid):.0f} MiB resident, {100 * used / minutes:.3f} % of one core",
            f"all copied after {ready:.1f} s; promised 60 MiB with 1, 100 with 100, and < 0.05 %")
        daemon.send_signal(signal.SIGTERM)
        daemon.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="smaller databases and vaults, fewer turns")
    parser.add_argument(
        "--only", default="lag,writers,copy,codecs,memory,snapshots,unchanged,verify,prune,long,requests,remote,start,metrics,files,cluster")
    parser.add_argument("--size", type=int, help="of the large database, in MiB; default 1024, with --quick 256 (for 'unchanged': ten and four times that)")
    parser.add_argument("--days", type=int, help="how many snapshots are made; default 30, with --quick 10")
    options = parser.parse_args()
    only = options.only.split(",")
    size, days = options.size or (256 if options.quick else 1024), options.days or (10 if options.quick else 30)
    with tempfile.TemporaryDirectory(prefix="salvor-bench-", ignore_cleanup_errors=True) as folder:
        if "lag" in only:
            lag(folder, options.quick)
        if "writers" in only:
            writers(folder, options.quick)
        if "copy" in only:
            copy_and_restore(folder, options.quick, size)
        if "codecs" in only:
            compression.codecs(folder, options.quick, min(size, 256))
        if "memory" in only:
            memory(folder, options.quick)
        if "snapshots" in only:
            lasting.snapshots(folder, size, days)
        if "unchanged" in only:
            lasting.unchanged(folder, (4 if options.quick else 10) * size)
        if "verify" in only:
            lasting.verify(folder, options.quick, size)
        if "prune" in only:
            lasting.prune(folder, 20_000 if options.quick else 100_000)
        if "long" in only:
            lasting.long_log(folder, 20_000 if options.quick else 100_000)
        if "requests" in only:
            remote.requests(folder, options.quick)
        if "remote" in only:
            remote.speed(folder, options.quick, size)
        if "start" in only:
            asking.start(folder, options.quick)
        if "metrics" in only:
            asking.metrics(folder, options.quick)
        if "files" in only:
            trees.files(folder, options.quick)
        if "cluster" in only:
            clusters.cluster(folder, options.quick)
    print(f"{os.cpu_count()} processors, {open('/proc/cpuinfo').read().split('model name')[1].split(':')[1].split(chr(10))[0].strip()}, "
          f"Linux {os.uname().release}, load at the end {os.getloadavg()[0]:.1f}")
    print("\n| what | figure | against |\n|---|---|---|")
    for what, figure, against in rows:
        print(f"| {what} | {figure} | {against} |")


if __name__ == "__main__":
    main()
