#!/usr/bin/env python3
"""An app that does exactly what a test tells it, through as many connections as the test names.

Each line on stdin is {"connection": name, "sql": text, "repeat": n, "path": file or null}; each answer is one line:
{"rows": [[...]], "seconds": s} of the last run, or {"error": text}. Connections are opened at their first use. The end of
stdin ends the app as a crash does, without closing anything; the statement "close" closes a connection in order.
"""

import json
import os
import sqlite3
import sys
import time


class App:
    def __init__(self, path, busy_timeout):
        self.path = path
        self.busy_timeout = busy_timeout
        self.connections = {}

    def connection(self, name):
        if name not in self.connections:
            self.connections[name] = sqlite3.connect(
                self.path, timeout=self.busy_timeout, isolation_level=None, cached_statements=256)
        return self.connections[name]

    def do(self, request):
        if request["sql"] == "close":
            self.connections.pop(request["connection"]).close()
            return []
        connection = self.connection(request["connection"])
        rows = []
        for i in range(request["repeat"]):
            # Where a statement has a parameter, it is the number of the run.
            parameters = (i,) if "?" in request["sql"] else ()
            rows = connection.execute(request["sql"], parameters).fetchall()
        return rows


def main(path, busy_timeout):
    app = App(path, float(busy_timeout))
    for line in sys.stdin:
        started = time.perf_counter()
        try:
            answer = {"rows": app.do(json.loads(line))}
        except sqlite3.Error as error:
            answer = {"error": str(error)}
        answer["seconds"] = time.perf_counter() - started
        print(json.dumps(answer), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
