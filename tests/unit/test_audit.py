"""The audit finds every kind of damage, and nothing in what the game itself writes."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, cast

import pytest

from heist_core.domain.award import Award, EarnedPoints
from heist_core.domain.facts import Event
from heist_core.domain.heist import Attempt, Heist, plan_heist
from heist_core.domain.notices import notices_of
from heist_core.domain.player import Player
from heist_core.domain.reversal import plan_reversal
from heist_core.domain.settings import Settings
from heist_core.storage import audit_export, inbox_items, items, keys, player_items, wire
from heist_core.storage.audit import audit_items
from heist_core.storage.audit_export import BrokenExport, ExportAudit
from heist_core.storage.wire import from_wire, to_wire
from tests.exports import EXPORT, FakeS3, bucket_of, export, files_of, split_and_audit

if TYPE_CHECKING:
    from heist_core.storage.table import Table as LiveTable

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
AT = "2026-11-22T12:00:00.000Z"
RULES = Settings()
NO_TABLE = cast("LiveTable", None)
"""An export is looked into without one."""

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
    alice |= {"victims": {"bob": AT}}
    bob = {"points#2026-11": 760, "lastRobbedAt": AT, "firstSeenAt": AT, "losses": losses(1, 40)}
    places = player_items.board_place(victim, "2026-11", 760)
    written: list[wire.Item] = [
        {**keys.player("alice"), "version": 3, **alice},
        {**keys.player("bob"), "version": 2, **bob, **places},
        items.heist_item(heist),
        items.award_item(award),
        *items.heist_ledger_items(heist),
    ]
    for player, points in (("alice", 1000), ("bob", 800)):
        earned = EarnedPoints(f"e-{player}", player, points, "QUIZ", NOW)
        change = earned.change_of(Player(player), NOW)
        written += [items.points_event_item(earned, change), items.earned_ledger_item(earned)]
    written += [*told(1, heist), *told(3, award)]
    written += [
        {**keys.read_count("alice"), "readItems": 1, "newest": 2}
    ]  # the second, by now gone
    return as_table(written)


def losses(robberies: int, points: int, season: str = "2026-11") -> dict[str, dict[str, int]]:
    return {season: {"robberies": robberies, "points": points}}


def undone() -> Table:
    """The same table after the heist was reversed and its token refunded, all told."""
    table = played()
    heist = items.heist_from(table[HEIST])
    assert isinstance(heist, Heist)
    alice, bob = (
        player_items.player_from(name, table[f"PLAYER#{name}/STATE"]) for name in ("alice", "bob")
    )
    reversal = plan_reversal(heist, alice, bob, NOW, "action-1", refund_token=True)
    alices = {"points#2026-11": 1000, "tokens": 1, "tokensEarned": 1, "tokensSpent": 0}
    bobs = {"points#2026-11": 800, "lastRobbedAt": AT, "firstSeenAt": AT, "losses": losses(0, 0)}
    written: list[wire.Item] = [
        {**keys.player("alice"), "version": 4, **alices},
        {
            **keys.player("bob"),
            "version": 3,
            **bobs,
            **player_items.board_place(bob, "2026-11", 800),
        },
        items.reversal_item(reversal),
        *items.reversal_ledger_items(reversal),
        *told(4, reversal),
    ]
    return {**table, **as_table(written)}


def told(position: int, event: Event) -> list[wire.Item]:
    """Notices and inbox items of an event, the latter from a position on."""
    subject = items.subject_key(event)
    written: list[wire.Item] = []
    for number, notice in enumerate(notices_of(event), position):
        tag = keys.inbox_tag(keys.notice(subject, notice.recipient_id))
        written += [
            inbox_items.notice_item(subject, notice, None, number),
            inbox_items.inbox_item(number, tag, notice),
        ]
    return written


def as_table(written: list[wire.Item]) -> Table:
    plain = [from_wire(to_wire(item)) for item in written]
    return {f"{item['pk']}/{item['sk']}": item for item in plain}


def found_in(table: Table) -> set[str]:
    """What an audit of all of it finds, and one of an export, in shares, by the same figures."""
    found = audit_items(from_wire(to_wire(item)) for item in table.values()).findings()
    s3 = FakeS3()
    audit = ExportAudit(bucket_of(s3), NO_TABLE)
    export(s3.as_client, table.values())
    plan = split_and_audit(audit, s3)
    assert audit.look(plan) == found
    assert len(plan["shares"]) > 3
    return {violation.invariant for violation in found.violations()}


@pytest.fixture(autouse=True)
def small_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several of a few items each, written in several parts."""
    monkeypatch.setattr(audit_export, "ITEMS_IN_A_SHARE", 4)
    monkeypatch.setattr(audit_export, "PENDING_BYTES", 2000)


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
    assert found_in(undone()) == set()


RETURNED = "before and after differ by what was returned"
COUNTERS = "robberies and losses are those of the ledger"
VICTIMS = "victims are remembered by their last heist"
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
        (change(BOB, "losses", losses(2, 40)), COUNTERS),
        (change(BOB, "losses", losses(1, 41)), COUNTERS),
        (change(BOB, "losses", {**losses(1, 40), **losses(1, 5, "2026-10")}), COUNTERS),
        (change(BOB, "losses", {}), COUNTERS),
        (change(BOB, "losses", "none"), COUNTERS),
        (change(ALICE, "victims", {"bob": "2026-11-21"}), VICTIMS),
        (change(ALICE, "victims", {"bob": AT, "carol": AT}), VICTIMS),
        (drop(BOB), "has a state"),
        (drop(f"LEDGER#bob/2026-11#LOSS#{AT}#h1"), "has a gain and a loss in the ledger"),
        (change(BOB, "oddPlace", "000000000761#00000000"), "stands on the board by the points"),
        (drop(HEIST), "a ledger entry has its heist"),
        (drop("POINTS#e-bob/POINTS"), "has one ledger entry"),
        (drop("REFERRAL#zed/REFERRAL"), "one token per referral"),
        (drop("HEIST#h1/NOTICE#bob"), "an inbox item has its notice"),
        (settle_untold, "everybody was told, or it is owed"),
        (tell_twice, "one inbox item per recipient"),
        (change("INBOX#alice/READ", "readItems", Decimal(2)), "what was not read is unread"),
        (drop("INBOX#alice/0000000001"), "what was not read is unread"),
    ],
)
def test_every_kind_of_damage_is_named(damage: Damage, invariant: str) -> None:
    table = played()
    damage(table)

    assert invariant in found_in(table)


