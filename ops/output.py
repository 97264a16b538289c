"""What a command prints: lines for people, or one JSON document; progress goes to stderr."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence

from heist_core.domain.names import steers

Document = Mapping[str, object]


class Output:
    """`line` and `table` are for people and say nothing with --json; `document` only then."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def line(self, text: str = "") -> None:
        if not self.as_json:
            print(plain(text), flush=True)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Rows under their headings. A column whose values are all integers stands to the right."""
        if self.as_json:
            return
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        lines = [list(row) for row in rows]
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for position, column in enumerate(columns):
            numbers = bool(lines) and all(isinstance(line[position], int) for line in lines)
            table.add_column(column, justify="right" if numbers else "left", overflow="fold")
        for line in lines:
            table.add_row(*(Text("" if cell is None else plain(str(cell))) for cell in line))
        width = None if sys.stdout.isatty() else 160
        Console(width=width, highlight=False, soft_wrap=False).print(table)

    def progress(self, text: str) -> None:
        """One line of stderr that the next one overwrites; nothing where stderr is no terminal."""
        if sys.stderr.isatty():
            print(f"\x1b[2K{plain(text)}", end="\r", file=sys.stderr, flush=True)

    def items_read(self, number: int) -> None:
        """The progress of a scan."""
        self.progress(f"{number} items read")

    def document(self, value: Document) -> None:
        if self.as_json:
            print(json.dumps(value, ensure_ascii=True, indent=1, default=_plain_number), flush=True)


def plain(text: str) -> str:
    """Text that cannot steer a terminal: whoever chose a name may have put escapes into it."""
    return "".join("�" if steers(character) else character for character in text)


def _plain_number(value: object) -> object:
    """What DynamoDB reads as Decimal or set."""
    if isinstance(value, set | frozenset):
        return sorted(value)
    return int(str(value))
