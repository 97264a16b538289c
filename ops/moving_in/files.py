"""An export as files: one per table, CSV with a header (`COPY ... TO ... CSV HEADER`) or JSON lines."""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .rows import RawRow, RowError

REJECTS = "rejects.csv"
CSV_FIELD_LIMIT = 1_000_000

Columns = Mapping[str, tuple[str, ...]]
"""Columns by their Prisma names, with other names that they may have."""


class ExportError(Exception):
    """The folder cannot be read as an export; the message says what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the old system: how its file may be called and which columns count."""

    name: str
    file_names: frozenset[str]
    required: frozenset[str]
    columns: Columns


def _table(name: str, *others: str, required: str, optional: str = "", **aliases: str) -> Table:
    names = {_plain(text) for text in (name, *others)}
    return Table(
        name=name,
        file_names=frozenset(names | {text + "s" for text in names}),
        required=frozenset(required.split()),
        columns={
            column: tuple(map(_plain, (column, *aliases.get(column, "").split())))
            for column in (*required.split(), *optional.split())
        },
    )


def _plain(name: str) -> str:
    """`createdAt`, `created_at` and `"CreatedAt"` are the same column; so with tables."""
    return name.strip().replace("_", "").replace("-", "").lower()


USERS = _table(
    "User",
    required="id monthlyPoints",
    optional="name email emailOptOut createdAt updatedAt referredByUserId",
    referredByUserId="referredById referredBy referrerUserId referrerId",
)
TOKENS = _table(
    "HeistToken",
    "UserHeistToken",
    required="userId balance totalEarned totalSpent",
    optional="lastEarnedAt lastSpentAt",
)
HEISTS = _table(
    "Heist",
    required="id attackerId victimId pointsStolen attackerPointsBefore attackerPointsAfter "
    "victimPointsBefore victimPointsAfter status createdAt",
    optional="ipAddress",
)
POINTS = _table("UserPointEvent", "PointEvent", required="id userId points createdAt")
TABLES = (USERS, TOKENS, HEISTS, POINTS)


@dataclass(frozen=True, slots=True)
class Source:
    """The file of a table."""

    table: Table
    path: Path


@dataclass(frozen=True, slots=True)
class Export:
    """A folder with an export. `ignored` are files that are of no table that is moved."""

    sources: tuple[Source, ...]
    ignored: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(source.path.stat().st_size for source in self.sources)

    def fingerprint(self) -> str:
        """Tells exports apart: the same files, the same fingerprint."""
        digest = hashlib.sha256()
        for source in self.sources:
            with source.path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            digest.update(f"{source.table.name} {content}\n".encode())
        return digest.hexdigest()[:16]


def find_export(folder: Path) -> Export:
    """The files of a folder, by table. Raises ExportError."""
    if not folder.is_dir():
        raise ExportError(f"{folder} is not a folder.")
    found: dict[str, Source] = {}
    ignored = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name == REJECTS:
            continue
        table = next((table for table in TABLES if _is_of(table, path)), None)
        if table is None:
            ignored.append(path.name)
        elif table.name in found:
            other = found[table.name].path.name
            raise ExportError(f"{other} and {path.name} are both {table.name}: keep one of them.")
        else:
            found[table.name] = Source(table, path)
    if USERS.name not in found:
        raise ExportError(
            f"There is no User.csv or User.jsonl in {folder}: nothing can be moved without players."
        )
    sources = tuple(found[table.name] for table in TABLES if table.name in found)
    return Export(sources, tuple(ignored))


def _is_of(table: Table, path: Path) -> bool:
    name = path.stem.rpartition(".")[2].strip('"')
    return path.suffix.lower() in (".csv", ".jsonl") and _plain(name) in table.file_names


class Rows:
    """The rows of a file, with the line each begins on; a row that has no shape is a RowError.

    `position` is how many bytes were read so far. Raises ExportError where the file itself cannot be
    read on.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._file = source.path.open("rb")
        self.ignored_columns: tuple[str, ...] = ()

    @property
    def position(self) -> int:
        return self._file.tell()

    def __iter__(self) -> Iterator[tuple[int, RawRow | RowError]]:
        with (
            self._file,
            io.TextIOWrapper(
                self._file, encoding="utf-8-sig", errors="surrogateescape", newline=""
            ) as text,
        ):
            as_csv = self._source.path.suffix.lower() == ".csv"
            yield from self._csv_rows(text) if as_csv else self._json_rows(text)

    def _csv_rows(self, text: Iterable[str]) -> Iterator[tuple[int, RawRow | RowError]]:
        csv.field_size_limit(CSV_FIELD_LIMIT)
        reader = csv.reader(text, strict=True)
        line = 1
        try:
            header = next(reader, None)
            if header is None:
                raise ExportError(f"{self._source.path.name} is empty: it needs a line of headers.")
            places = self._places(header)
            line = reader.line_num + 1
            for values in reader:
                if values:
                    yield line, _csv_row(values, places, len(header))
                line = reader.line_num + 1
        except csv.Error as error:
            raise ExportError(
                f"{self._source.path.name}: the row that begins on line {line} is not CSV ({error}). "
                "Where rows end is unknown from here on: export the table again."
            ) from None

    def _places(self, header: list[str]) -> dict[str, int]:
        """Where each column that counts stands. Raises ExportError."""
        table, name = self._source.table, self._source.path.name
        plain = [_plain(column) for column in header]
        places: dict[str, int] = {}
        for column, names in table.columns.items():
            at = [place for place, name in enumerate(plain) if name in names]
            if len(at) > 1:
                raise ExportError(f"{name} has more than one column for {column}.")
            if at:
                places[column] = at[0]
        if missing := sorted(table.required - places.keys()):
            raise ExportError(
                f"{name} lacks {', '.join(missing)}; {table.name} needs the columns "
                f"{', '.join(sorted(table.required))} (or in snake_case), named in the first line."
            )
        taken = set(places.values())
        self.ignored_columns = tuple(
            column for place, column in enumerate(header) if place not in taken
        )
        return places

    def _json_rows(self, text: Iterable[str]) -> Iterator[tuple[int, RawRow | RowError]]:
        names = {
            alias: column
            for column, aliases in self._source.table.columns.items()
            for alias in aliases
        }
        for line, content in enumerate(text, start=1):
            if content.strip():
                yield line, _json_row(content, names)


def _csv_row(values: list[str], places: Mapping[str, int], width: int) -> RawRow | RowError:
    if len(values) != width:
        return RowError("row", f"must have {width} values, as the header has, not {len(values)}")
    if not all(_is_text(value) for value in values):
        return RowError("row", "must be UTF-8")
    return {column: values[place] or None for column, place in places.items()}


def _json_row(content: str, names: Mapping[str, str]) -> RawRow | RowError:
    if not _is_text(content):
        return RowError("row", "must be UTF-8")
    try:
        members = json.loads(content, object_pairs_hook=tuple)
    except (ValueError, RecursionError):
        members = None
    if not isinstance(members, tuple):
        return RowError("row", "must be one JSON object on one line")
    row: dict[str, object] = {}
    for name, value in members:
        column = names.get(_plain(name))
        if column in row:
            return RowError(str(column), "must be there once")
        if column is not None:
            row[column] = value
    return row


def _is_text(value: str) -> bool:
    """False for bytes that are not UTF-8, which surrogates stand for."""
    return value.isascii() or not any("\udc80" <= character <= "\udcff" for character in value)
