"""A directory of many small files and three large ones, against restic and borg with the same data in the same run.

restic encrypts always; Salvor and borg do not here."""

import json
import multiprocessing
import os
import random
import shutil
import sqlite3
import subprocess

from common import MIB, SALVOR, Timed, folder_bytes, make_database, row

RESTIC, BORG = shutil.which("restic"), shutil.which("borg")
CORPUS_BYTES = 16 * MIB


def small_files(folder, files):
    return [os.path.join(folder, f"d{i % 89:02}", f"e{i % 1511:04}", f"f{i:05}") for i in range(files)]


def make_tree(folder, files, large_mebibytes):
    """Small files as people have them: text, some that does not compress, some almost the same as another. The same bytes each time."""
    rng = random.Random(7)
    words = [bytes(rng.choices(b"etaoinshrdlucmfwypvbgk", k=rng.randint(2, 10))) for _ in range(20_000)]
    corpus = b" ".join(rng.choices(words, k=CORPUS_BYTES // 5))[:CORPUS_BYTES]
    paths = small_files(folder, files)
    for i, path in enumerate(paths):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        size = min(MIB, int(rng.lognormvariate(8.9, 1.45)))
        kind = rng.random()
        if kind < 0.12:
            content = rng.randbytes(size)
        elif kind < 0.25 and i > 0:
            with open(paths[rng.randrange(i)], "rb") as file:
                content = file.read() + b"changed since\n"
        else:
            content = text_of(rng, corpus, size)
        with open(path, "wb") as file:
            file.write(content)
    make_database(os.path.join(folder, "app.db"), large_mebibytes)
    with open(os.path.join(folder, "random"), "wb") as file:
        for _ in range(large_mebibytes):
            file.write(rng.randbytes(MIB))
    with open(os.path.join(folder, "log"), "wb") as file:
        for line in range(large_mebibytes * MIB // 120):
            start = rng.randrange(CORPUS_BYTES - 80)
            file.write(b"2026-03-04T05:06:07.%09d app[%05d]: %s\n" % (line * 977 % 10**9, rng.randrange(10**5), corpus[start:start + 75]))


def text_of(rng, corpus, size):
    parts, length = [], 0
    while length < size:
        part = min(size - length, rng.randint(200, 3000))
        start = rng.randrange(len(corpus) - part)
        parts.append(corpus[start:start + part])
        length += part
    return b"".join(parts)


def change(folder, small, rng):
    """One percent of the files, and one percent of the bytes of the large ones, where they are."""
    for path in rng.sample(small, len(small) // 100):
        with open(path, "r+b") as file:
            file.seek(rng.randrange(os.path.getsize(path) + 1))
            file.write(rng.randbytes(100))
    for name, block in (("random", 4096), ("log", 65536)):
        path = os.path.join(folder, name)
        size = os.path.getsize(path)
        with open(path, "r+b") as file:
            for _ in range(size // 100 // block):
                file.seek(rng.randrange(size - block) // block * block)
                file.write(rng.randbytes(block))
    app = sqlite3.connect(os.path.join(folder, "app.db"), isolation_level=None)
    app.execute("pragma journal_mode=delete")
    pages, count = app.execute("pragma page_count").fetchone()[0], app.execute("select max(id) from t").fetchone()[0]
    app.execute("begin")
    for _ in range(pages // 100):
        app.execute("update t set blob=? where id=?", (rng.randbytes(120), rng.randint(1, count)))
    app.execute("commit")
    app.close()


class Salvor:
    name = "salvor"

    def __init__(self, folder, source):
        self.repository, self.config = os.path.join(folder, "salvor.vault"), os.path.join(folder, "salvor.yaml")
        with open(self.config, "w") as file:
            file.write(f"destinations: {{ here: {{ type: file, path: {self.repository} }} }}\n"
                       f"sources: {{ tree: {{ type: files, paths: [{source}], to: [here] }} }}\n")
        self.backup = [*SALVOR, "backup", "--config", self.config, "--json"]
        self.check = [*SALVOR, "verify", "--from", self.repository, "--json"]
        self.prune = [*SALVOR, "prune", "--from", self.repository, "--keep-last", "1", "--json"]

    def restore(self, target):
        return [*SALVOR, "restore", "--from", self.repository, "--output", target, "--json"]


class Restic:
    name = "restic"

    def __init__(self, folder, source):
        os.environ["RESTIC_PASSWORD"] = "bench"
        self.repository = os.path.join(folder, "restic")
        self.command = [RESTIC, "--repo", self.repository, "--cache-dir", os.path.join(folder, "restic.cache"), "--quiet"]
        Timed([*self.command, "init"])
        self.backup = [*self.command, "backup", source]
        self.check = [*self.command, "check", "--read-data"]
        self.prune = [*self.command, "forget", "--keep-last", "1", "--prune"]

    def restore(self, target):
        return [*self.command, "restore", "latest", "--target", target]


class Borg:
    name = "borg"

    def __init__(self, folder, source):
        os.environ["BORG_BASE_DIR"] = os.path.join(folder, "borg.state")
        os.environ["BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK"] = "yes"
        self.repository = os.path.join(folder, "borg")
        Timed([BORG, "init", "--encryption", "none", self.repository])
        self.backup = [BORG, "create", f"{self.repository}::{{now:%Y%m%d%H%M%S%f}}", source]
        self.check = [BORG, "check", "--verify-data", self.repository]
        self.prune = ["sh", "-c", f"{BORG} prune --keep-last 1 {self.repository} && {BORG} compact {self.repository}"]

    def restore(self, target):
        os.makedirs(target, exist_ok=True)
        newest = json.loads(subprocess.run([BORG, "list", "--last", "1", "--json", self.repository], check=True, capture_output=True).stdout)
        return ["sh", "-c", f"cd {target} && {BORG} extract {self.repository}::{newest['archives'][0]['name']}"]


def files(folder, quick):
    """The first backup, one of what did not change, one after a change, a restore, a check of all data, and a prune."""
    source = os.path.join(folder, "tree")
    os.makedirs(source)
    count = 6_500 if quick else 65_000
    # In a process of its own: what a command used most counts from what the one that starts it did.
    making = multiprocessing.Process(target=make_tree, args=(source, count, 30 if quick else 300))
    making.start()
    making.join()
    assert making.exitcode == 0, "the tree was not made"
    small = small_files(source, count)
    tools = [tool(folder, source) for tool in (Salvor, *([Restic] if RESTIC else []), *([Borg] if BORG else []))]
    row("files: the data set", f"{len(small) + 3} files, {folder_bytes(source) / MIB:.0f} MiB", "")
    target = os.path.join(folder, "restored")
    measure("first backup", tools, lambda tool: tool.backup, "aimed at 0.6 × processor and 0.91 × bytes of restic, 150 MiB resident")
    measure("unchanged", tools, lambda tool: tool.backup, "aimed at 0.47 × time of restic")
    change(source, small, random.Random(11))
    measure("1 % changed", tools, lambda tool: tool.backup, "aimed at 0.1 × bytes of restic")
    measure("restore", tools, lambda tool: tool.restore(target), "aimed at 0.77 × time of restic", after=lambda: compare(source, target))
    measure("check of all data", tools, lambda tool: tool.check, "aimed at 0.44 × processor of restic")
    measure("prune to the newest backup", tools, lambda tool: tool.prune, "Salvor's deletes after the grace")


def measure(what, tools, command, aim, after=None):
    ours = None
    for tool in tools:
        before = folder_bytes(tool.repository) if os.path.exists(tool.repository) else 0
        timed = Timed(command(tool))
        grown = (folder_bytes(tool.repository) - before) / 1e6
        if after:
            after()
        figure = f"{timed.seconds:.2f} s, {timed.cpu:.2f} s of processor, {timed.rss_mib:.0f} MiB resident, {grown:+.1f} MB"
        if ours is None:
            ours = (timed, grown)
            row(f"files: {what}", figure, aim)
        else:
            added = f", {ours[1] / grown:.2f} × bytes" if grown > 1 and ours[1] > 0 else ""
            row(f"files: {what}, {tool.name}", figure,
                f"Salvor {ours[0].seconds / timed.seconds:.2f} × time, {ours[0].cpu / timed.cpu:.2f} × processor{added}")


def compare(source, target):
    """What rsync finds different is an error; then the target goes."""
    found = subprocess.run(["rsync", "-niaHAX", "--delete", f"{source}/", f"{target}{source}/"], check=True, capture_output=True).stdout
    assert found == b"", f"the restored tree is another: {found[:500]}"
    shutil.rmtree(target)
