"""The same filters by DuckDB, Polars and chDB, in memory, warm, in CPU milliseconds.

Two ways each: over tables of events sorted by time, and over one wide table that has, for each
customer, the latest, second latest ... moment of each event ("as ours").
"""

import json
import resource
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

FOLDER = Path(sys.argv[1])
ASKED = json.loads((FOLDER / "question.json").read_text())
NOW, RUNS, EVENTS = ASKED["now"], ASKED["runs"], ASKED["events"]
DAY = 86_400_000
NEVER = 0


def cpu_ms():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return (used.ru_utime + used.ru_stime) * 1000


def columns():
    def read(name, kind):
        return np.fromfile(FOLDER / name, dtype=kind)

    plan, country, domain = (read(name, "u1") for name in ("plan", "country", "domain"))
    numbers = np.arange(len(plan))
    domains = np.array(ASKED["domains"], dtype=object)[domain]
    customers = {
        "plan": np.array(ASKED["plans"], dtype=object)[plan],
        "country": np.array(ASKED["countries"], dtype=object)[country],
        "age": read("age", "u1"),
        "value": read("value", "<f8"),
        "newsletter": read("newsletter", "u1").astype(bool),
        "created_at": read("created_at", "<i8"),
        "email": [f"user{number}@{domain}" for number, domain in zip(numbers, domains)],
    }
    events = {name: (read(f"{name}.customer", "<u4"), read(f"{name}.at", "<i8")) for name in EVENTS}
    return customers, events


def leaves(condition):
    if "conditions" in condition and condition["kind"] in ("all", "any", "none"):
        for inner in condition["conditions"]:
            yield from leaves(inner)
    elif condition["kind"] == "event":
        yield condition


def bounds(test):
    """The least and the most a count allows."""
    kind = test["count"]["kind"]
    n = test["count"].get("n", 0)
    return {
        "exactly": (n, n),
        "at_least": (n, None),
        "at_most": (0, n),
        "between": (test["count"].get("min"), test["count"].get("max")),
    }[kind]


def window_of(condition):
    return NOW - condition["window"]["amount"] * DAY


def ranks():
    """Which latest moments the filters need, as ours lays them out when it is asked."""
    wanted = {name: {1} for name in EVENTS}
    for filter in ASKED["filters"]:
        for leaf in leaves(filter):
            least, most = bounds(leaf["test"])
            wanted[leaf["event"]] |= {n for n in (least, None if most is None else most + 1) if n}
    return wanted


def latest(customers, at, count, n):
    """The n-th latest moment of each customer; events come sorted by customer and time."""
    result = np.zeros(count, dtype="i8")
    ends = np.searchsorted(customers, np.arange(count), side="right")
    starts = np.searchsorted(customers, np.arange(count), side="left")
    has = ends - starts >= n
    result[has] = at[ends[has] - n]
    return result


