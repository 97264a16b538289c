"""Every kind of item is told from every other, and whoever sorts items by kind knows them all."""

import ast
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from heist_core.domain.errors import Malformed
from heist_core.domain.times import to_iso
from heist_core.storage import items, keys, operator
from heist_core.storage.audit import Audit
from heist_core.storage.counting import Generation
from heist_core.storage.keys import Key, Kind, Source
from heist_core.storage.wire import Item
from ops.people import part_of
from ops.rebuild_stats import Done, Rebuild
from tests.builders import NOW
from tests.fakes import FakeClock

ROOT = Path(__file__).parents[2]
HEIST = keys.heist("h1")
KEYS: dict[Kind, tuple[Key, ...]] = {
    Kind.PLAYER: (keys.player("alice"),),
    Kind.OLD_SEASONS: (keys.old_seasons("alice"),),
    Kind.HEIST: (HEIST,),
    Kind.REVERSAL: (keys.reversal("h1"),),
    Kind.REFERRAL: (keys.referral("carol"),),
    Kind.NOTICE: tuple(
        keys.notice(subject, "alice")
        for subject in (HEIST, keys.reversal("h1"), keys.referral("carol"))
    ),
    Kind.INBOX: (keys.inbox_item("alice", "0000000001"),),
    Kind.READ_COUNT: (keys.read_count("alice"),),
    Kind.DIGEST: (keys.digest("alice"), keys.unsent_digest("alice", "0000000007")),
    Kind.LEDGER: (
        *(keys.ledger_entry("alice", "2026-11", source, "1") for source in Source),
        keys.heist_entry("alice", "2026-11", Source.GAIN, NOW, "h1"),
    ),
    Kind.POINTS_EVENT: (keys.points_event("order-1"),),
    Kind.RATE: (keys.rate("alice", "EXECUTE", NOW), keys.rate("alice", "CHECK", NOW)),
    Kind.POINT_TYPE: (keys.point_type("HEIST_GAIN"), keys.point_type("NOTICE")),
    Kind.SETTINGS: (keys.SETTINGS,),
    Kind.SETTINGS_VERSION: (keys.settings_version(3),),
    Kind.ACTION: (keys.action(NOW, "0a1b"),),
    Kind.DAY: (keys.day(1, "2026-11-22", 7),),
    Kind.BALANCES: (keys.balances(1, 7),),
    Kind.HOLDING: (Kind.HOLDING.key(1, "alice"),),
    Kind.ROBBER: (keys.robber(1, "alice"),),
    Kind.GENERATION: (keys.GENERATION,),
    Kind.IMPORT: (keys.IMPORT,),
    Kind.AUDIT: (keys.AUDIT,),
    Kind.GRANT: (keys.grant("alice", "0a1b"),),
    Kind.REQUEST: (keys.request("0a1b"),),
    Kind.BOARD: (
        keys.board_curve("2026-11"),
        keys.board_view("2026-11", NOW),
        keys.board_final("2026-11"),
    ),
}


class Nothing:
    """A table of which nothing is left when a rebuild deletes."""

    def delete(self, _key: Key) -> None:
        """As if it were gone."""


def rebuild(item: Item) -> None:
    store: object = None
    made = Rebuild(store, Nothing(), lambda *_: store, FakeClock().clock)  # type: ignore[arg-type]
    made._take(item, Generation(7, 8), Done(8))


CLASSIFIERS: dict[str, Callable[[Item], object]] = {
    "the audit": lambda item: Audit().take(item),
    "the stream": items.fact_from,
    "an erasure": lambda item: operator.forget(item, "alice"),
    "an export": lambda item: part_of(item, "alice"),
    "a rebuild": rebuild,
}


@pytest.mark.parametrize(("kind", "key"), [(kind, key) for kind in Kind for key in KEYS[kind]])
def test_a_key_tells_the_kind_of_its_item(kind: Kind, key: Key) -> None:
    assert keys.kind_of({**key, "createdAt": to_iso(NOW)}) is kind


@pytest.mark.parametrize(
    "item",
    [
        {},
        {"pk": "PLAYER#alice"},
        {"pk": "PLAYER#alice", "sk": "NOTES"},
        {"pk": "HEIST#h1", "sk": "STATE"},
        {"pk": "SETTINGS", "sk": "OTHER"},
        {"pk": "NOTES", "sk": "1"},
    ],
)
def test_what_is_none_of_ours_has_no_kind(item: Item) -> None:
    assert keys.kind_of(item) is None


@pytest.mark.parametrize("who", CLASSIFIERS)
@pytest.mark.parametrize("kind", list(Kind))
def test_whoever_sorts_items_by_kind_knows_every_kind(who: str, kind: Kind) -> None:
    """`assert_never` fails for a kind that is neither handled nor passed over by name."""
    for key in KEYS[kind]:
        with suppress(KeyError, Malformed):  # this example has nothing but its key
            CLASSIFIERS[who](key)


@pytest.mark.parametrize("who", sorted(CLASSIFIERS.keys() - {"the stream"}))
def test_whoever_sorts_items_by_kind_passes_over_what_is_none_of_ours(who: str) -> None:
    CLASSIFIERS[who]({"pk": "NOTES", "sk": "1"})


def test_keys_are_spelled_in_one_module_only() -> None:
    words = {kind.partition for kind in Kind} | {Kind.NOTICE.sort, Kind.SETTINGS_VERSION.sort}
    spelled = re.compile(rf"({'|'.join(filter(None, words))})#")
    for folder in ("layers/heist_core/heist_core", "functions", "ops"):
        for path in (ROOT / folder).rglob("*.py"):
            if path.name != "keys.py":
                texts = [
                    node.value
                    for node in ast.walk(ast.parse(path.read_text("utf-8")))
                    if isinstance(node, ast.Constant) and isinstance(node.value, str)
                ]
                assert [text for text in texts if spelled.match(text)] == [], path
