"""The benchmark of codecs: a first copy and its restore by each, of the same database."""

import os
import shutil
import subprocess

from common import MIB, SALVOR, Timed, folder_bytes, make_database, row

DEFAULT = "zstd:1"
CODECS = (DEFAULT, "zstd:3", "zstd:9", "lz4", "gzip:1", "gzip", "none")


def codecs(folder, quick, mebibytes):
    """All codecs in every turn, so that what else the machine does meets them alike; of each its best."""
    database, restored = os.path.join(folder, "codecs.db"), os.path.join(folder, "restored.db")
    make_database(database, mebibytes)
    best = {}
    for _ in range(1 if quick else 3):
        for codec in CODECS:
            vault, config = os.path.join(folder, "codecs.vault"), os.path.join(folder, "codecs.yaml")
            with open(config, "w") as file:
                file.write(f"destinations: {{ here: {{ type: file, path: {vault} }} }}\n"
                           f"sources: {{ codecs: {{ type: sqlite, path: {database}, to: [here], compression: \"{codec}\" }} }}\n")
            shutil.rmtree(os.path.join(folder, ".salvor"), ignore_errors=True)
            copy = Timed([*SALVOR, "backup", "--config", config, "--quiet"])
            size = folder_bytes(vault)
            restore = Timed([*SALVOR, "restore", "--from", vault, "--output", restored, "--no-check", "--quiet"])
            assert subprocess.run(["cmp", restored, database]).returncode == 0, "the restored file is another"
            os.remove(restored)
            shutil.rmtree(vault)
            figures = (copy.seconds, copy.cpu, restore.seconds, restore.cpu)
            best[codec] = (size, *map(min, figures, best[codec][1:] if codec in best else figures))
    for codec, figures in best.items():
        size, copy, copy_cpu, restore, restore_cpu = (figure / other for figure, other in zip(figures, best[DEFAULT]))
        row(f"backup and restore of {os.path.getsize(database) / MIB:.0f} MiB with {codec}",
            f"{figures[0] / MIB:.0f} MiB; {figures[1]:.2f} s and {figures[3]:.2f} s",
            f"{size:.2f} × the bytes of {DEFAULT}; backup {copy:.2f} × its time, {copy_cpu:.2f} × its processor time; "
            f"restore {restore:.2f} × and {restore_cpu:.2f} ×")
