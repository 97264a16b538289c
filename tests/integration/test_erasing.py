"""Exports and erasures read by key, and reach all that a scan of the table would."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from heist_core import wiring
from heist_core.domain.board import Standing
from heist_core.storage import keys, operator, wire
from heist_core.storage.audit import audit_items
from heist_core.storage.keys import Kind
from ops.people import by_key, part_of
from tests.builders import api_event, attempt, bus_event, earned
from tests.fakes import Crash
from tests.integration.game import Game
from tests.integration.operators import Desk

WHO, NAME, ADDRESS = "p-7", "Zacharias Quince", "zq@example.org"
ERASE = ("erase", WHO, "--reason", "request 17")
OTHERS = {
    Kind.POINT_TYPE: keys.point_type("ORDER"),
    Kind.SETTINGS_VERSION: keys.settings_version(1),
    Kind.HOLDING: Kind.HOLDING.key(1, WHO),
    Kind.GENERATION: keys.GENERATION,
    Kind.IMPORT: keys.IMPORT,
    Kind.AUDIT: keys.AUDIT,
    Kind.REQUEST: keys.request("0a1b"),
}
"""What no name is ever in, beside what a game leaves behind."""
WRITES = {"put_item", "update_item", "delete_item", "transact_write_items"}


@pytest.fixture
def world(game: Game, desk: Desk) -> Game:
    """Every kind of item, and one person in it."""
    game.restart(HEIST_COOLDOWN_HOURS=0, HEIST_TARGET_COOLDOWN_HOURS=0)
    game.earn(earned(WHO, 8, "order-0", datetime(2026, 8, 1, tzinfo=UTC)))
    game.give(WHO, points=800, tokens=2, name=NAME, email=ADDRESS)
    game.give("alice", points=900, tokens=3, name="Alice", email="alice@example.com")
    game.give("carol", points=700, name="Carol", email="carol@example.com")
    chosen = {"email": {"robbed": "daily"}}
    game.request("manage_preferences", api_event("manage_preferences", WHO, body=chosen))
    referred(game, WHO, "eve", "Eve")
    referred(game, "carol", WHO, NAME)
    desk("grant", WHO, "2", "--reason", "lost", "--apply")
    heists = [
        str(game.rob(robber, victim).body["heistId"])
        for robber, victim in ((WHO, "alice"), ("alice", WHO), (WHO, "carol"), ("alice", WHO))
    ]
    assert game.rob(WHO, "nobody").status == game.rob("zoe", WHO).status == 400
    game.sweep()
    game.reverse(heists[0])
    game.sweep()
    ranking = [Standing(800, WHO, NAME), Standing(700, "alice")]
    assert wiring.boards().close("2026-11", game.time(), 2, ranking)
    # An unread item outlives its notice; older notices do not tell where it lies.
    expired, older = (keys.notice(keys.heist(one), "alice") for one in (heists[1], heists[3]))
    game.client.delete_item(TableName=game.table, Key=wire.to_wire(expired))
    notice = game.item(older)
    assert notice is not None
    game.put({name: value for name, value in notice.items() if name != "inboxPosition"})
    game.set_settings(HEIST_ENABLED=True)
    for key in OTHERS.values():
        game.put(key)
    assert {keys.kind_of(item) for item in game.everything()} == set(Kind)
    return game


def referred(game: Game, referrer: str, friend: str, name: str) -> None:
    detail = {"referrerUserId": referrer, "referredUserId": friend, "referredUserName": name}
    game.call("award_token", bus_event("award_token", **detail, referralId=f"of {ADDRESS}"))


def assert_forgotten(game: Game) -> None:
    """Nothing tells who they were. The id stays where docs/operations.md says so."""
    left = game.everything()
    for secret in (NAME, ADDRESS):
        assert [item for item in left if secret in str(item)] == []
    mentioned = {keys.kind_of(item) for item in left if WHO in str(item)}
    assert mentioned <= {
        *(Kind.PLAYER, Kind.OLD_SEASONS, Kind.LEDGER, Kind.HEIST, Kind.REVERSAL, Kind.NOTICE),
        *(Kind.INBOX, Kind.REFERRAL, Kind.POINTS_EVENT, Kind.GRANT, Kind.ACTION, Kind.RATE),
        *(Kind.ROBBER, Kind.HOLDING, Kind.DIGEST),
    }
    assert [item for item in left if item["pk"] == keys.inbox(WHO)] == []
    theirs = [item for item in left if item.get("attackerId") == WHO]
    assert theirs
    assert [item for item in theirs if "sourceNetwork" in item] == []
    final = wiring.boards().final("2026-11")
    assert final is not None
    assert final.standings == [Standing(800, None), Standing(700, "alice")]
    for name in ("Alice", "Carol", "Eve"):
        assert name in str(left)


def audited(game: Game) -> list[str]:
    made_up = {keys.place_of(key) for key in OTHERS.values()}
    items = (item for item in game.everything() if keys.place_of(item) not in made_up)
    return [str(one) for one in audit_items(items).violations()]


def test_by_key_all_is_found_that_a_scan_finds(world: Game) -> None:
    found = by_key(world.gateway, WHO, "2026-11").values()
    for reaches in (part_of, operator.forget):
        wanted, reached = (
            {keys.place_of(item) for item in items if reaches(item, WHO)}
            for items in (world.everything(), found)
        )
        assert reached == wanted
        assert len(wanted) > 10


def test_an_erasure_by_key_leaves_nothing_of_a_person(world: Game, desk: Desk) -> None:
    called: list[str] = []
    world.tap.before = lambda operation, _: called.append(operation)
    before = audited(world)
    told = desk(*ERASE, "--apply")
    assert_forgotten(world)
    assert audited(world) == before
    assert "scan" not in called
    assert told["erased"] == {
        "closed leaderboards": 1,
        "heists": 6,
        "inbox items": 8,
        "notices of others": 6,
        "read counts": 1,
        "referrals": 4,
    }
    assert desk(*ERASE, "--apply", "--scan")["erased"] == {}


def test_an_erasure_that_dies_after_each_of_its_writes_is_finished(world: Game, desk: Desk) -> None:
    deaths = 0

    def die(operation: str) -> None:
        nonlocal deaths
        if operation in WRITES:
            world.undisturbed()
            deaths += 1
            raise Crash

    done = False
    while not done:
        world.tap.after = die
        with suppress(Crash):
            done = desk(*ERASE, "--apply")["done"]
    assert deaths > 20
    assert_forgotten(world)


def test_a_record_from_before_the_index_is_found_by_a_scan(world: Game, desk: Desk) -> None:
    record = world.item(keys.referral("eve"))
    assert record is not None
    world.put({name: value for name, value in record.items() if name != "aboutPlayer"})
    desk(*ERASE, "--apply")
    assert world.item(keys.referral("eve")) is not None
    assert "referralId" in (world.item(keys.referral("eve")) or {})
    assert desk(*ERASE, "--apply", "--scan")["erased"] == {"referrals": 1}
    assert_forgotten(world)


def test_a_heist_during_an_erasure_names_nobody(world: Game, desk: Desk) -> None:
    """The last that was decided before the freeze; its notices are written after it."""
    world.once_before("transact_write_items", lambda: world.execute(attempt("alice", WHO)))
    desk(*ERASE, "--apply")
    world.sweep()
    assert_forgotten(world)


def test_an_export_has_the_same_by_key_and_by_scan(world: Game, desk: Desk) -> None:
    def placed(found: Mapping[str, Any]) -> dict[str, list[str]]:
        return {part: sorted(map(str, items)) for part, items in found.items() if part != "at"}

    found = desk("export", WHO)
    assert placed(found) == placed(desk("export", WHO, "--scan"))
    assert len(found["notices"]) == 8
    assert [refused["attackerId"] for refused in found["refused"]] == [WHO]


@pytest.mark.parametrize("engine", ["ministack"], indirect=True)
def test_an_erasure_says_what_it_costs(world: Game, desk: Desk) -> None:
    expected = desk(*ERASE)["cost"]
    world.give("zoe", points=10, name="Zoe")
    assert desk(*ERASE)["cost"] == expected
    spent = desk(*ERASE, "--apply")["cost"]
    assert spent["writeUnits"] == pytest.approx(expected["writeUnits"], abs=6)
    assert spent["readUnits"] == pytest.approx(expected["readUnits"], abs=6)
    assert "Costs about" in desk.shown(*ERASE)
