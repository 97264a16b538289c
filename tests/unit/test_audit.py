"""The audit finds every kind of damage, and nothing in what the game itself writes."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from heist_core.domain.award import Award, EarnedPoints
from heist_core.domain.heist import Attempt, Heist, Rules, plan_heist
from heist_core.domain.inbox import notices_of
from heist_core.domain.player import Player
from heist_core.storage import items, keys
from heist_core.storage.audit import audit_items
from heist_core.storage.items import from_wire, to_wire

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
AT = "2026-11-22T12:00:00.000Z"
RULES = Rules(
    enabled=True,
    cooldown=timedelta(hours=24),
    protection=timedelta(hours=48),
    steal_percentage=5,
    max_steal_points=100,
    min_target_points=20,
)

Table = dict[str, dict[str, object]]
Damage = Callable[[Table], None]


def played() -> Table:
    """A table after one award, points for two players and one heist, all told."""
    attacker = Player("alice", version=2, tokens=1, points={"2026-11": 1000})
    victim = Player("bob", version=1, points={"2026-11": 800})
    plan = plan_heist(attacker, victim, RULES, NOW)
    heist = Heist(Attempt("h1", "alice", "bob", None), plan, "Alice", "Bob")
    award = Award("zed", "alice", "r1", "Zed", NOW)
    alice = {"points#2026-11": 1040, "tokensEarned": 1, "tokensSpent": 1, "lastHeistAt": AT}
    bob = {"points#2026-11": 760, "lastRobbedAt": AT}
    written: list[items.Item] = [
        {**keys.player("alice"), "version": 3, **alice},
        {**keys.player("bob"), "version": 2, **bob},
        items.heist_item(heist),
        items.award_item(award),
        *items.heist_ledger_items(heist),
    ]
    for player, points in (("alice", 1000), ("bob", 800)):
        earned = EarnedPoints(f"e-{player}", player, points, "QUIZ", NOW)
        written += [items.points_event_item(earned), items.earned_ledger_item(earned)]
    position = 0
    for event in (heist, award):
        subject = items.subject_key(event)
        for notice in notices_of(event):
            position += 1
            tag = keys.inbox_tag(subject["pk"], notice.recipient_id)
            written += [
                items.notice_item(subject, notice),
                items.inbox_item(position, tag, notice, NOW),
            ]
    plain = [from_wire(to_wire(item)) for item in written]
    return {f"{item['pk']}/{item['sk']}": item for item in plain}


def found_in(table: Table) -> set[str]:
    return {violation.invariant for violation in audit_items(table.values()).violations()}


def change(place: str, name: str, value: object) -> Damage:
    def damage(table: Table) -> None:
        table[place][name] = value

    return damage


def drop(place: str) -> Damage:
    def damage(table: Table) -> None:
        del table[place]

    return damage


def settle_untold(table: Table) -> None:
    del table["HEIST#h1/NOTICE#bob"]
    del table["HEIST#h1/HEIST"]["owedBucket"]


def tell_twice(table: Table) -> None:
    [place] = [place for place in table if place.startswith("INBOX#bob")]
    table["INBOX#bob/again"] = {**table[place], "sk": "again"}


def test_what_the_game_writes_has_no_violation() -> None:
    assert found_in(played()) == set()


ALICE, BOB, HEIST = "PLAYER#alice/STATE", "PLAYER#bob/STATE", "HEIST#h1/HEIST"


@pytest.mark.parametrize(
    ("damage", "invariant"),
    [
        (change(BOB, "points#2026-11", Decimal(761)), "the ledger adds up to the points"),
        (change(BOB, "points#2026-11", Decimal(761)), "points are conserved"),
        (change(BOB, "points#2026-11", Decimal(-1)), "points are never negative"),
        (change(BOB, "points#2026-11", "many"), "can be read"),
        (change(ALICE, "tokens", Decimal(1)), "tokens are those earned less those spent"),
        (change(ALICE, "tokensSpent", Decimal(2)), "one token per heist"),
        (change(ALICE, "tokensEarned", Decimal(2)), "one token per referral"),
        (change(ALICE, "lastHeistAt", "2026-11-21"), "lastHeistAt is that of the last heist"),
        (change(BOB, "lastRobbedAt", "2026-11-21"), "lastRobbedAt is that of the last heist"),
        (
            change(HEIST, "victimPointsAfter", Decimal(1)),
            "before and after differ by what was stolen",
        ),
        (change(HEIST, "pointsStolen", "x"), "can be read"),
        (drop(BOB), "has a state"),
        (drop("LEDGER#bob/2026-11#HEIST#h1"), "has a gain and a loss in the ledger"),
        (drop(HEIST), "a ledger entry has its heist"),
        (drop("POINTS#e-bob/POINTS"), "has one ledger entry"),
        (drop("REFERRAL#zed/REFERRAL"), "one token per referral"),
        (drop("HEIST#h1/NOTICE#bob"), "an inbox item has its notice"),
        (settle_untold, "everybody was told, or it is owed"),
        (tell_twice, "one inbox item per recipient"),
    ],
)
def test_every_kind_of_damage_is_named(damage: Damage, invariant: str) -> None:
    table = played()
    damage(table)

    assert invariant in found_in(table)
