"""The benchmarks of a vault that lasts: snapshots, verification, pruning, and a log that nobody merged."""

import json
import os
import random
import shutil
import sqlite3
import statistics
import subprocess
import time

from common import MIB, ROOT, SALVOR, Replicating, Timed, folder_bytes, interleaved, make_database, median_seconds, ratio, row

os.environ["RESTIC_PASSWORD"] = "bench"
os.environ["RESTIC_CACHE_DIR"] = "/nonexistent"
RESTIC = shutil.which("restic")


class Restic:
    """The same file by restic, with what its repository grew by; nothing at all where it is not installed."""

    def __init__(self, repository, database):
        self.command, self.repository, self.database = [RESTIC, "--repo", repository, "--no-cache", "--quiet"], repository, database
        Timed([*self.command, "init"])

    def backup(self):
        before = folder_bytes(self.repository)
        timed = Timed([*self.command, "backup", self.database])
        return timed.seconds, folder_bytes(self.repository) - before


def config_of(folder, name, database):
    """A configuration of one source, whose vault is `folder`/`name`.vault."""
    path, vault = os.path.join(folder, f"{name}.yaml"), os.path.join(folder, f"{name}.vault")
    with open(path, "w") as file:
        file.write(f"destinations: {{ here: {{ type: file, path: {vault} }} }}\n"
                   f"sources: {{ {name}: {{ type: sqlite, path: {database}, to: [here] }} }}\n")
    return path, vault


def backup(database):
    started = time.perf_counter()
    made = json.loads(subprocess.run([*SALVOR, "backup", database, "--json"], check=True, stdout=subprocess.PIPE).stdout)
    return made, time.perf_counter() - started