class Sql:
    """Conditions in SQL. `wide`: over the moments; else over joined counts."""

    def __init__(self, wide, ends_with):
        self.wide, self.ends_with, self.joined = wide, ends_with, {}

    def leaf(self, c):
        if c["kind"] == "event":
            return self.event(c)
        key, test = c.get("attribute"), c["test"]
        kind, value = test["kind"], test.get("value")
        if kind == "is":
            return f"{key} = '{value}'"
        if kind == "is_not":
            return f"{key} <> '{value}'"
        if kind == "is_any_of":
            return f"{key} IN ({', '.join(repr(one) for one in test['values'])})"
        if kind == "between":
            return f"({key} >= {test['min']} AND {key} <= {test['max']})"
        if kind == "at_least":
            return f"{key} >= {value}"
        if kind == "is_true":
            return key
        if kind == "less_than_ago":
            return f"({key} > {NOW - test['amount'] * DAY} AND {key} <= {NOW})"
        if kind == "more_than_ago":
            return f"{key} <= {NOW - test['amount'] * DAY}"
        if kind == "ends_with":
            return self.ends_with(key, value)
        raise ValueError(kind)

    def event(self, c):
        least, most = bounds(c["test"])
        after, name = window_of(c), c["event"]
        if self.wide:
            parts = [f"{name}_{least} > {after}"] if least else []
            parts += [f"{name}_{most + 1} <= {after}"] if most is not None else []
            return "(" + " AND ".join(parts) + ")"
        self.joined[(name, after)] = column = f"n_{name}_{c['window']['amount']}"
        parts = [f"coalesce({column}, 0) >= {least}"] if least else []
        parts += [f"coalesce({column}, 0) <= {most}"] if most is not None else []
        return "(" + " AND ".join(parts) + ")"

    def whole(self, c, lines, depth=0):
        kind = c["kind"]
        if kind not in ("all", "any", "none"):
            return self.leaf(c)
        parts, so_far = [], []
        for inner in c["conditions"]:
            place = len(lines)
            lines.append(None)
            text = self.whole(inner, lines, depth + 1)
            parts.append(text)
            lines[place] = [text]
            if depth == 0 and kind == "all":
                so_far.append(text)
                lines[place].append(" AND ".join(so_far))
        joiner = " AND " if kind == "all" else " OR "
        text = "(" + joiner.join(parts) + ")"
        return f"(NOT {text})" if kind == "none" else text

    def query(self, filter, count_if):
        lines = []
        matched = self.whole(filter, lines)
        wanted = [matched] + [text for line in lines for text in line]
        select = ", ".join(f"{count_if(text)} AS c{place}" for place, text in enumerate(wanted))
        query = f"SELECT {select} FROM customers"
        for name, after in self.joined:
            days = (NOW - after) // DAY
            query += (
                f" LEFT JOIN (SELECT customer AS k_{name}_{days}, count(*) AS n_{name}_{days} FROM events_{name}"
                f" WHERE moment > {after} AND moment <= {NOW} GROUP BY customer) t_{name}_{days}"
                f" ON customers.id = k_{name}_{days}"
            )
        self.joined = {}
        return query


def polars_plan(filter, wide, frames):
    import polars as pl

    joined = {}

    def leaf(c):
        if c["kind"] == "event":
            least, most = bounds(c["test"])
            after, name = window_of(c), c["event"]
            if wide:
                answer = pl.col(f"{name}_{least}") > after if least else pl.lit(True)
                return answer & (pl.col(f"{name}_{most + 1}") <= after) if most is not None else answer
            column = f"n_{name}_{c['window']['amount']}"
            joined[(name, after)] = column
            count = pl.col(column).fill_null(0)
            answer = count >= least if least else pl.lit(True)
            return answer & (count <= most) if most is not None else answer
        key, test = pl.col(c["attribute"]), c["test"]
        kind, value = test["kind"], test.get("value")
        if kind == "is":
            return key == value
        if kind == "is_not":
            return key != value
        if kind == "is_any_of":
            return key.is_in(test["values"])
        if kind == "between":
            return (key >= test["min"]) & (key <= test["max"])
        if kind == "at_least":
            return key >= value
        if kind == "is_true":
            return key
        if kind == "less_than_ago":
            return (key > NOW - test["amount"] * DAY) & (key <= NOW)
        if kind == "more_than_ago":
            return key <= NOW - test["amount"] * DAY
        if kind == "ends_with":
            return key.str.ends_with(value)
        raise ValueError(kind)

    def whole(c, lines, depth=0):
        kind = c["kind"]
        if kind not in ("all", "any", "none"):
            return leaf(c)
        answer, so_far = None, None
        for inner in c["conditions"]:
            place = len(lines)
            lines.append(None)
            own = whole(inner, lines, depth + 1)
            lines[place] = [own]
            answer = own if answer is None else (answer & own if kind == "all" else answer | own)
            if depth == 0 and kind == "all":
                so_far = own if so_far is None else so_far & own
                lines[place].append(so_far)
        return ~answer if kind == "none" else answer

    lines = []
    matched = whole(filter, lines)
    wanted = [matched] + [own for line in lines for own in line]
    counts = [own.sum().alias(f"c{place}") for place, own in enumerate(wanted)]
    frame = frames["customers"].lazy()
    for (name, after), column in joined.items():
        counted = (
            frames[name].lazy().filter((pl.col("moment") > after) & (pl.col("moment") <= NOW))
            .group_by("customer").agg(pl.len().alias(column))
        )
        frame = frame.join(counted, left_on="id", right_on="customer", how="left")
    plan = frame.select(counts)
    if joined:
        return lambda: list(plan.collect().row(0))
    eager = frames["customers"]
    # Whichever is faster.
    both = [lambda: list(plan.collect().row(0)), lambda: list(eager.select(counts).row(0))]
    spent = []
    for way in both:
        way()
        before = cpu_ms()
        for _ in range(5):
            way()
        spent.append(cpu_ms() - before)
    return both[spent.index(min(spent))]


