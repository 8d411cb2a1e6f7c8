"""What it costs to ask how the sources fare: a check from a timer, and a daemon that Prometheus asks."""

import os
import re
import shutil
import signal
import sqlite3
import statistics
import subprocess
import time
import urllib.request

from common import SALVOR, interleaved, median_seconds, ratio, row

HELLO = """<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup>
    <OutputType>Exe</OutputType><TargetFramework>net10.0</TargetFramework><InvariantGlobalization>true</InvariantGlobalization>
  </PropertyGroup>
</Project>
"""


def hello(folder):
    """The least that a .NET program can do, built as Salvor is."""
    project = os.path.join(folder, "hello")
    os.makedirs(project)
    with open(os.path.join(project, "hello.csproj"), "w") as file:
        file.write(HELLO)
    with open(os.path.join(project, "Program.cs"), "w") as file:
        file.write('System.Console.WriteLine("hello");\n')
    subprocess.run(["dotnet", "build", project, "-c", "Release", "-v", "quiet", "-nologo", "-o", os.path.join(project, "out")],
                   check=True, stdout=subprocess.DEVNULL)
    return ["dotnet", os.path.join(project, "out", "hello.dll")]


def start(folder, quick):
    """A check every few minutes is a new process each time."""
    config, _ = many(folder, 1, metrics=False)
    commands = {"hello": hello(folder), "version": [*SALVOR, "version"], "help": [*SALVOR, "--help"],
                "status": [*SALVOR, "status", "--config", config]}
    runs = interleaved(5 if quick else 20, **commands)
    for name, promised in (("version", 120), ("help", 120), ("status", 100)):
        row(f"salvor {'--help' if name == 'help' else name}", f"{1000 * median_seconds(runs, name):.0f} ms",
            f"{ratio(runs, name, 'hello'):.2f} × a program that prints hello ({1000 * median_seconds(runs, 'hello'):.0f} ms); "
            f"promised {promised} ms")


def metrics(folder, quick):
    """All figures of many sources, as Prometheus asks for them."""
    count = 200 if quick else 1000
    config, vault = many(folder, count, metrics=True)
    daemon = subprocess.Popen([*SALVOR, "daemon", "--config", config], stderr=subprocess.PIPE, text=True)
    address = next(match.group(1) for line in daemon.stderr if (match := re.search(r"metrics: (\S+)", line)))
    while sum(os.path.exists(os.path.join(vault, "many", f"d{i:04}.db", "log", "000001", "0" * 15 + "1")) for i in range(count)) < count:
        time.sleep(0.2)
    time.sleep(5)
    times, text = [], ""
    for _ in range(30):
        started = time.perf_counter()
        text = urllib.request.urlopen(address).read().decode()
        times.append(time.perf_counter() - started)
    assert len(re.findall(r"^salvor_up", text, re.MULTILINE)) == count
    row(f"/metrics of {count} sources", f"{1000 * statistics.median(times):.0f} ms, {len(text) / 1024:.0f} KiB", "promised 50 ms for 1,000")
    daemon.send_signal(signal.SIGTERM)
    daemon.wait()


def many(folder, count, metrics):
    base, vault, config = (os.path.join(folder, f"asked-{count}{end}") for end in ("", ".vault", ".yaml"))
    os.makedirs(base)
    first = os.path.join(base, "d0000.db")
    database = sqlite3.connect(first, isolation_level=None)
    database.execute("pragma journal_mode=WAL")
    database.execute("create table t(a)")
    database.close()
    for i in range(1, count):
        shutil.copy(first, os.path.join(base, f"d{i:04}.db"))
    with open(config, "w") as file:
        file.write(f"destinations: {{ here: {{ type: file, path: {vault} }} }}\n"
                   f"sources:\n  many: {{ type: sqlite, paths: \"{base}/*.db\", to: [here] }}\n"
                   + ("metrics: { listen: 127.0.0.1:0 }\n" if metrics else ""))
    return config, vault
