"""What the benchmarks share: running and measuring commands, databases to measure with, and the rows of the table."""

import json
import os
import random
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# As ./salvor does it.
os.environ.setdefault("DOTNET_TieredPGO", "0")
SALVOR = [os.path.join(ROOT, "artifacts/bench/salvor/Salvor.Cli")]
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


def interleaved(turns, **commands):
    """Runs each of some commands once in every turn, so that what else the machine does meets all of them alike."""
    runs = {name: [] for name in commands}
    for _ in range(turns):
        for name, command in commands.items():
            runs[name].append(Timed(command))
    return runs


def ratio(runs, name, against, of=lambda timed: timed.seconds):
    """The median over the turns of one command's figure by another one's."""
    return statistics.median(of(one) / of(other) for one, other in zip(runs[name], runs[against]))


def median_seconds(runs, name):
    return statistics.median(timed.seconds for timed in runs[name])


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
