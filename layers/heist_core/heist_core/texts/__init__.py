"""Texts for players: one file per language, beside the layouts of mails.

A text holds placeholders: `{points}`; `{victimName|a player}`, with what stands there when the
value is unknown; `{points:point|points}`, which chooses by a number. `make check` holds every file
against what the code gives to each text.
"""

import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from heist_core.domain.notices import Message

FOLDER = Path(__file__).parent
DEFAULT_LANGUAGE = "en"
PLACEHOLDER = r"\{(\w+)(?:\|([^{}|]*)|:([^{}|]*)\|([^{}|]*))?\}"
"""Name; what stands for an unknown value; what stands for 1, and for every other number."""

Value = str | int | None


class Texts:
    """The texts of one language, by key: the names on the way to a text, joined by dots."""

    def __init__(self, language: str, texts: Mapping[str, str]) -> None:
        self.language = language
        self._texts = texts

    def text(self, key: str, /, **values: Value) -> str:
        """Raises KeyError for a text or a value that is not there."""
        return fill(self._texts[key], values)

    def message(self, message: "Message") -> str:
        """What an inbox item says."""
        return self.text(f"inbox.{message.key}", **message.params)

    def layout(self, name: str, parts: Mapping[str, str], escape: Callable[[str], str]) -> str:
        """A layout with each part escaped: no part can bring markup of its own."""
        return fill(_layout(name), {part: escape(text) for part, text in parts.items()})


def fill(text: str, values: Mapping[str, Value]) -> str:
    """Put values in place of placeholders. Raises KeyError for a value that is not there."""

    def shown(found: re.Match[str]) -> str:
        name, unknown, one, other = found.groups()
        value = values[name]
        if one is not None:
            return str(one if value == 1 else other)
        return str(unknown if value is None else value)

    return re.sub(PLACEHOLDER, shown, text)


def texts_for(locale: str | None) -> Texts:
    """The texts nearest to a locale (BCP 47): its own, else of its language, else English."""
    return _texts(nearest(locale or DEFAULT_LANGUAGE, languages()))


def nearest(locale: str, among: tuple[str, ...]) -> str:
    """The language whose tag is the longest beginning of the locale's, else one that has its first
    part in common, else the default. In any case."""
    parts = locale.lower().split("-")
    by_tag = {language.lower(): language for language in among}
    for length in range(len(parts), 0, -1):
        if found := by_tag.get("-".join(parts[:length])):
            return found
    related = (language for tag, language in by_tag.items() if tag.split("-")[0] == parts[0])
    return next(related, DEFAULT_LANGUAGE)


@functools.cache
def languages() -> tuple[str, ...]:
    """Of which there is a file."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.json")))


@functools.cache
def _texts(language: str) -> Texts:
    tree = json.loads((FOLDER / f"{language}.json").read_text("utf-8"))
    return Texts(language, dict(leaves(tree)))


@functools.cache
def _layout(name: str) -> str:
    return read_layout(FOLDER, name)


def read_layout(folder: Path, name: str) -> str:
    """A layout of a folder; one in HTML stands in the frame that all of them share."""
    layout = (folder / name).read_text("utf-8")
    if not name.endswith(".html"):
        return layout
    return (folder / "frame.html").read_text("utf-8").replace("{content}", layout.rstrip())


def leaves(tree: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a file, by key."""
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", str(value)
