"""What the transactions of a workload do. Each function is the body of one transaction."""

from content import KINDS, quoted

# Text and compressible blobs are cut from here: making them letter by letter would be slower than SQLite.
PROSE = ("the ledger is kept outside of what it judges so that one fault cannot change both; " * 1024)


class Body:
    """The writer's hand: makes rows and changes tables, all chance from one generator."""

    def __init__(self, db, content, rng, rows_max):
        self.db = db
        self.content = content
        self.rng = rng
        self.rows_max = rows_max
        self.names = 0

    def table(self, suffix, create=True):
        name = self.content.prefix + suffix
        if name not in self.content.tables and create:
            self.content.redeclare(
                self.db, f"CREATE TABLE {quoted(name)} (id INTEGER PRIMARY KEY, k INTEGER, s TEXT, b BLOB)", name)
            if suffix == "main":
                self.content.redeclare(self.db, f"CREATE INDEX {quoted(name + '_k')} ON {quoted(name)} (k)")
        return self.content.tables.get(name)

    def value(self, kind, size):
        rng = self.rng
        if rng.random() < 0.04:
            return None
        if kind == "INTEGER":
            return rng.getrandbits(rng.choice((1, 8, 16, 32, 62)))
        if kind == "REAL":
            return rng.random()
        start = rng.randrange(1024)
        if kind == "TEXT":
            return PROSE[start:start + rng.randrange(80)]
        # Two thirds cannot be compressed; the rest is what most databases are full of.
        return rng.randbytes(size) if rng.random() < 0.67 else (PROSE[start:] * (size // 60000 + 1))[:size].encode()

    def row(self, table, key, size):
        return (key, *(self.value(kind, size) for _, kind in table.columns[1:]))

    def new_key(self, table):
        # Appending and scattered inserts touch pages in different ways.
        key = max(table.ids[-1], len(table)) + 1 if table.ids and self.rng.random() < 0.6 else self.rng.randrange(1, 1 << 40)
        while key in table.hashes:
            key = self.rng.randrange(1, 1 << 40)
        return key

    def new_rows(self, table, count, size):
        keys = set()
        while len(keys) < count:
            keys.add(self.new_key(table) if len(keys) == 0 else self.rng.randrange(1, 1 << 40))
        return [self.row(table, key, size()) for key in keys if key not in table.hashes]

    def some_ids(self, table, count):
        return self.rng.sample(table.ids, min(count, len(table.ids)))


def change_rows(body, table, count, size):
    """Inserts, updates and deletes that keep a table around its largest number of rows."""
    for _ in range(count):
        chance = body.rng.random()
        full = len(table) / body.rows_max
        if not table.ids or chance < 0.5 * (1 - full) + 0.1:
            table.insert(body.db, [body.row(table, body.new_key(table), size())])
        elif chance < 0.8 and full < 1:
            table.update(body.db, [body.row(table, key, size()) for key in body.some_ids(table, 1)])
        else:
            table.delete(body.db, body.some_ids(table, 1))


def small(body):
    change_rows(body, body.table("main"), body.rng.randint(1, 3), lambda: body.rng.randrange(200))


def several(body):
    change_rows(body, body.table("main"), body.rng.randint(10, 60), lambda: body.rng.randrange(600))


def overflow(body):
    """Rows that need overflow pages, up to 400 KB in one value."""
    table = body.table("blob")
    if len(table) > 40:
        table.delete(body.db, body.some_ids(table, 25))
    change_rows(body, table, 2, lambda: body.rng.choice((3000, 9000, 60000, 130000, 400000)))


def bulk(body):
    """Thousands of rows in one transaction, a few megabytes."""
    table = body.table("bulk")
    if len(table) > 6000:
        table.clear(body.db)
    table.insert(body.db, body.new_rows(table, body.rng.randint(1000, 3000), lambda: body.rng.randrange(900)))


def big(body):
    """Tens of megabytes in one transaction: filled, rewritten and emptied in turn."""
    table = body.table("big")
    if len(table) == 0:
        table.insert(body.db, body.new_rows(table, body.rng.randint(3000, 8000), lambda: body.rng.randrange(500, 6000)))
    elif body.rng.random() < 0.4:
        table.update(body.db, [body.row(table, key, body.rng.randrange(500, 6000)) for key in table.ids])
    elif body.rng.random() < 0.5:
        table.delete(body.db, body.some_ids(table, len(table) * 9 // 10))
    else:
        table.clear(body.db)
        table.insert(body.db, [body.row(table, 1, 12_000_000)])
        table.insert(body.db, body.new_rows(table, 200, lambda: 2000))


def schema(body):
    """One change of the schema, on tables that come and go."""
    extra = sorted(name for name in body.content.tables if "_x" in name)
    body.names += 1
    fresh = f"{body.content.prefix}x{body.rng.getrandbits(30):x}_{body.names}"
    if len(extra) < 2 or (len(extra) < 6 and body.rng.random() < 0.3):
        create_table(body, fresh)
    else:
        alter_table(body, body.rng.choice(extra), fresh)


def create_table(body, name):
    tail = body.rng.choice((")", ") WITHOUT ROWID", ", UNIQUE (id, k))"))
    body.content.redeclare(
        body.db, f"CREATE TABLE {quoted(name)} (id INTEGER PRIMARY KEY, k INTEGER, s TEXT, b BLOB{tail}", name)
    table = body.content.tables[name]
    table.insert(body.db, body.new_rows(table, body.rng.randint(0, 200), lambda: body.rng.randrange(300)))


def alter_table(body, name, fresh):
    content, rng, db = body.content, body.rng, body.db
    table = quoted(name)
    added = [column for column, _ in content.tables[name].columns if column.startswith("c")]
    choice = rng.random()
    if choice < 0.2:
        content.redeclare(db, f"DROP TABLE {table}", name)
    elif choice < 0.4 and len(added) < 5:
        column = f"c{body.names}_{rng.getrandbits(20)} {rng.choice(KINDS)}{rng.choice(('', ' DEFAULT 7'))}"
        content.redeclare(db, f"ALTER TABLE {table} ADD COLUMN {column}", name)
    elif choice < 0.5 and added:
        content.redeclare(db, f"ALTER TABLE {table} DROP COLUMN {added[0]}", name)
    elif choice < 0.6 and added:
        content.redeclare(db, f"ALTER TABLE {table} RENAME COLUMN {added[0]} TO {added[0]}r", name)
    elif choice < 0.7:
        content.redeclare(db, f"ALTER TABLE {table} RENAME TO {quoted(fresh)}", name, fresh)
    elif choice < 0.85:
        content.redeclare(db, f"CREATE INDEX {quoted('i' + fresh)} ON {table} (s, k)")
    else:
        indexes = db.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL AND tbl_name = ?", (name,)).fetchall()
        for index, in indexes:
            content.redeclare(db, f"DROP INDEX {quoted(index)}")
        change_rows(body, content.tables[name], 5, lambda: rng.randrange(300))


def mass_delete(body):
    """Free pages for VACUUM and auto_vacuum to give back."""
    bulk(body)
    table = body.table("bulk")
    table.delete(body.db, body.some_ids(table, len(table) * 3 // 4))


# The weights of the bodies, and how often and how long (seconds) a writer rests between two transactions.
PROFILES = {
    "small": ([(small, 1)], 0, 0),
    "mixed": ([(small, 800), (several, 120), (overflow, 50), (bulk, 10), (schema, 20)], 0.003, 0.5),
    "big": ([(big, 1), (small, 3)], 0, 0),
    "vacuum": ([(small, 30), (overflow, 3), (mass_delete, 1)], 0, 0),
    "schema": ([(schema, 1), (small, 1)], 0, 0),
    "idle": ([(small, 4), (several, 1)], 0.2, 1.5),
}


def pick(profile, rng):
    bodies, _, _ = PROFILES[profile]
    return rng.choices([body for body, _ in bodies], [weight for _, weight in bodies])[0]


def rest(profile, rng):
    _, chance, longest = PROFILES[profile]
    return rng.uniform(longest / 5, longest) if chance and rng.random() < chance else 0.0