def measure(name, ways):
    answers = []
    for way in ways:
        counts = way()
        way()
        ms, wall = [], []
        for _ in range(RUNS):
            before, began = cpu_ms(), time.perf_counter()
            # So that the clock of the kernel is fine enough.
            way()
            wall.append((time.perf_counter() - began) * 1000)
            ms.append(cpu_ms() - before)
        answers.append({"counts": [int(count or 0) for count in counts], "ms": ms, "wall": wall})
        print(f"    {name:<26} {statistics.median(ms):8.2f} ms of CPU", flush=True)
    return {"name": name, "answers": answers}


def duckdb_engines(customers, events, wide):
    import duckdb

    engines = []
    db = duckdb.connect()
    table = pa.table({key: pa.array(value) for key, value in {**customers, **wide}.items()})
    table = table.append_column("id", pa.array(np.arange(len(customers["plan"]), dtype="u4")))
    db.register("arrow_customers", table)
    for key in ("plan", "country"):
        db.execute(f"CREATE TYPE {key}_type AS ENUM (SELECT DISTINCT {key} FROM arrow_customers)")
    db.execute(
        "CREATE TABLE customers AS SELECT * REPLACE (plan::plan_type AS plan,"
        " country::country_type AS country) FROM arrow_customers"
    )
    for name, (ids, at) in events.items():
        db.register("arrow_events", pa.table({"customer": ids, "moment": at}))
        db.execute(f"CREATE TABLE events_{name} AS SELECT * FROM arrow_events ORDER BY moment")
        db.unregister("arrow_events")
    ends = lambda key, value: f"ends_with({key}, '{value}')"
    for threads in (1, None):
        if threads:
            db.execute(f"SET threads = {threads}")
        else:
            db.execute("RESET threads")
        for is_wide in (False, True):
            sql = Sql(is_wide, ends)
            queries = [sql.query(one, lambda text: f"count(*) FILTER (WHERE {text})") for one in ASKED["filters"]]
            ways = [lambda query=query: list(db.execute(query).fetchone()) for query in queries]
            engines.append(measure(label("DuckDB", is_wide, threads), ways))
    db.close()
    return engines


def label(name, wide, threads):
    return f"{name}{', as ours' if wide else ''}, {threads or 'all'} thread{'s' if not threads else ''}"


def polars_engine(customers, events, wide, threads):
    import polars as pl

    frame = pl.DataFrame({**customers, **wide})
    frame = frame.with_columns(
        pl.col("plan").cast(pl.Enum(ASKED["plans"])),
        pl.col("country").cast(pl.Enum(sorted(set(ASKED["countries"])))),
        pl.int_range(pl.len(), dtype=pl.UInt32).alias("id"),
    )
    frames = {"customers": frame.rechunk()}
    for name, (ids, at) in events.items():
        frames[name] = pl.DataFrame({"customer": ids, "moment": at}).sort("moment")
    engines = []
    for is_wide in (False, True):
        ways = [polars_plan(one, is_wide, frames) for one in ASKED["filters"]]
        engines.append(measure(label("Polars", is_wide, threads), ways))
    return engines


