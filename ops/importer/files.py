"""An export: one file per table, CSV with a header (`COPY ... CSV HEADER`) or JSON lines."""

import codecs
import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .rows import HeistRow, PointRow, RawRow, Row, RowError, TokenRow, UserRow

REJECTS = "rejects.csv"
CSV_FIELD_LIMIT = 1_000_000
_LONGEST_HEADER = 4096
_LONGEST_SHOWN = 200
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_NULL = r"\N"


class ExportError(Exception):
    """The folder cannot be read as an export; the message says what is wrong and what to do."""


class Table:
    """A table of the old system: names of its file and columns, and the shape of a row."""

    def __init__(self, name: str, row: type[Row], *others: str, **aliases: str) -> None:
        """`others` are names of the table, `aliases` those of columns, several in one text."""
        self.name = name
        self.row = row
        names = {_plain(text) for text in (name, *others)}
        self.file_names = frozenset(names | {text + "s" for text in names})
        self.required = sorted(
            column for column, field in row.model_fields.items() if field.is_required()
        )
        self.columns: Mapping[str, Sequence[str]] = {
            column: [_plain(text) for text in (column, *aliases.get(column, "").split())]
            for column in row.model_fields
        }


def _plain(name: str) -> str:
    """`createdAt`, `created_at` and `"CreatedAt"` are the same column; so with tables."""
    return name.strip().replace("_", "").replace("-", "").lower()


USERS = Table("User", UserRow, referredByUserId="referredById referredBy referrerUserId referrerId")
TOKENS = Table("HeistToken", TokenRow, "UserHeistToken")
HEISTS = Table("Heist", HeistRow)
POINTS = Table("UserPointEvent", PointRow, "PointEvent")
TABLES = (USERS, TOKENS, HEISTS, POINTS)


@dataclass(frozen=True, slots=True)
class Source:
    """The file of a table."""

    table: Table
    path: Path


@dataclass(frozen=True, slots=True)
class Export:
    """A folder with an export. `ignored` are files that are of no table that is imported."""

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
        elif not path.is_file():
            raise ExportError(f"{path.name} is no file: export {table.name} into one.")
        elif table.name in found:
            other = found[table.name].path.name
            raise ExportError(f"{other} and {path.name} are both {table.name}: keep one of them.")
        else:
            found[table.name] = Source(table, path)
    if USERS.name not in found:
        raise ExportError(
            f"There is no User.csv or User.jsonl in {folder}: nothing can be imported without "
            "players."
        )
    sources = tuple(found[table.name] for table in TABLES if table.name in found)
    return Export(sources, tuple(ignored))


def _is_of(table: Table, path: Path) -> bool:
    name = path.stem.rpartition(".")[2].strip('"')
    return path.suffix.lower() in (".csv", ".jsonl") and _plain(name) in table.file_names


class Rows:
    """The rows of a file, with the line each begins on; a row that has no shape is a RowError.

    `position` is how many bytes were read so far. Raises ExportError where the file itself cannot
    be read on.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._as_csv = source.path.suffix.lower() == ".csv"
        self._file = source.path.open("rb")
        start = self._file.read(_LONGEST_HEADER)
        self._file.seek(0)
        self._encoding = "utf-16" if start.startswith(_UTF_16_MARKS) else "utf-8-sig"
        header = start.decode(self._encoding, "replace").partition("\n")[0]
        self._delimiter = max(_DELIMITERS, key=header.count)
        self.ignored_columns: tuple[str, ...] = ()
        self.nulls = 0
        """How many values were the text that PostgreSQL writes for nothing."""

    @property
    def form(self) -> str:
        """What the file is taken for, in words."""
        encoding = self._encoding.removesuffix("-sig").upper()
        if not self._as_csv:
            return f"JSON lines in {encoding}"
        return f"CSV in {encoding}, separated by {_DELIMITERS[self._delimiter]}"

    @property
    def position(self) -> int:
        return self._file.tell()

    def __iter__(self) -> Iterator[tuple[int, RawRow | RowError]]:
        with (
            self._file,
            io.TextIOWrapper(
                self._file, encoding=self._encoding, errors="surrogateescape", newline=""
            ) as text,
        ):
            try:
                yield from self._csv_rows(text) if self._as_csv else self._json_rows(text)
            except UnicodeDecodeError as error:
                raise ExportError(
                    f"{self._source.path.name} begins as {self.form} and does not go on so: "
                    "export it as UTF-8."
                ) from error

    def _csv_rows(self, text: Iterable[str]) -> Iterator[tuple[int, RawRow | RowError]]:
        csv.field_size_limit(CSV_FIELD_LIMIT)
        reader = csv.reader(text, strict=True, delimiter=self._delimiter)
        line = 1
        try:
            header = next(reader, None)
            if header is None:
                raise ExportError(f"{self._source.path.name} is empty: it needs a line of headers.")
            places = self._places(header)
            line = reader.line_num + 1
            for values in reader:
                if values:
                    yield line, self._csv_row(values, places, len(header))
                line = reader.line_num + 1
        except csv.Error as error:
            raise ExportError(
                f"{self._source.path.name}, taken for {self.form}: the row that begins on line "
                f"{line} "
                f"is not CSV ({error}). Where rows end is unknown from here on: export the table "
                "again."
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
        if missing := [column for column in table.required if column not in places]:
            raise ExportError(
                f"{name}, taken for {self.form}, lacks {', '.join(missing)}. Its first line is: "
                f"{', '.join(header)[:_LONGEST_SHOWN]}. {table.name} needs the columns "
                f"{', '.join(table.required)} (or in snake_case), named in the first line."
            )
        taken = set(places.values())
        self.ignored_columns = tuple(
            column for place, column in enumerate(header) if place not in taken
        )
        return places

    def _csv_row(
        self, values: list[str], places: Mapping[str, int], width: int
    ) -> RawRow | RowError:
        if len(values) != width:
            return RowError(
                "row", f"must have {width} values, as the header has, not {len(values)}"
            )
        if not all(_is_text(value) for value in values):
            return RowError("row", "must be UTF-8")
        self.nulls += values.count(_NULL)
        return {
            column: None if values[place] in ("", _NULL) else values[place]
            for column, place in places.items()
        }

    def _json_rows(self, text: Iterable[str]) -> Iterator[tuple[int, RawRow | RowError]]:
        names = {
            alias: column
            for column, aliases in self._source.table.columns.items()
            for alias in aliases
        }
        for line, content in enumerate(text, start=1):
            if content.strip():
                yield line, _json_row(content, names)


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
