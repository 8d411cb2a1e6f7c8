"""The content of one writer's tables as a 128-bit number, kept in step by the writer and recomputed by the oracle.

The number is the sum, mod 2^128, of one hash per row and one hash per schema entry. A sum does not depend on order, so a
writer can add and take away rows as it changes them, from the values that it sent and not from what SQLite gives back,
while the oracle reads everything from scratch. If the two agree, the tables hold exactly those rows.
"""

import hashlib
import struct

MASK = (1 << 128) - 1

# Columns are told apart by their declared type only: a value of another type would be converted by its affinity.
KINDS = ("INTEGER", "TEXT", "BLOB", "REAL")


def prefix_of(writer):
    return f"w{writer}_"


def hash_of(label, values):
    parts = [b"%d:%s" % (len(label), label)]
    for value in values:
        if value is None:
            parts.append(b"n")
        elif isinstance(value, int):
            parts.append(b"i%d;" % value)
        elif isinstance(value, float):
            parts.append(b"f" + struct.pack("<d", value))
        elif isinstance(value, str):
            encoded = value.encode()
            parts.append(b"s%d:%s" % (len(encoded), encoded))
        else:
            parts.append(b"b%d:" % len(value))
            parts.append(value)
    return int.from_bytes(hashlib.blake2b(b"".join(parts), digest_size=16).digest(), "little")


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def schema_digest(db, prefix):
    """Which tables, indexes and views exist, and how they are declared."""
    entries = db.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE tbl_name GLOB ?", (prefix + "*",))
    return sum(hash_of(b"schema", entry) for entry in entries) & MASK


def table_names(db, prefix):
    return [name for name, in db.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB ? ORDER BY name", (prefix + "*",))]


def digest_of(db, writer):
    """The digest of a writer's tables as they are in the database, and how many rows they have."""
    prefix = prefix_of(writer)
    total, count = schema_digest(db, prefix), 0
    for name in table_names(db, prefix):
        label = name.encode()
        for row in db.execute(f"SELECT * FROM {quoted(name)}"):
            total += hash_of(label, row)
            count += 1
    return total & MASK, count


class Table:
    """What a writer knows of one of its tables: the columns, and the hash of every row by its id."""

    def __init__(self, db, name):
        self.name = name
        self.columns = [(row[1], row[2]) for row in db.execute(f"PRAGMA table_info({quoted(name)})")]
        marks = ", ".join("?" for _ in self.columns)
        self.insert_sql = f"INSERT INTO {quoted(name)} VALUES ({marks})"
        self.update_sql = "UPDATE {} SET {} WHERE id = ?".format(
            quoted(name), ", ".join(f"{quoted(column)} = ?" for column, _ in self.columns[1:]))
        self.delete_sql = f"DELETE FROM {quoted(name)} WHERE id = ?"
        self.hashes = {}
        self.ids = []
        self.slots = {}
        self.total = 0
        for row in db.execute(f"SELECT * FROM {quoted(name)}"):
            self.note(row)

    def __len__(self):
        return len(self.ids)

    def note(self, row):
        """Takes a row, new or changed, into the digest."""
        key, value = row[0], hash_of(self.name.encode(), row)
        if key in self.hashes:
            self.total -= self.hashes[key]
        else:
            self.slots[key] = len(self.ids)
            self.ids.append(key)
        self.hashes[key] = value
        self.total = (self.total + value) & MASK

    def forget(self, key):
        self.total = (self.total - self.hashes.pop(key)) & MASK
        slot, last = self.slots.pop(key), self.ids.pop()
        if last != key:
            self.ids[slot] = last
            self.slots[last] = slot

    def insert(self, db, rows):
        db.executemany(self.insert_sql, rows)
        for row in rows:
            self.note(row)

    def update(self, db, rows):
        db.executemany(self.update_sql, [row[1:] + row[:1] for row in rows])
        for row in rows:
            self.note(row)

    def delete(self, db, keys):
        db.executemany(self.delete_sql, [(key,) for key in keys])
        for key in keys:
            self.forget(key)

    def clear(self, db):
        db.execute(f"DELETE FROM {quoted(self.name)}")
        self.hashes, self.ids, self.slots, self.total = {}, [], {}, 0


class Content:
    """All tables of one writer."""

    def __init__(self, db, writer):
        self.prefix = prefix_of(writer)
        self.tables = {name: Table(db, name) for name in table_names(db, self.prefix)}
        self.schema = schema_digest(db, self.prefix)

    @property
    def digest(self):
        return (self.schema + sum(table.total for table in self.tables.values())) & MASK

    def redeclare(self, db, sql, *changed):
        """Runs a schema change and reads the named tables anew, because their rows may have other columns now."""
        db.execute(sql)
        self.schema = schema_digest(db, self.prefix)
        existing = set(table_names(db, self.prefix))
        for name in changed:
            self.tables.pop(name, None)
            if name in existing:
                self.tables[name] = Table(db, name)
