"""The developer guide's own SQL, asked of real SQL engines: what the reports must equal.

reports.sql is the guide's monitoring section to the letter. PostgreSQL runs it so, with NOW()
standing still; where it is not installed, Python's own SQLite runs it with `NOW() - INTERVAL ...`
put in as a value, the one expression that it does not know.
"""

import csv
import io
import os
import re
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

import pytest

DAILY, DISTRIBUTION, ROBBERS = (
    (Path(__file__).parent / "reports.sql").read_text("utf-8").strip().removesuffix(";").split(";")
)
TIES = "ORDER BY heist_count DESC"
ROBBERS_WITHOUT_TIES = ROBBERS.replace(TIES, f"{TIES}, total_stolen DESC, u.id DESC")
"""The guide leaves the order of equals to chance."""

Row = tuple[str | None, ...]


@dataclass
class Records:
    """What the guide's tables would hold. Heists are id, attacker, points, status, moment."""

    heists: list[tuple[str, str, int, str, datetime]] = field(default_factory=list)
    balances: Mapping[str, int] = field(default_factory=dict)
    names: Mapping[str, str | None] = field(default_factory=dict)


class Database(Protocol):
    def ask(self, query: str, records: Records, now: datetime) -> list[Row]:
        """Rows of a query with NOW() at a moment; values as texts."""


_TABLES = """
CREATE TEMPORARY TABLE "Heist" (id text, attacker_id text, points_stolen int, status text,
                                created_at timestamp);
CREATE TEMPORARY TABLE "HeistToken" (user_id text, balance int);
CREATE TEMPORARY TABLE "User" (id text, name text);
"""


class SQLite:
    def ask(self, query: str, records: Records, now: datetime) -> list[Row]:
        days = re.findall(r"NOW\(\) - INTERVAL '(\d+) days'", query)
        since = [_text(now - timedelta(days=int(each))) for each in days]
        with sqlite3.connect(":memory:") as database:
            database.executescript(_TABLES)
            for table, rows in _rows(records).items():
                places = ", ".join("?" * len(rows[0])) if rows else ""
                database.executemany(f'INSERT INTO "{table}" VALUES ({places})', rows)
            found = database.execute(
                re.sub(r"NOW\(\) - INTERVAL '\d+ days'", "?", query), since
            ).fetchall()
        database.close()
        return [tuple(None if value is None else str(value) for value in row) for row in found]


class PostgreSQL:
    """A cluster of its own, reached by psql over a socket."""

    def __init__(self, programs: Path, home: Path, user: str | None) -> None:
        self._programs, self._home, self._user = programs, home, user

    def ask(self, query: str, records: Records, now: datetime) -> list[Row]:
        script = [
            "SET timezone = 'UTC';",
            _TABLES,
            "CREATE SCHEMA IF NOT EXISTS still;",
            "CREATE OR REPLACE FUNCTION still.now() RETURNS timestamptz LANGUAGE sql AS $$",
            f"SELECT timestamptz '{_text(now)}+00' $$;",
            "SET search_path = still, pg_catalog, public;",
        ]
        for table, rows in _rows(records).items():
            if rows:
                values = ", ".join(f"({', '.join(map(_literal, row))})" for row in rows)
                script.append(f'INSERT INTO "{table}" VALUES {values};')
        script += ["\\pset null '\\\\N'", f"{query};"]
        answer = self.run(
            "psql",
            "-XqAt",
            "--csv",
            "-vON_ERROR_STOP=1",
            "-dpostgres",
            "-f-",
            stdin="\n".join(script),
        )
        return [
            tuple(None if value == "\\N" else value for value in row)
            for row in csv.reader(io.StringIO(answer))
        ]

    def run(self, program: str, *arguments: str, stdin: str | None = None) -> str:
        done = subprocess.run(
            [str(self._programs / program), *arguments],
            env={**os.environ, "PGHOST": str(self._home), "PGUSER": "postgres", "LC_ALL": "C"},
            cwd=self._home,
            user=self._user,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@contextmanager
def sqlite() -> Iterator[Database]:
    yield SQLite()


@contextmanager
def postgresql() -> Iterator[Database]:
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = shutil.which("initdb") or (installed[-1] if installed else None)
    if found is None:
        pytest.skip("PostgreSQL's server is not installed here")
    user = "nobody" if os.geteuid() == 0 else None  # it refuses to run as root
    with tempfile.TemporaryDirectory(prefix="pg") as name:  # short: it holds a socket
        home = Path(name)
        if user:
            shutil.chown(home, user)
        server = PostgreSQL(Path(found).resolve().parent, home, user)
        data = str(home / "data")
        server.run("initdb", "-D", data, "-Upostgres", "-Atrust", "--locale=C", "-EUTF8", "-N")
        server.run(
            "pg_ctl",
            "-D",
            data,
            "-w",
            "-l",
            str(home / "log"),
            "start",
            "-o",
            f"-k {home} -c listen_addresses='' -c fsync=off",
        )
        try:
            yield server
        finally:
            server.run("pg_ctl", "-D", data, "-m", "immediate", "stop")


def _rows(records: Records) -> dict[str, list[tuple[object, ...]]]:
    return {
        "Heist": [(*fields, _text(at)) for *fields, at in records.heists],
        "HeistToken": list(records.balances.items()),
        "User": list(records.names.items()),
    }


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{moment.microsecond // 1000:03d}"


def _literal(value: object) -> str:
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"


DATABASES = {"sqlite": sqlite, "postgresql": postgresql}


def as_rows(rows: Sequence[Sequence[object]]) -> list[Row]:
    """Values as the databases here write them."""
    return [tuple(None if value is None else str(value) for value in row) for row in rows]
