"""What a command prints: lines for people, or one JSON document; progress goes to stderr."""

import json
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence

from heist_core.domain.names import steers

_NO_END = 10_000

Document = Mapping[str, object]
Entry = tuple[Sequence[object], str]
"""What is short, by column, and a text of any length."""


class Output:
    """`line` and `table` are for people and say nothing with --json; `document` only then."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._under_way = False

    def line(self, text: str = "") -> None:
        """One line, or as many as it takes in a narrow terminal."""
        if not self.as_json:
            self.end_progress()
            print(fitted(plain(text), self._width), flush=True)

    def table(
        self, columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str = "none"
    ) -> None:
        """Rows under their headings, or `empty`. A column of integers stands to the right."""
        if self.as_json:
            return
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        lines = [list(row) for row in rows]
        if not lines:
            self.line(empty)
            return
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for position, column in enumerate(columns):
            numbers = all(isinstance(line[position], int) for line in lines)
            table.add_column(column, justify="right" if numbers else "left", overflow="fold")
        for line in lines:
            table.add_row(*(Text("" if cell is None else plain(str(cell))) for cell in line))
        self.end_progress()
        Console(width=self._width, highlight=False, soft_wrap=False).print(table)

    def entries(self, columns: Sequence[str], rows: Iterable[tuple[Sequence[object], str]]) -> None:
        """Two lines each: what is short under its heading, and below it a text of any length."""
        if self.as_json:
            return
        found = [([plain(str(cell)) for cell in cells], plain(text)) for cells, text in rows]
        if not found:
            return
        widths = [
            max(map(len, column))
            for column in zip(columns, *(cells for cells, _ in found), strict=True)
        ]

        def row(cells: Sequence[str]) -> None:
            self.line("  ".join(map(str.ljust, cells, widths)).rstrip())

        row(columns)
        for cells, text in found:
            row(cells)
            self.line(f"    {text}")

    @property
    def _width(self) -> int:
        """That of the terminal, or COLUMNS; where there is none, lines stay whole."""
        return shutil.get_terminal_size((_NO_END, 24)).columns

    def progress(self, text: str) -> None:
        """One line of stderr that the next one overwrites; nothing where stderr is no terminal."""
        if sys.stderr.isatty():
            print(f"\x1b[2K{plain(text)}", end="\r", file=sys.stderr, flush=True)
            self._under_way = True

    def end_progress(self) -> None:
        """Nothing of it is left beside what is printed next."""
        if self._under_way:
            print("\x1b[2K", end="\r", file=sys.stderr, flush=True)
            self._under_way = False

    def items_read(self, number: int) -> None:
        """The progress of a scan."""
        self.progress(f"{number} items read")

    def counted(self, done: str, total: int) -> Callable[[int], None]:
        """A progress that is told how many there are since the last time."""
        number = 0

        def more(since: int) -> None:
            nonlocal number
            number += since
            self.progress(f"{number} of {total} {done}")

        return more

    def document(self, value: Document) -> None:
        self.end_progress()
        if self.as_json:
            print(json.dumps(value, ensure_ascii=True, indent=1, default=_plain_number), flush=True)


def fitted(text: str, width: int) -> str:
    """A text in lines of at most this width, broken between words, each indented as the first."""
    if len(text) <= width:
        return text
    indent = " " * (len(text) - len(text.lstrip()))
    return "\n".join(textwrap.wrap(text, width, subsequent_indent=indent, break_on_hyphens=False))


def moment(text: object) -> str:
    """A stored time to the second, as a person reads it: `2026-11-27 18:00:00`; `-` for none."""
    return str(text)[:19].replace("T", " ") if text else "-"


def short(text: str, limit: int = 20) -> str:
    """A text that others chose the length of, cut to fit a line."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def plain(text: str) -> str:
    """Text that cannot steer a terminal: a player's name may have put escapes into it."""
    return "".join("�" if steers(character) else character for character in text)


def _plain_number(value: object) -> object:
    """What DynamoDB reads as Decimal or set."""
    if isinstance(value, set | frozenset):
        return sorted(value)
    return int(str(value))
