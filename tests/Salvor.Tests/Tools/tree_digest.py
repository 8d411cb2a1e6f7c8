#!/usr/bin/env python3
"""tree_digest.py DIRECTORY: prints the SHA-256 of what a directory holds: a line for each name in it in the order of their bytes, with
all that a backup keeps. Whoever has the same lines from elsewhere has the same tree."""
import hashlib
import os
import stat
import sys

KINDS = {stat.S_IFDIR: "directory", stat.S_IFREG: "file", stat.S_IFLNK: "link", stat.S_IFIFO: "pipe", stat.S_IFCHR: "character",
         stat.S_IFBLK: "block", stat.S_IFSOCK: "socket"}


def line(path, kind, permissions, user, group, modified, attributes, own):
    """Of a file `own` is the SHA-256 of its content, of a link its target in hexadecimal, of a device MAJOR:MINOR; else it is empty."""
    permissions = "" if kind == "link" else f"{permissions:o}"
    attributes = ",".join(f"{name.hex()}={value.hex()}" for name, value in sorted(attributes))
    return f"{path.hex()} {kind} {permissions} {user} {group} {modified} {attributes} {own}"


def further_name(path, first):
    """The line of a further name of a file whose first name is another."""
    return f"{path.hex()} is {first.hex()}"


def digest(lines):
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def lines_of(directory, above=b"", names=None):
    names = {} if names is None else names
    for name in sorted(os.listdir(directory)):
        place, path = os.path.join(directory, name), above + b"/" + name
        found = os.lstat(place)
        kind = KINDS[stat.S_IFMT(found.st_mode)]
        first = names.setdefault((found.st_dev, found.st_ino), path)
        if kind != "directory" and first != path:
            yield further_name(path, first)
            continue
        attributes = [(key, os.getxattr(place, key, follow_symlinks=False)) for key in os.listxattr(place, follow_symlinks=False)]
        own = ""
        if kind == "file":
            with open(place, "rb") as file:
                own = hashlib.sha256(file.read()).hexdigest()
        elif kind == "link":
            own = os.readlink(place).hex()
        elif kind in ("character", "block"):
            own = f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"
        yield line(path, kind, stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid, found.st_mtime_ns,
                   [(os.fsencode(key), value) for key, value in attributes], own)
        if kind == "directory":
            yield from lines_of(place, path, names)


if __name__ == "__main__":
    print(digest(lines_of(os.fsencode(sys.argv[1]))))
