#!/usr/bin/env python3
"""Measures what the README promises, on this machine, and prints one table.

    bench/run [--quick] [--only lag,writers,copy,memory,snapshots,unchanged,long] [--size MIB] [--days N]

Figures are ratios against something in the same run (cp, sqlite3, the app without Salvor) wherever that makes sense, because absolute
figures of two machines, or of one machine on two days, do not compare. Every benchmark ends with a restore that is checked.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sqlite3
import statistics
import struct
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SALVOR = ["dotnet", os.path.join(ROOT, "artifacts/bin/Salvor.Cli/release/Salvor.Cli.dll")]
TOOLS = os.path.join(ROOT, "tests/Salvor.Tests/Tools")
MIB = 1 << 20

rows = []


def row(what, figure, against=""):
    rows.append((what, figure, against))
    print(f"  {what}: {figure}{'   ' + against if against else ''}", file=sys.stderr)


class Timed:
    """Runs a command; keeps its wall time, processor time and peak memory."""

    def __init__(self, command, **options):
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
        output, errors = process.stdout.read(), process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        self.seconds = time.perf_counter() - started
        self.cpu = usage.ru_utime + usage.ru_stime
        self.rss_mib = usage.ru_maxrss / 1024
        self.output = output.decode()
        if os.waitstatus_to_exitcode(status) != 0:
            raise SystemExit(f"{command} failed: {errors.decode()}")


class Replicating:
    def __init__(self, database, destination):
        self.process = subprocess.Popen([*SALVOR, "replicate", database, destination, "--quiet"])
        self.database = database
        lock = os.path.join(os.path.dirname(database), ".salvor", os.path.basename(database) + ".lock")
        while not os.path.exists(lock) or os.path.getsize(lock) == 0:
            time.sleep(0.02)

    def sync(self):
        while subprocess.run([*SALVOR, "sync", self.database, "--quiet"], stderr=subprocess.DEVNULL).returncode != 0:
            time.sleep(0.05)

    def memory_mib(self):
        return memory_mib(self.process.pid)

    def cpu_seconds(self):
        return cpu_seconds(self.process.pid)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def memory_mib(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def workload(database, ledger, seconds, rate, **options):
    command = [sys.executable, os.path.join(TOOLS, "workload.py"), database, ledger, "--id", "1", "--seconds", str(seconds),
               "--rate", str(rate), "--profile", options.pop("profile", "small")]
    for name, value in options.items():
        command += ["--" + name.replace("_", "-"), str(value)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.decode().strip().splitlines()[-1])


def percentile(values, percent):
    return sorted(values)[min(len(values) - 1, int(len(values) * percent / 100))]


def folder_bytes(folder):
    return sum(os.path.getsize(os.path.join(path, file)) for path, _, files in os.walk(folder) for file in files)


def judge(vault, folder, ledger):
    restored = os.path.join(folder, "judged.db")
    Timed([*SALVOR, "restore", "--from", vault, "--output", restored, "--quiet"])
    Timed([sys.executable, os.path.join(TOOLS, "oracle.py"), restored, ledger])
    os.remove(restored)


def make_database(path, mebibytes):
    """Rows of compressible text and some random bytes, with one index, as apps have them."""
    rng = random.Random(1)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(3, 9))) for _ in range(5000)]
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("pragma page_size=4096")
    database.execute("pragma journal_mode=WAL")
    database.execute("pragma synchronous=off")
    database.execute("create table t(id integer primary key, k text, body text, blob blob)")
    database.execute("create index t_k on t(k)")
    count = 0
    while os.path.getsize(path) < mebibytes * MIB:
        database.execute("begin")
        for _ in range(10000):
            count += 1
            body = json.dumps({"n": count, "text": " ".join(rng.choices(words, k=25))})
            database.execute("insert into t values(?,?,?,?)", (count, rng.choice(words) + str(count), body, rng.randbytes(120)))
        database.execute("commit")
        database.execute("pragma wal_checkpoint(truncate)")
    database.close()


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


def backup(database):
    started = time.perf_counter()
    made = json.loads(subprocess.run([*SALVOR, "backup", database, "--json"], check=True, stdout=subprocess.PIPE).stdout)
    return made, time.perf_counter() - started


def snapshots(folder, mebibytes, days):
    """A day of scattered changes after the other, and what a snapshot of each costs, against a full copy of the same codec a day."""
    database, vault, restored = (os.path.join(folder, name) for name in ("daily.db", "daily.vault", "daily.restored.db"))
    make_database(database, mebibytes)
    started = time.perf_counter()
    salvor = Replicating(database, vault)
    salvor.sync()
    full_seconds, full_bytes = time.perf_counter() - started, folder_bytes(vault)
    app = sqlite3.connect(database, isolation_level=None)
    pages, rows_count = app.execute("pragma page_count").fetchone()[0], app.execute("select max(id) from t").fetchone()[0]
    rng = random.Random(2)
    added, seconds, log_bytes = [], [], 0
    for _ in range(days):
        before = folder_bytes(vault)
        for _ in range(10):
            app.execute("begin")
            for _ in range(pages // 1000):
                app.execute("update t set blob=? where id=?", (rng.randbytes(120), rng.randint(1, rows_count)))
            app.execute("commit")
        salvor.sync()
        log_bytes += folder_bytes(vault) - before
        made, waited = backup(database)
        added.append(made["added_bytes"])
        seconds.append(waited)
    app.close()
    Timed([*SALVOR, "restore", "--from", vault, "--backup-id", str(days), "--output", restored, "--quiet"])
    salvor.stop()
    subprocess.run(["sqlite3", database, "pragma wal_checkpoint(truncate)"], check=True, stdout=subprocess.DEVNULL)
    assert subprocess.run(["cmp", restored, database]).returncode == 0, "the restored file is another"
    os.remove(restored)
    size = os.path.getsize(database) / MIB
    row(f"snapshot a day of {size:.0f} MiB, 1 % of its pages changed at random, {days} days",
        f"{statistics.median(added) / MIB:.1f} MiB and {statistics.median(seconds):.2f} s each (at most {max(seconds):.2f} s)",
        f"a full copy: {full_bytes / MIB:.0f} MiB and {full_seconds:.2f} s")
    row("all of them, with the first copy", f"{(sum(added) + full_bytes) / MIB:.0f} MiB, and {log_bytes / MIB:.0f} MiB of log",
        f"a full copy a day: {full_bytes * (days + 1) / MIB:.0f} MiB")


def unchanged(folder, mebibytes):
    """A large database in which next to nothing changed. Its content hardly matters, because it is not looked at."""
    database, vault = (os.path.join(folder, name) for name in ("large.db", "large.vault"))
    app = sqlite3.connect(database, isolation_level=None)
    app.execute("pragma journal_mode=WAL")
    app.execute("pragma synchronous=off")
    app.execute("create table t(x)")
    for _ in range(max(1, mebibytes // 512)):
        app.execute("insert into t values(zeroblob(?))", (min(512, mebibytes) * MIB,))
        app.execute("pragma wal_checkpoint(truncate)")
    app.execute("create table small(x)")
    salvor = Replicating(database, vault)
    salvor.sync()
    backup(database)
    app.execute("insert into small values(1)")
    app.execute("delete from small")
    made, waited = backup(database)
    app.close()
    memory_now = salvor.memory_mib()
    salvor.stop()
    row(f"snapshot of {os.path.getsize(database) / 1024 / MIB:.1f} GiB in which one page changed",
        f"{made['seconds']:.2f} s (the command {waited:.2f} s), {made['added_bytes']} bytes",
        f"promised 1 s for 10 GiB; {memory_now:.0f} MiB resident")


def long_log(folder, quick):
    """A vault whose log nobody merged: 100,000 objects."""
    count = 10_000 if quick else 100_000
    database, vault, config = (os.path.join(folder, name) for name in ("long.db", "long.vault", "long.yaml"))
    with sqlite3.connect(database) as made:
        made.execute("pragma journal_mode=WAL")
        made.execute("create table t(a)")
    with open(config, "w") as file:
        file.write(f"destinations: {{ here: {{ type: file, path: {vault} }} }}\n"
                   f"sources: {{ long: {{ type: sqlite, path: {database}, to: [here] }} }}\n")
    subprocess.run([*SALVOR, "sync", "--config", config, "--quiet"], check=True)
    subprocess.run(["dotnet", "run", "-c", "Release", os.path.join(ROOT, "bench/longlog.cs"), vault, "long", str(count)], check=True)
    for what, command in {
        "list": ["list", "--from", vault],
        "plan a restore to the middle": ["restore", "--from", vault, "--position", str(count // 2), "--dry-run"],
        "plan a restore to the newest": ["restore", "--from", vault, "--dry-run"],
    }.items():
        best = min((Timed([*SALVOR, *command]) for _ in range(3)), key=lambda timed: timed.seconds)
        row(f"{what}, {count} log objects", f"{best.seconds:.2f} s, {best.rss_mib:.0f} MiB resident", "promised 2 s with 100,000")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="lag,writers,copy,memory,snapshots,unchanged,long")
    parser.add_argument("--size", type=int, default=1000, help="of the large database, in MiB (for 'unchanged': ten times that)")
    parser.add_argument("--days", type=int, default=30, help="how many snapshots are made")
    options = parser.parse_args()
    only = options.only.split(",")
    with tempfile.TemporaryDirectory(prefix="salvor-bench-") as folder:
        if "lag" in only:
            lag(folder, options.quick)
        if "writers" in only:
            writers(folder, options.quick)
        if "copy" in only:
            copy_and_restore(folder, options.quick, options.size)
        if "memory" in only:
            memory(folder, options.quick)
        if "snapshots" in only:
            snapshots(folder, options.size, options.days)
        if "unchanged" in only:
            unchanged(folder, 10 * options.size)
        if "long" in only:
            long_log(folder, options.quick)
    print(f"{os.cpu_count()} processors, {open('/proc/cpuinfo').read().split('model name')[1].split(':')[1].split(chr(10))[0].strip()}, "
          f"Linux {os.uname().release}, load at the end {os.getloadavg()[0]:.1f}")
    print("\n| what | figure | against |\n|---|---|---|")
    for what, figure, against in rows:
        print(f"| {what} | {figure} | {against} |")


if __name__ == "__main__":
    main()