def change(app, rng, percent):
    """Updates rows at random, about one on each of so many percent of the pages, in ten transactions."""
    pages, count = app.execute("pragma page_count").fetchone()[0], app.execute("select max(id) from t").fetchone()[0]
    for _ in range(10):
        app.execute("begin")
        for _ in range(pages * percent // 1000):
            app.execute("update t set blob=? where id=?", (rng.randbytes(120), rng.randint(1, count)))
        app.execute("commit")


class PageHashes:
    """Counts the pages of a file that changed since the last look."""

    def __init__(self, path):
        self.path, self.known = path, []

    def changed_bytes(self):
        with open(self.path, "rb") as file:
            now = [hash(page) for page in iter(lambda: file.read(4096), b"")]
        changed = sum(old != new for old, new in zip(self.known, now)) + abs(len(now) - len(self.known))
        self.known = now
        return 4096 * changed


def snapshots(folder, mebibytes, days):
    """A day of scattered changes after the other, and what a snapshot of each costs, against restic and the size of the change."""
    database, vault, restored = (os.path.join(folder, name) for name in ("daily.db", "daily.vault", "daily.restored.db"))
    make_database(database, mebibytes)
    started = time.perf_counter()
    salvor = Replicating(database, vault)
    salvor.sync()
    full_seconds, full_bytes = time.perf_counter() - started, folder_bytes(vault)
    restic = Restic(os.path.join(folder, "daily.restic"), database) if RESTIC else None
    restic_full = restic.backup() if restic else None
    app = sqlite3.connect(database, isolation_level=None)
    rng, pages = random.Random(2), PageHashes(database)
    pages.changed_bytes()
    added, seconds, changed, theirs, log_bytes = [], [], [], [], 0
    for _ in range(days):
        before = folder_bytes(vault)
        change(app, rng, percent=1)
        salvor.sync()
        log_bytes += folder_bytes(vault) - before
        made, waited = backup(database)
        added.append(made["added_bytes"])
        seconds.append(waited)
        app.execute("pragma wal_checkpoint(passive)").fetchall()
        changed.append(pages.changed_bytes())
        if restic:
            theirs.append(restic.backup())
    app.close()
    Timed([*SALVOR, "restore", "--from", vault, "--backup-id", str(days), "--output", restored, "--quiet"])
    salvor.stop()
    subprocess.run(["sqlite3", database, "pragma wal_checkpoint(truncate)"], check=True, stdout=subprocess.DEVNULL)
    assert subprocess.run(["cmp", restored, database]).returncode == 0, "the restored file is another"
    os.remove(restored)
    size = os.path.getsize(database) / MIB
    row(f"snapshot a day of {size:.0f} MiB, 1 % of its pages changed at random, {days} days",
        f"{statistics.median(added) / MIB:.1f} MiB and {statistics.median(seconds):.2f} s each (at most {max(seconds):.2f} s)",
        f"{statistics.median(a / c for a, c in zip(added, changed)):.2f} × the pages that changed ({statistics.median(changed) / MIB:.1f} MiB); "
        f"a full copy: {full_bytes / MIB:.0f} MiB and {full_seconds:.2f} s")
    if restic:
        row("the same by restic backup of the file",
            f"{statistics.median(b for _, b in theirs) / MIB:.1f} MiB and {statistics.median(s for s, _ in theirs):.2f} s each",
            f"Salvor's snapshot: {statistics.median(a / b for a, (_, b) in zip(added, theirs)):.3f} × its bytes, "
            f"{statistics.median(s / t for s, (t, _) in zip(seconds, theirs)):.2f} × its time; "
            f"the first: {full_bytes / restic_full[1]:.2f} × and {full_seconds / restic_full[0]:.2f} ×")
    row("all of them, with the first copy", f"{(sum(added) + full_bytes) / MIB:.0f} MiB, and {log_bytes / MIB:.0f} MiB of log",
        f"a full copy a day: {full_bytes * (days + 1) / MIB:.0f} MiB"
        + (f"; restic {(sum(b for _, b in theirs) + restic_full[1]) / MIB:.0f} MiB, without what was between its snapshots" if restic else ""))


def unchanged(folder, mebibytes):
    """A large database in which nothing or next to nothing changed. Its content hardly matters, because it is not looked at."""
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
    same, same_waited = backup(database)
    app.execute("insert into small values(1)")
    made, waited = backup(database)
    app.close()
    read = Timed(["sh", "-c", f"cat {database} | wc -c"])
    memory_now = salvor.memory_mib()
    salvor.stop()
    size = os.path.getsize(database) / 1024 / MIB
    for what, item, command in (("nothing", same, same_waited), ("one row", made, waited)):
        row(f"snapshot of {size:.1f} GiB in which {what} changed",
            f"{item['seconds']:.2f} s (the command {command:.2f} s), {item['added_bytes']} bytes",
            f"{command / read.seconds:.2f} × reading the file ({read.seconds:.2f} s); promised 1 s for 10 GiB; {memory_now:.0f} MiB resident")
    os.remove(database)


def verify(folder, quick, mebibytes):
    """How fast a vault is read and proved, against sha256sum over the same bytes, and what a daily deep verification costs."""
    database = os.path.join(folder, "proved.db")
    make_database(database, mebibytes)
    config, vault = config_of(folder, "proved", database)
    Timed([*SALVOR, "sync", "--config", config, "--quiet"])
    stored, turns = folder_bytes(vault), 3 if quick else 5
    commands = {"verify": [*SALVOR, "verify", "--from", vault, "--quiet"],
                "sums": ["sh", "-c", f"find {vault} -type f -print0 | xargs -0 sha256sum"]}
    if RESTIC:
        restic = Restic(os.path.join(folder, "proved.restic"), database)
        restic.backup()
        commands["restic"] = [*restic.command, "check", "--read-data"]
    runs = interleaved(turns, **commands)
    rate = statistics.median(stored / timed.cpu for timed in runs["verify"]) / 1e6
    row(f"verify of a vault of {stored / MIB:.0f} MiB",
        f"{median_seconds(runs, 'verify'):.2f} s, {stored / median_seconds(runs, 'verify') / 1e6:.0f} MB/s, {rate:.0f} MB/s per core, "
        f"{max(timed.rss_mib for timed in runs['verify']):.0f} MiB resident",
        f"{ratio(runs, 'verify', 'sums'):.2f} × the time and {ratio(runs, 'verify', 'sums', lambda timed: timed.cpu):.2f} × the processor time of "
        f"sha256sum over the same bytes ({median_seconds(runs, 'sums'):.2f} s); promised 500 MB/s per core")
    if RESTIC:
        row("the same against restic check --read-data", f"{ratio(runs, 'verify', 'restic'):.2f} × its time",
            f"{median_seconds(runs, 'restic'):.2f} s for {folder_bytes(os.path.join(folder, 'proved.restic')) / MIB:.0f} MiB")
    deep = [*SALVOR, "verify", "proved", "--config", config, "--deep", "--quiet"]
    Timed(deep)
    app, rng = sqlite3.connect(database, isolation_level=None), random.Random(3)
    runs = {"new": [], "full": []}
    for _ in range(turns):
        app.execute("begin")
        for _ in range(100):
            app.execute("update t set blob=? where id=?", (rng.randbytes(120), rng.randint(1, 1000)))
        app.execute("commit")
        Timed([*SALVOR, "sync", "--config", config, "--quiet"])
        runs["new"].append(Timed(deep))
        runs["full"].append(Timed([*deep, "--full"]))
    app.close()
    row(f"verify --deep of {os.path.getsize(database) / MIB:.0f} MiB after a small change, from the kept image",
        f"{median_seconds(runs, 'new'):.2f} s, {max(timed.rss_mib for timed in runs['new']):.0f} MiB resident",
        f"{ratio(runs, 'new', 'full'):.2f} × the same with --full ({median_seconds(runs, 'full'):.2f} s)")


def make_long_log(folder, name, count, days):
    """A vault whose log nobody merged, so many objects over so many days until now; the database is what each of them restores."""
    database = os.path.join(folder, f"{name}.db")
    subprocess.run(["sqlite3", database, "pragma journal_mode=WAL; create table t(a)"], check=True, stdout=subprocess.DEVNULL)
    config, vault = config_of(folder, name, database)
    longlog("make", database, vault, name, count, days)
    return database, vault


def longlog(*arguments):
    command = ["dotnet", "run", "-c", "Release", os.path.join(ROOT, "bench/longlog.cs"), *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd="/").stdout.decode().strip()


def look_at(vault, what):
    """What people do with a vault, against reading the names and the bytes of its files once."""
    objects = sum(len(files) for _, _, files in os.walk(vault))
    runs = interleaved(
        3,
        list=[*SALVOR, "list", "--from", vault, "--json"],
        plan=[*SALVOR, "restore", "--from", vault, "--dry-run", "--json"],
        usage=[*SALVOR, "usage", "--from", vault, "--json"],
        read=["sh", "-c", f"find {vault} -type f -print0 | xargs -0 cat | wc -c"])
    for name, label in (("list", "list"), ("plan", "plan a restore"), ("usage", "usage")):
        best = min(runs[name], key=lambda timed: timed.seconds)
        row(f"{label}, {objects} objects {what}", f"{best.seconds:.2f} s, {best.cpu:.2f} s of processor, {best.rss_mib:.0f} MiB resident",
            f"{ratio(runs, name, 'read'):.2f} × find and cat of all; promised 2 s with 100,000")


def prune(folder, count):
    """A vault of forty days that nobody merged: what a prune of it costs, and the vault afterwards."""
    database, vault = make_long_log(folder, "aged", count, days=40)
    reading = ["sh", "-c", f"find {vault} -type f -print0 | xargs -0 cat | wc -c"]
    read = min(Timed(reading).seconds for _ in range(2))
    planned = Timed([*SALVOR, "prune", "--from", vault, "--dry-run", "--json"])
    carried = Timed([*SALVOR, "prune", "--from", vault, "--json"])
    plan, done = (json.loads(timed.output)["vaults"][0] for timed in (planned, carried))
    assert plan["condemned_objects"] == done["condemned_objects"] > 0, "the dry run planned another thing"
    copy = os.path.join(folder, "aged.copy")
    shutil.copytree(vault, copy)
    removed = Timed(["rm", "-r", copy])
    seconds, objects, rss = longlog("delete", vault, "aged", 8).split()
    row(f"prune --dry-run, {count} log objects", f"{planned.seconds:.2f} s, {planned.cpu:.2f} s of processor, {planned.rss_mib:.0f} MiB resident",
        f"{planned.seconds / read:.1f} × find and cat of all ({read:.2f} s); condemns {plan['condemned_objects']}, rewrites {plan['rewrites']}")
    row("prune, the first step", f"{carried.seconds:.2f} s, {carried.rss_mib:.0f} MiB resident", f"{carried.seconds / planned.seconds:.1f} × the dry run")
    row("prune, the second step after the grace", f"{float(seconds):.2f} s, {float(rss):.0f} MiB resident",
        f"deletes {objects} objects; {float(seconds) / removed.seconds:.1f} × rm -r of a copy ({removed.seconds:.2f} s)")
    look_at(vault, "after the prune")
    restored = os.path.join(folder, "aged.restored.db")
    Timed([*SALVOR, "restore", "--from", vault, "--output", restored, "--quiet"])
    assert subprocess.run(["cmp", restored, database]).returncode == 0, "the restored file is another"


def long_log(folder, count):
    """A vault whose log nobody merged for a day."""
    database, vault = make_long_log(folder, "long", count, days=1)
    look_at(vault, "unmerged")
    planned = min((Timed([*SALVOR, "restore", "--from", vault, "--position", str(count // 2), "--dry-run"]) for _ in range(3)),
                  key=lambda timed: timed.seconds)
    row("plan a restore to the middle", f"{planned.seconds:.2f} s, {planned.rss_mib:.0f} MiB resident", "promised 2 s with 100,000")
