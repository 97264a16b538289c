"""`python -m tests.texts`: holds every text that players read against what the code shows in it.

What the code shows is found by making each mail and each message of the inbox once in every form.
"""

import json
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from functions.unsubscribe.app import done, question
from heist_core.domain.digests import Summary
from heist_core.domain.facts import Event
from heist_core.domain.notices import InboxItem, message_of, notices_of
from heist_core.domain.unsubscribing import LINKED_KINDS
from heist_core.http.page import Page, failure
from heist_core.mail.render import Mail, digest_of, mail_of
from heist_core.texts import FOLDER, PLACEHOLDER, Texts, Value, leaves, read_layout
from heist_core.use_cases.unsubscribe import Subscription
from tests.builders import award, heist, reversal

MAY_BE_EMPTY = {"product.address"}
LINK = "https://api.example.com/api/heist/unsubscribe/abc-_123"


def mailed_events(
    attacker_name: str | None = "Alice", victim_name: str | None = "Bob"
) -> tuple[Event, ...]:
    """One for each form of a mail."""
    return (
        heist(attacker_name=attacker_name, victim_name=victim_name),
        reversal(attacker_name=attacker_name, victim_name=victim_name),
        reversal(attacker_name=attacker_name, victim_name=victim_name, returned=30, refunded=True),
    )


def day(name: str | None = "Bob") -> Summary:
    """More than a digest shows: of each kind of notice, about players of this name."""
    events = (*mailed_events(name, name), award(name=name)) * 4
    notices = [notice for event in events for notice in notices_of(event)]
    return Summary([InboxItem("0000000001-0a1b2c3d", notice, None) for notice in notices])


def every_mail(texts: Texts, *names: str | None) -> list[Mail]:
    """Each form of a mail, between players of these names."""
    name = (*names, "Bob")[0]
    return [
        digest_of(day(name), name, texts, LINK),
        *(
            mail_of(event, notice, texts, LINK)
            for event in (*mailed_events(*names), award(name=name))
            for notice in notices_of(event)
        ),
    ]


def every_message(texts: Texts, name: str | None = "Bob") -> list[str]:
    """Each form of a message of the inbox, about players of this name."""
    events: tuple[Event, ...] = (
        *mailed_events(name, name),
        reversal(attacker_name=name, victim_name=name, returned=30),
        reversal(attacker_name=name, victim_name=name, refunded=True),
        award(name=name),
    )
    return [texts.message(message_of(notice)) for event in events for notice in notices_of(event)]


def every_page(texts: Texts, address: str | None = "a…@example.com") -> list[Page]:
    """Each page behind a mail's link, about a player with this address."""
    kinds = [Subscription(kind, address, None) for kind in sorted(LINKED_KINDS)]
    return [
        *(page for each in kinds for page in (question(each, texts), done(each, each.kind, texts))),
        done(kinds[0], "all", texts),
        *(failure(name, 500, texts) for name in ("not_found", "unavailable", "defect")),
    ]


class _Shown(Texts):
    """Keeps what the code gives to each text and each layout."""

    def __init__(self) -> None:
        super().__init__("", {})
        self.texts: dict[str, dict[str, list[Value]]] = {}
        self.layouts: dict[str, set[str]] = defaultdict(set)

    def text(self, key: str, /, **values: Value) -> str:
        given = self.texts.setdefault(key, {})
        for name, value in values.items():
            given.setdefault(name, []).append(value)
        return key

    def layout(self, name: str, parts: Mapping[str, str], escape: Callable[[str], str]) -> str:
        self.layouts[name] |= parts.keys()
        return name


def shown() -> _Shown:
    kept = _Shown()
    for name in ("Bob", None):
        every_mail(kept, name, name)
        every_message(kept, name)
        every_page(kept, name)
    return kept


def problems(folder: Path = FOLDER) -> Iterator[str]:
    """What is wrong with the files of a folder: a line for each, with file, key and placeholder."""
    code = shown()
    for path in sorted(folder.glob("*.json")):
        for problem in _of_language(path, code.texts):
            yield f"{path.name}: {problem}"
    for name, parts in sorted(code.layouts.items()):
        text = read_layout(folder, name)
        found = {each[1] for each in re.finditer(PLACEHOLDER, text)}
        yield from (f"{name}: {problem}" for problem in _differ(found, parts))


def _of_language(path: Path, code: Mapping[str, Mapping[str, list[Value]]]) -> Iterator[str]:
    try:
        tree = json.loads(path.read_text("utf-8"), object_pairs_hook=_without_repeats)
    except ValueError as error:
        yield str(error)
        return
    texts = dict(leaves(tree))
    for key in sorted(code.keys() - texts.keys()):
        yield f"{key}: is missing"
    for key in sorted(texts.keys() - code.keys()):
        yield f"{key}: is unused, nothing shows it"
    for key in sorted(code.keys() & texts.keys()):
        yield from (f"{key}: {problem}" for problem in _of_text(key, texts[key], code[key]))


def _of_text(key: str, text: str, given: Mapping[str, list[Value]]) -> Iterator[str]:
    if not text and key not in MAY_BE_EMPTY:
        yield "is empty"
    if re.search(r"[{}]", re.sub(PLACEHOLDER, "", text)):
        yield "has a brace that belongs to no placeholder"
    found = {each[0]: each.groups() for each in re.finditer(PLACEHOLDER, text)}
    for placeholder, (name, unknown, one, _) in found.items():
        values = given.get(name)
        if values is None:
            continue
        if one is not None and not all(isinstance(value, int) for value in values):
            yield f"{placeholder}: {name} is no number to choose by"
        if unknown is None and one is None and None in values:
            yield f"{placeholder}: {name} may be unknown, so write {{{name}|someone}} or the like"
        if unknown is not None and None not in values:
            yield f"{placeholder}: {name} is never unknown, so write {{{name}}}"
    yield from _differ({name for name, *_ in found.values()}, given)


def _differ(found: set[str], given: Mapping[str, object] | set[str]) -> Iterator[str]:
    allowed = ", ".join(f"{{{name}}}" for name in sorted(given)) or "no placeholder"
    for name in sorted(found - set(given)):
        yield f"{{{name}}}: is unknown here, allowed: {allowed}"
    for name in sorted(set(given) - found):
        yield f"{{{name}}}: is missing"


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    tree = dict(pairs)
    for name, value in pairs:
        if not isinstance(value, str | dict):
            raise ValueError(f"{name}: must be a text")
        if sum(other == name for other, _ in pairs) > 1:
            raise ValueError(f"{name}: is there twice")
    return tree


if __name__ == "__main__":
    sys.exit("\n".join(problems()) or None)