REVERSAL, GIVEN = "HEIST#h1/REVERSAL", "LEDGER#alice/2026-11#REVERSAL#h1"


def settle_reversal_untold(table: Table) -> None:
    del table["HEIST#h1/NOTICE#bob#REVERSAL"]
    del table[REVERSAL]["owedBucket"]


@pytest.mark.parametrize(
    ("damage", "invariant"),
    [
        (drop(HEIST), "a reversal has its heist"),
        (drop(REVERSAL), "a ledger entry has its reversal"),
        (drop(REVERSAL), "one token per heist"),
        (drop(REVERSAL), "lastHeistAt is that of the last heist"),
        (drop(GIVEN), "has two entries in the ledger"),
        (drop(GIVEN), "the ledger adds up to the points"),
        (change(GIVEN, "points", Decimal(-41)), "has two entries in the ledger"),
        (change(REVERSAL, "pointsReturned", Decimal(41)), RETURNED),
        (change(REVERSAL, "pointsReturned", Decimal(-1)), RETURNED),
        (change(REVERSAL, "pointsStolen", Decimal(41)), RETURNED),
        (change(REVERSAL, "shortfall", Decimal(1)), RETURNED),
        (change(REVERSAL, "attackerPointsAfter", Decimal(999)), RETURNED),
        (change(REVERSAL, "victimPointsBefore", Decimal(761)), RETURNED),
        (change(REVERSAL, "pointsReturned", "many"), "can be read"),
        (change(REVERSAL, "victimId", "carol"), "is that of its heist"),
        (change(REVERSAL, "season", "2026-10"), "is that of its heist"),
        (change(REVERSAL, "tokenRefunded", False), "one token per heist"),
        (change(REVERSAL, "cooldownLifted", False), "lastHeistAt is that of the last heist"),
        (change(ALICE, "lastHeistAt", AT), "lastHeistAt is that of the last heist"),
        (change(BOB, "points#2026-11", Decimal(799)), "points are conserved"),
        (change(BOB, "losses", losses(1, 0)), COUNTERS),
        (change(BOB, "losses", losses(0, 40)), COUNTERS),
        (drop("HEIST#h1/NOTICE#bob#REVERSAL"), "an inbox item has its notice"),
        (settle_reversal_untold, "everybody was told, or it is owed"),
    ],
)
def test_every_kind_of_damage_to_a_reversal_is_named(damage: Damage, invariant: str) -> None:
    table = undone()
    damage(table)

    assert invariant in found_in(table)


def test_who_was_here_before_there_were_counters_may_have_none() -> None:
    table = played()
    for name in ("losses", "firstSeenAt"):
        del table[BOB][name]
    assert found_in(table) == set()


def test_points_kept_though_the_attacker_had_them_are_damage() -> None:
    table = undone()
    table[REVERSAL] |= {
        "pointsReturned": Decimal(30),
        "shortfall": Decimal(10),
        "attackerPointsAfter": Decimal(1010),
        "victimPointsAfter": Decimal(790),
    }

    assert RETURNED in found_in(table)


# --- An export that is not whole -----------------------------------------------------------------


@pytest.fixture
def exported() -> tuple[FakeS3, ExportAudit]:
    s3 = FakeS3()
    export(s3.as_client, played().values())
    return s3, ExportAudit(bucket_of(s3), NO_TABLE)


def test_a_data_file_that_breaks_off_or_lacks_items_ends_the_audit(
    exported: tuple[FakeS3, ExportAudit],
) -> None:
    s3, audit = exported
    plan = audit.plan(EXPORT)
    file = files_of(s3.as_client, plan)[0]
    whole = s3.objects[file["dataFileS3Key"]]

    s3.objects[file["dataFileS3Key"]] = whole[:-20]
    with pytest.raises(EOFError):
        audit.split(file, plan)
    s3.objects[file["dataFileS3Key"]] = whole
    with pytest.raises(BrokenExport, match=r"file0 has [0-9]+ items, its manifest 99"):
        audit.split({**file, "itemCount": 99}, plan)


def test_a_file_that_was_not_split_or_a_share_not_looked_into_ends_the_audit(
    exported: tuple[FakeS3, ExportAudit],
) -> None:
    s3, audit = exported
    plan = audit.plan(EXPORT)
    audit.split(files_of(s3.as_client, plan)[0], plan)
    for share in plan["shares"][:-1]:
        audit.audit(share, plan)
    with pytest.raises(KeyError, match="found/"):
        audit.look(plan)
    audit.audit(plan["shares"][-1], plan)
    with pytest.raises(BrokenExport, match="items, its manifest"):
        audit.look(plan)


def test_a_step_that_is_repeated_changes_nothing(
    exported: tuple[FakeS3, ExportAudit],
) -> None:
    s3, audit = exported
    plan = split_and_audit(audit, s3)
    written = dict(s3.objects)
    assert split_and_audit(audit, s3) == plan
    assert s3.objects == written
