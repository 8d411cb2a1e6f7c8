"""A cluster of pgbench, against pg_basebackup and, where it is installed, pgBackRest with the same data in the same run.

Processor time is that of the client and of the server together: whoever reads the files costs somebody."""

import glob
import os
import shutil
import subprocess
import time

from common import MIB, SALVOR, Timed, folder_bytes, row

PGBACKREST = shutil.which("pgbackrest")
PORT, RESTORED_PORT = 54331, 54332
TICKS = os.sysconf("SC_CLK_TCK")


def programs():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[-2]))
    if not found:
        raise SystemExit("no PostgreSQL is installed: apt-get install postgresql")
    return found[-1]


def as_owner(command):
    """The server refuses to be root."""
    return ["runuser", "-u", "postgres", "--", *command] if os.getuid() == 0 else command


class Cluster:
    def __init__(self, data, port, sockets):
        self.data, self.port, self.sockets, self.bin = data, port, sockets, programs()

    @property
    def connection(self):
        return ["-h", self.sockets, "-p", str(self.port), "-U", "postgres"]

    def start(self):
        subprocess.run(as_owner([f"{self.bin}/pg_ctl", "-D", self.data, "-l", f"{self.data}.log", "-w", "-t", "300", "-s", "start"]), check=True)

    def stop(self):
        subprocess.run(as_owner([f"{self.bin}/pg_ctl", "-D", self.data, "-m", "immediate", "-w", "-s", "stop"]), check=False)

    def sql(self, text):
        return subprocess.run(["psql", *self.connection, "-d", "postgres", "-Xqtc", text], check=True, stdout=subprocess.PIPE).stdout.decode().strip()

    def cpu(self):
        """Of the server and of all its children that ended."""
        with open(f"{self.data}/postmaster.pid") as file:
            pid = int(file.readline())
        with open(f"/proc/{pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return sum(int(field) for field in fields[11:15]) / TICKS

    def digest(self):
        return self.sql("select count(*), sum(hashtext(a::text)::bigint) from pgbench_accounts a")

    def wait(self):
        """Until it accepts queries and has recovered."""
        while subprocess.run(["psql", *self.connection, "-d", "postgres", "-Xqtc", "select 1 / (not pg_is_in_recovery())::int"],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode != 0:
            time.sleep(0.05)


def made(folder, scale):
    """A cluster with checksums, the data in one table and its index."""
    data = os.path.join(folder, "data")
    cluster = Cluster(data, PORT, folder)
    subprocess.run(as_owner([f"{cluster.bin}/initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync",
                             "--data-checksums"]), check=True, stdout=subprocess.DEVNULL)
    with open(f"{data}/postgresql.conf", "a") as file:
        file.write(f"unix_socket_directories = '{folder}'\nport = {PORT}\nlisten_addresses = '127.0.0.1'\nmax_wal_size = 8GB\n"
                   "checkpoint_timeout = 1h\nshared_buffers = 256MB\n")
        if PGBACKREST:
            file.write(f"archive_mode = on\narchive_command = 'pgbackrest --config={folder}/pgbackrest.conf --stanza=bench archive-push %p'\n")
    cluster.start()
    subprocess.run([f"{cluster.bin}/pgbench", *cluster.connection, "-i", "-q", "-s", str(scale), "postgres"], check=True, stderr=subprocess.DEVNULL)
    cluster.sql("vacuum analyze")
    return cluster


def pgbackrest(folder, *arguments):
    return as_owner(["pgbackrest", f"--config={folder}/pgbackrest.conf", "--stanza=bench", "--log-level-console=error", *arguments])


def prepare_pgbackrest(folder):
    repository = os.path.join(folder, "repository")
    os.makedirs(repository)
    with open(f"{folder}/pgbackrest.conf", "w") as file:
        file.write(f"[global]\nrepo1-path={repository}\ncompress-type=zst\ncompress-level=3\nprocess-max=2\nstart-fast=y\nlog-level-file=off\n"
                   f"lock-path={folder}/lock\nspool-path={folder}/spool\n[bench]\npg1-path={folder}/data\npg1-port={PORT}\npg1-socket-path={folder}\n")
    for name in ("lock", "spool"):
        os.makedirs(f"{folder}/{name}")
    if os.getuid() == 0:
        for name in ("lock", "spool", "repository"):
            shutil.chown(f"{folder}/{name}", "postgres", "postgres")
    subprocess.run(pgbackrest(folder, "stanza-create"), check=True)


def measured(cluster, command, stored):
    """A run from a checkpoint on, with what it adds to a folder; its processor time is the server's too."""
    cluster.sql("checkpoint")
    subprocess.run(["sync"], check=True)
    before, used = folder_bytes(stored) if os.path.exists(stored) else 0, cluster.cpu()
    run = Timed(command)
    run.cpu += cluster.cpu() - used
    run.added = folder_bytes(stored) - before
    return run


def figure(run):
    return f"{run.seconds:.2f} s, {run.cpu:.2f} s of processor, {run.rss_mib:.0f} MiB resident, +{run.added / 1e6:.1f} MB"


def told(what, runs, aim):
    salvor = runs["Salvor"]
    row(f"cluster: {what}", figure(salvor), aim)
    for name, run in runs.items():
        if name != "Salvor":
            row(f"cluster: {what}, {name}", figure(run),
                f"Salvor {salvor.seconds / run.seconds:.2f} × time, {salvor.cpu / run.cpu:.2f} × processor, {salvor.added / max(run.added, 1):.2f} × bytes")


def backups(cluster, folder, config, kind):
    """One backup by each, in turn. Those of the server's own program are whole each time."""
    vault, repository, tars = (os.path.join(folder, name) for name in ("vault", "repository", "tars"))
    runs = {"Salvor": measured(cluster, [*SALVOR, "backup", "pg", "--config", config, "--quiet"], vault)}
    for name, options in (("pg_basebackup", []), ("pg_basebackup with zstd", ["--compress=server-zstd:3"])):
        shutil.rmtree(tars, ignore_errors=True)
        os.makedirs(tars)
        command = [f"{cluster.bin}/pg_basebackup", *cluster.connection, "-Ft", "-X", "fetch", "--checkpoint=fast", "-D", tars, *options]
        runs[name] = measured(cluster, command, tars)
    shutil.rmtree(tars)
    if PGBACKREST:
        runs["pgBackRest"] = measured(cluster, pgbackrest(folder, f"--type={kind}", "backup"), repository)
    return runs


def restored(folder, name, command, data, digest):
    """From nothing to accepting queries."""
    cluster = Cluster(data, RESTORED_PORT, folder)
    started = time.perf_counter()
    run = Timed(command)
    with open(f"{data}/postgresql.auto.conf", "a") as file:
        file.write(f"port = {RESTORED_PORT}\narchive_mode = off\n")
    cluster.start()
    cluster.wait()
    run.seconds, run.cpu, run.added = time.perf_counter() - started, run.cpu + cluster.cpu(), 0
    if cluster.digest() != digest:
        raise SystemExit(f"{name} restored something else")
    cluster.stop()
    shutil.rmtree(data)
    return run


def cluster(folder, quick):
    """Backups of a cluster: the first, one of which a twentieth of the pages changed, one in which nothing did; and a restore."""
    if os.getuid() == 0:
        os.chmod(folder, 0o755)
        folder = os.path.join(folder, "cluster")
        os.makedirs(folder)
        shutil.chown(folder, "postgres", "postgres")
    server = made(folder, 10 if quick else 100)
    try:
        config = os.path.join(folder, "salvor.yaml")
        with open(config, "w") as file:
            file.write(f"destinations: {{ local: {{ type: file, path: {folder}/vault }} }}\nsources:\n"
                       f"  pg: {{ type: postgres, connection: 'host={folder} port={PORT} user=postgres dbname=postgres', to: [local] }}\n")
        if PGBACKREST:
            prepare_pgbackrest(folder)
        row("cluster: the data", f"{int(server.sql('select sum(pg_database_size(oid)) from pg_database')) / MIB:.0f} MiB")
        told("first backup", backups(server, folder, config, "full"), "aimed at 1.1 × time of pg_basebackup")
        server.sql("update pgbench_accounts set abalance = abalance + 1 where aid % 1220 = 7")
        told("a row on each 20th page changed", backups(server, folder, config, "incr"), "")
        told("unchanged", backups(server, folder, config, "incr"), "")
        digest = server.digest()
        runs = {"Salvor": restored(folder, "Salvor", [*SALVOR, "restore", "pg", "--config", config, "--output", f"{folder}/restored", "--quiet"],
                                   f"{folder}/restored", digest)}
        if PGBACKREST:
            subprocess.run(as_owner(["mkdir", "-m", "700", f"{folder}/other"]), check=True)
            runs["pgBackRest"] = restored(folder, "pgBackRest", pgbackrest(folder, f"--pg1-path={folder}/other", "restore"), f"{folder}/other", digest)
        told("restore, until it accepts queries", runs, "aimed at no more than pgBackRest takes")
    finally:
        server.stop()
