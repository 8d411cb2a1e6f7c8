#!/usr/bin/env python3
"""Changes a write-ahead log, or the shared memory beside it, as no SQLite of this machine would. Nobody may have it open.

  big-endian WAL        computes all checksums in the other byte order, as a big-endian machine writes them
  break-header WAL      damages the checksum of the header
  cut WAL FRAME         ends the file after a frame, as a power loss does that took the rest
  grow WAL PAGES        appends a commit of page 1 after which the database has so many pages more, which are in no frame
  torn SHM              makes the two copies of the header of the wal-index differ, as a writer does that dies between them
  info WAL              prints the number of valid frames and the page count of each commit, as JSON
"""

import json
import os
import struct
import sys

MAGIC, FRAME_HEADER, HEADER = 0x377F0682, 24, 32


def checksum(data, first, second, big_endian):
    words = struct.unpack((">" if big_endian else "<") + f"{len(data) // 4}I", data)
    for i in range(0, len(words), 2):
        first = (first + words[i] + second) & 0xFFFFFFFF
        second = (second + words[i + 1] + first) & 0xFFFFFFFF
    return first, second


class Log:
    def __init__(self, path):
        self.path = path
        with open(path, "rb") as file:
            data = file.read()
        self.magic, self.version, self.page_size, self.sequence = struct.unpack(">4I", data[:16])
        self.salts = data[16:24]
        self.frames = []
        size = FRAME_HEADER + self.page_size
        sums = checksum(data[:24], 0, 0, self.magic & 1)
        assert struct.pack(">2I", *sums) == data[24:32], "the header is damaged"
        for at in range(HEADER, len(data) - size + 1, size):
            frame = data[at:at + size]
            sums = checksum(frame[:8], *sums, self.magic & 1)
            sums = checksum(frame[FRAME_HEADER:], *sums, self.magic & 1)
            if frame[8:16] != self.salts or struct.pack(">2I", *sums) != frame[16:24]:
                break
            self.frames.append((*struct.unpack(">2I", frame[:8]), frame[FRAME_HEADER:]))

    def write(self, magic=None):
        self.magic = magic or self.magic
        head = struct.pack(">4I", self.magic, self.version, self.page_size, self.sequence) + self.salts
        sums = checksum(head, 0, 0, self.magic & 1)
        parts = [head, struct.pack(">2I", *sums)]
        for page, count, content in self.frames:
            start = struct.pack(">2I", page, count)
            sums = checksum(start, *sums, self.magic & 1)
            sums = checksum(content, *sums, self.magic & 1)
            parts += [start, self.salts, struct.pack(">2I", *sums), content]
        with open(self.path, "wb") as file:
            file.write(b"".join(parts))


def page_one(log):
    """The newest content of page 1: of the log, else of the database."""
    for page, _, content in reversed(log.frames):
        if page == 1:
            return content
    with open(log.path.removesuffix("-wal"), "rb") as file:
        return file.read(log.page_size)


def grow(log, pages):
    count = next(count for _, count, _ in reversed(log.frames) if count)
    content = bytearray(page_one(log))
    # The size that the header of the database names, at its offset 28, has to follow; nothing refers to the new pages.
    content[28:32] = struct.pack(">I", count + pages)
    log.frames.append((1, count + pages, bytes(content)))
    log.write()


def main(action, path, *rest):
    if action == "torn":
        with open(path, "r+b") as file:
            file.seek(56)
            word = file.read(4)
            file.seek(56)
            file.write(bytes(byte ^ 0xFF for byte in word))
    elif action == "break-header":
        with open(path, "r+b") as file:
            file.seek(24)
            file.write(b"\xde\xad\xbe\xef")
    else:
        log = Log(path)
        if action == "big-endian":
            log.write(MAGIC | 1)
        elif action == "cut":
            os.truncate(path, HEADER + int(rest[0]) * (FRAME_HEADER + log.page_size))
        elif action == "grow":
            grow(log, int(rest[0]))
        elif action == "info":
            print(json.dumps({"frames": len(log.frames), "commits": [count for _, count, _ in log.frames if count]}))
        else:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(*sys.argv[1:])