def chdb_engines(customers, events, wide):
    from chdb import session

    db = session.Session()
    db.query("CREATE DATABASE bench ENGINE = Atomic")
    db.query("USE bench")
    names = {"age": "UInt8", "value": "Float64", "newsletter": "Bool", "created_at": "Int64",
             "email": "String", "plan": "LowCardinality(String)", "country": "LowCardinality(String)"}
    fields = {"id": "UInt32", **{key: names.get(key, "Int64") for key in {**customers, **wide}}}
    table = {"id": np.arange(len(customers["plan"]), dtype="u4"), **customers, **wide}
    for key in ("plan", "country", "email"):
        table[key] = pa.array(table[key])
    into(db, "customers", fields, pa.table(table), "")
    for name, (ids, at) in events.items():
        fields = {"customer": "UInt32", "moment": "Int64"}
        into(db, f"events_{name}", fields, pa.table({"customer": ids, "moment": at}), "ORDER BY moment")
    ends = lambda key, value: f"endsWith({key}, '{value}')"
    engines = []
    for threads in (1, None):
        for is_wide in (False, True):
            sql = Sql(is_wide, ends)
            queries = [sql.query(one, lambda text: f"countIf({text})") for one in ASKED["filters"]]
            if threads:
                queries = [f"{query} SETTINGS max_threads = {threads}" for query in queries]
            ways = [
                lambda query=query: [int(c) for c in str(db.query(query, "CSV")).strip().split(",")]
                for query in queries
            ]
            engines.append(measure(label("chDB", is_wide, threads), ways))
    db.close()
    return engines


def into(db, name, fields, table, order):
    import pyarrow.parquet as parquet

    path = FOLDER / f"{name}.parquet"
    parquet.write_table(table, path)
    columns = ", ".join(f"{key} {kind}" for key, kind in fields.items())
    db.query(f"CREATE TABLE bench.{name} ({columns}) ENGINE = Memory")
    db.query(f"INSERT INTO bench.{name} ({', '.join(fields)}) SELECT {', '.join(fields)} FROM file('{path}', Parquet) {order}")
    path.unlink()


def load():
    customers, events = columns()
    wide = {}
    for name, wanted in ranks().items():
        for n in sorted(wanted):
            wide[f"{name}_{n}"] = latest(*events[name], len(customers["plan"]), n)
    return customers, events, wide


def main():
    import os
    import subprocess

    # Polars fixes its threads when it is loaded, so each engine has a process of its own.
    if len(sys.argv) > 2:
        which, threads = sys.argv[2], int(sys.argv[3]) or None
        customers, events, wide = load()
        engines = {
            "duckdb": lambda: duckdb_engines(customers, events, wide),
            "polars": lambda: polars_engine(customers, events, wide, threads),
            "chdb": lambda: chdb_engines(customers, events, wide),
        }[which]()
        (FOLDER / f"{which}-{threads or 0}.json").write_text(json.dumps(engines))
        return
    engines = []
    for which, threads in (("duckdb", 0), ("polars", 1), ("polars", 0), ("chdb", 0)):
        limits = {"POLARS_MAX_THREADS": str(threads)} if threads else {}
        command = [sys.executable, __file__, str(FOLDER), which, str(threads)]
        subprocess.run(command, check=True, env={**os.environ, **limits})
        engines += json.loads((FOLDER / f"{which}-{threads}.json").read_text())
    from importlib.metadata import version

    versions = ", ".join(f"{name} {version(name)}" for name in ("duckdb", "polars", "chdb"))
    answer = {"engines": engines, "versions": f"Measured beside {versions}."}
    (FOLDER / "answer.json").write_text(json.dumps(answer))


main()
