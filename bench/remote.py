"""A vault in a bucket: what it costs in requests and money, and how fast it is, near and at a distance. The service is Ceph's gateway on this
machine (tests/Salvor.Tests/Tools/ceph.sh); the distance is a proxy that passes everything on so much later."""

import asyncio
import collections
import os
import re
import socket
import subprocess
import threading
import time

from common import MIB, SALVOR, TOOLS, Replicating, Timed, make_database, percentile, row, workload

KEY, SECRET = "testkey", "testsecret"

# Dollars for one request, by kind, at list prices without volume discounts; storage and traffic come on top.
PRICES_AS_OF = "2025"
PRICES = {
    "Amazon S3 Standard, us-east-1": {"put": 0.005e-3, "list": 0.005e-3, "get": 0.0004e-3, "head": 0.0004e-3, "delete": 0},
    "Cloudflare R2": {"put": 4.5e-6, "list": 4.5e-6, "get": 0.36e-6, "head": 0.36e-6, "delete": 0},
}
DAYS_PER_MONTH = 30


class Service:
    """The gateway, and proxies in front of it; ends with the block."""

    def __init__(self, folder):
        self.port, *monitors = free_ports(3)
        self.script = subprocess.Popen(
            ["bash", os.path.join(TOOLS, "ceph.sh"), os.path.join(folder, "ceph"), str(self.port), *map(str, monitors)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self.script.stdout.readline() != b"ready\n":
            raise SystemExit("the gateway did not start; its packages are in ./test")
        os.environ.update(AWS_ACCESS_KEY_ID=KEY, AWS_SECRET_ACCESS_KEY=SECRET)
        self.buckets = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.script.stdin.close()
        self.script.wait()

    def bucket(self, port):
        """A new bucket, as a URL through a port."""
        self.buckets += 1
        name = f"bench-{self.buckets}"
        curl(self.port, name, "-X", "PUT")
        return f"s3://{name}?endpoint=http://127.0.0.1:{port}"

    def remove(self, url):
        """All memory of the gateway is this machine's."""
        name = url[5:].split("?")[0]
        while keys := re.findall("<Key>([^<]*)</Key>", curl(self.port, f"{name}?list-type=2").output):
            for key in keys:
                curl(self.port, f"{name}/{key}", "-X", "DELETE")


class Proxy:
    """Passes bytes on after a time, each way half of it, without holding more back than what is on its way. Counts requests."""

    REQUEST = re.compile(rb"^(PUT|GET|HEAD|DELETE) (\S+) HTTP/1.1\r\n")

    def __init__(self, port, round_trip_ms=0):
        self.target, self.delay, self.counts = port, round_trip_ms / 2000, collections.Counter()
        self.loop = asyncio.new_event_loop()
        started = threading.Event()
        threading.Thread(target=self._run, args=(started,), daemon=True).start()
        started.wait()

    def _run(self, started):
        async def serve():
            server = await asyncio.start_server(self._connect, "127.0.0.1", 0, limit=MIB)
            self.port = server.sockets[0].getsockname()[1]
            started.set()
            await server.serve_forever()
        self.loop.run_until_complete(serve())

    async def _connect(self, reader, writer):
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target, limit=MIB)
        for end in (writer, far_writer):
            end.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.gather(self._pass(reader, far_writer, True), self._pass(far_reader, writer, False))

    async def _pass(self, reader, writer, is_request):
        way = asyncio.Queue(64)

        async def deliver():
            while (item := await way.get()) is not None:
                due, data = item
                if (left := due - self.loop.time()) > 0:
                    await asyncio.sleep(left)
                writer.write(data)
                await writer.drain()

        delivering = asyncio.ensure_future(deliver())
        try:
            while data := await reader.read(256 << 10):
                if is_request and (request := self.REQUEST.match(data)):
                    self._count(*request.groups())
                await way.put((self.loop.time() + self.delay, data))
            await way.put(None)
            await delivering
        except ConnectionError:
            delivering.cancel()
        writer.close()

    def _count(self, method, target):
        kind = "list" if method == b"GET" and b"list-type=2" in target else method.decode().lower()
        self.counts[kind] += 1


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for item in sockets:
        item.bind(("127.0.0.1", 0))
    ports = [item.getsockname()[1] for item in sockets]
    for item in sockets:
        item.close()
    return ports


def curl(port, path, *options):
    return Timed(["curl", "-sSf", "--aws-sigv4", "aws:amz:us-east-1:s3", "--user", f"{KEY}:{SECRET}",
                  "-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD", *options,
                  f"http://127.0.0.1:{port}/{path}"])


def requests(folder, quick):
    """What a day costs, from some minutes of it; the first minutes, in which the vault is made, do not count."""
    seconds = 90 if quick else 300
    with Service(folder) as service:
        for rate in (0, 1, 500):
            proxy = Proxy(service.port)
            database, ledger = (os.path.join(folder, f"requests-{rate}.{end}") for end in ("db", "ledger"))
            workload(database, ledger, 1, 20)
            salvor = Replicating(database, service.bucket(proxy.port))
            salvor.sync()

            # Until the log of the beginning is merged.
            if rate == 0:
                time.sleep(130)
            proxy.counts.clear()
            started = time.perf_counter()
            if rate == 0:
                time.sleep(seconds)
            else:
                workload(database, ledger, seconds, rate)
            passed = time.perf_counter() - started
            day = {kind: count * 86400 / passed for kind, count in sorted(proxy.counts.items())}
            salvor.stop()
            prices = ", ".join(f"{name} ${sum(day.get(kind, 0) * price for kind, price in kinds.items()) * DAYS_PER_MONTH:.2f}"
                               for name, kinds in PRICES.items())
            row(f"requests a day, {'idle' if rate == 0 else f'{rate} commits/s'}",
                ", ".join(f"{count:.0f} {kind}" for kind, count in day.items()) or "none",
                f"a month of them at list prices of {PRICES_AS_OF}: {prices}")


def speed(folder, quick, mebibytes):
    """The same through a proxy with and without a distance, against one stream of curl through it."""
    database = os.path.join(folder, "remote.db")
    make_database(database, mebibytes)
    size = os.path.getsize(database) / MIB
    stream = os.path.join(folder, "stream")
    with open(stream, "wb") as file:
        for _ in range(64 if quick else 256):
            file.write(os.urandom(MIB))
    streamed = os.path.getsize(stream) / MIB
    seconds = {}
    with Service(folder) as service:
        for distance in (0, 30):
            proxy = Proxy(service.port, distance)
            bucket = service.bucket(proxy.port)[5:].split("?")[0]
            put = curl(proxy.port, f"{bucket}/stream", "-T", stream)
            get = curl(proxy.port, f"{bucket}/stream", "-o", os.devnull)
            curl(service.port, f"{bucket}/stream", "-X", "DELETE")
            copied, restored = copy_and_restore(folder, service, proxy, database)
            seconds[distance] = copied.seconds, restored.seconds
            where = f"{distance} ms away"
            row(f"first full copy of {size:.0f} MiB to S3, {where}", f"{copied.seconds:.2f} s, {size / copied.seconds:.0f} MiB/s",
                f"one stream of curl puts {streamed / put.seconds:.0f} MiB/s")
            row(f"its restore, proved and durable, {where}", f"{restored.seconds:.2f} s, {size / restored.seconds:.0f} MiB/s, "
                f"{restored.rss_mib:.0f} MiB resident", f"one stream of curl gets {streamed / get.seconds:.0f} MiB/s")
            latency(folder, service, proxy, where, 20 if quick else 100)
    row("what 30 ms cost", ", ".join(f"{name} × {far / near:.2f}" for name, near, far in zip(("copy", "restore"), *seconds.values())),
        "promised below 1.2")


def copy_and_restore(folder, service, proxy, database):
    url = service.bucket(proxy.port)
    name, endpoint = url[5:].split("?endpoint=")
    config = os.path.join(folder, f"{name}.yaml")
    with open(config, "w") as file:
        file.write(f"destinations: {{ there: {{ type: s3, bucket: {name}, endpoint: \"{endpoint}\" }} }}\n"
                   f"sources: {{ remote: {{ type: sqlite, path: {database}, state_dir: {folder}/{name}.state, to: [there] }} }}\n")
    copied = Timed([*SALVOR, "sync", "--config", config, "--quiet"])
    output = os.path.join(folder, "remote.restored")
    restored = Timed([*SALVOR, "restore", "--from", url, "--output", output, "--no-check", "--quiet"])
    if subprocess.run(["cmp", output, database]).returncode != 0:
        raise SystemExit("the restored file is another")
    os.remove(output)
    service.remove(url)
    return copied, restored


def latency(folder, service, proxy, where, times):
    """From the end of a commit until 'salvor sync' has answered, which includes the start of that process."""
    database, ledger = (os.path.join(folder, f"sync-{service.buckets}.{end}") for end in ("db", "ledger"))
    workload(database, ledger, 1, 20)
    salvor = Replicating(database, service.bucket(proxy.port))
    salvor.sync()
    start = percentile([Timed([*SALVOR, "version"]).seconds for _ in range(5)], 50)
    waits = []
    for _ in range(times):
        Timed(["sqlite3", database, "create table if not exists more(x); insert into more values (1)"])
        waits.append(Timed([*SALVOR, "sync", database, "--quiet"]).seconds - start)
    salvor.stop()
    row(f"commit and sync with a bucket {where}", f"p50 {1000 * percentile(waits, 50):.0f} ms, p99 {1000 * percentile(waits, 99):.0f} ms",
        f"{times} times, without the {1000 * start:.0f} ms of starting the command")
