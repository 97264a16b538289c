"""Import into real storage: complete, once, and exact whatever fails or plays meanwhile."""

import csv
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import Stubber

from heist_core.domain.errors import Contention, Unavailable
from heist_core.domain.player import Losses
from heist_core.domain.times import from_iso, to_iso
from heist_core.storage import keys
from heist_core.storage.audit import audit_items
from heist_core.storage.importing import loading, parts
from heist_core.storage.importing.loading import CALLS_AT_ONCE, Loader
from heist_core.storage.importing.mapping import Sums, Unit
from heist_core.storage.importing.pace import FIRST, Pace
from ops import __main__ as tool
from ops.importer.command import RunRecord
from ops.output import Output
from ops.target import OperatorError
from tests.builders import HOUR, bus_event
from tests.engines import Engine
from tests.fakes import LOST, client_error
from tests.imports import checked
from tests.integration.game import Game
from tests.integration.operators import Desk, desk_of
from tests.old_system import OldSystem, play

APPLY = ("--apply", "--reason", "import")
pytestmark = pytest.mark.not_on_moto  # an import makes several calls at once


@pytest.fixture
def old() -> OldSystem:
    """Enough for several transactions of a hundred items."""
    return play(seed=7, players=40)


@pytest.fixture
def export(old: OldSystem, tmp_path: Path) -> Path:
    return old.write(tmp_path / "export")


@pytest.fixture
def desk(game: Game, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(loading, "_FIRST_PAUSE_SECONDS", 0.001)
    return desk_of(game, capsys)


def everything(game: Game) -> dict[tuple[str, str], Mapping[str, object]]:
    """The table, without the log of operators and the record of the run, which carry times."""
    return {
        (str(item["pk"]), str(item["sk"])): item
        for item in game.everything()
        if not str(item["pk"]).startswith(("ACTIONS", "IMPORT"))
    }


def rows_of(export: Path, table: str) -> list[dict[str, str]]:
    with (export / f"{table}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def change(export: Path, table: str, line: int, **values: str) -> None:
    """Change the row of an export that begins on a line, where no row before spans several."""
    rows = rows_of(export, table)
    rows[line - 2].update(values)
    with (export / f"{table}.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def test_players_arrive_with_points_tokens_clocks_and_history(
    desk: Desk, game: Game, export: Path
) -> None:
    report = desk("import", str(export), *APPLY)
    assert report["applied"]
    assert report["table"] == report["sums"]
    game.assert_sound()
    tokens = {row["userId"]: row for row in rows_of(export, "HeistToken")}
    heists = rows_of(export, "Heist")
    for row in rows_of(export, "User"):
        player = game.player(row["id"])
        assert player.points_in("2026-11") == int(row["monthlyPoints"])
        assert player.profile.email.value == row["email"]
        assert player.profile.locale.value == (row["locale"] or None)
        assert player.tokens == int(tokens.get(row["id"], {}).get("balance", 0))
        robbing = [heist["createdAt"] for heist in heists if heist["attackerId"] == row["id"]]
        robbed = [heist["createdAt"] for heist in heists if heist["victimId"] == row["id"]]
        assert (player.last_heist_at is not None) == bool(robbing)
        assert (player.last_robbed_at is not None) == bool(robbed)
        assert player.first_seen_at == from_iso(row["createdAt"].replace(" ", "T") + "Z")
        lost = [
            int(heist["pointsStolen"])
            for heist in heists
            if heist["victimId"] == row["id"] and heist["createdAt"].startswith("2026-11")
        ]
        assert player.losses_in("2026-11") == Losses(len(lost), sum(lost))
    assert len([1 for pk, _ in everything(game) if pk.startswith("HEIST#imported-")]) == len(heists)


def test_a_heist_of_the_old_system_can_be_reversed_with_its_token(
    desk: Desk, game: Game, export: Path
) -> None:
    desk("import", str(export), *APPLY)
    heists = [f"imported-{row['id']}" for row in rows_of(export, "Heist")[:5]]
    earned = dict(audit_items(game.everything()).earned)
    report = desk("reverse", *heists, "--refund-token", *APPLY)
    assert report["counts"] == {"reversed": len(heists)}
    game.sweep()
    audit = audit_items(game.everything())
    assert list(audit.violations()) == []
    assert audit.earned == earned
    assert {kind for kind, _ in game.bridge.facts} == {"HeistReversed"}


def test_a_balance_of_no_tokens_is_still_one(desk: Desk, game: Game, export: Path) -> None:
    desk("import", str(export), *APPLY)
    holding = {row["userId"]: int(row["balance"]) for row in rows_of(export, "HeistToken")}
    assert 0 in holding.values()
    for user in rows_of(export, "User"):
        state = game.stored(keys.player(user["id"]))
        assert state.get("tokens") == holding.get(user["id"])


def test_points_of_earlier_months_are_what_their_point_events_add_up_to(
    desk: Desk, game: Game, old: OldSystem, export: Path
) -> None:
    desk("import", str(export), *APPLY)
    earned = [
        event["points"]
        for event in old.tables["UserPointEvent"]
        if str(event["createdAt"]).startswith("2026-10") and event["userId"] == 3
    ]
    assert game.player("3").points_in("2026-10") == sum(map(int, map(str, earned)))


def test_nobody_is_notified_of_what_happened_before(desk: Desk, game: Game, export: Path) -> None:
    desk("import", str(export), *APPLY)
    assert game.owed() == []
    game.sweep()
    assert [pk for pk, _ in everything(game) if pk.startswith("INBOX#")] == []
    assert list(game.ses) == []
    assert game.bridge.facts == []


def test_a_dry_run_writes_nothing(desk: Desk, game: Game, export: Path) -> None:
    report = desk("import", str(export))
    assert not report["applied"]
    assert report["sums"]["players"] == 40
    assert game.everything() == []


def test_all_shapes_of_an_export_come_to_the_same(
    desk: Desk, game: Game, old: OldSystem, export: Path, tmp_path: Path
) -> None:
    sums = desk("import", str(export))["sums"]
    snake = old.write(tmp_path / "snake", snake_case=True)
    lines = old.write(tmp_path / "lines", as_json=True)
    assert desk("import", str(snake))["sums"] == sums
    assert desk("import", str(lines))["sums"] == sums


def test_importing_again_changes_nothing_and_succeeds(desk: Desk, game: Game, export: Path) -> None:
    desk("import", str(export), *APPLY)
    before = game.everything()
    game.time.pass_(days=3)
    desk("import", str(export), *APPLY)
    assert sorted(map(repr, game.everything())) == sorted(map(repr, before))


def test_a_killed_import_goes_on_and_ends_the_same(
    desk: Desk, game: Game, engine: Engine, export: Path
) -> None:
    with engine.table() as other, Game(engine.client, other).wired() as untroubled:
        desk_of(untroubled, desk.capsys)("import", str(export), *APPLY)
        expected = everything(untroubled)
    for commits in (1, 1, 1, 2):
        game.tap.before = killed_after(commits)
        with pytest.raises(KeyboardInterrupt):
            desk("import", str(export), *APPLY)
        game.tap.close()
        assert expected.items() >= everything(game).items()
    desk("import", str(export), *APPLY)
    assert everything(game) == expected
    game.assert_sound()


def test_in_parts_the_table_becomes_the_same_and_nobody_is_named_in_a_log(
    desk: Desk,
    game: Game,
    engine: Engine,
    export: Path,
    monkeypatch: pytest.MonkeyPatch,
    log: StringIO,
) -> None:
    monkeypatch.setattr(parts, "UNITS_IN_A_PART", 15)
    taken = checked(export, game.time())
    assert desk.code("import", str(export), *APPLY) == 0
    with engine.table() as other, Game(engine.client, other).wired() as in_parts:
        for _ in range(2):
            assert in_parts.import_in_parts(taken).sums == taken.sums()
            assert everything(in_parts) == everything(game)
    assert log.getvalue().count('"part":"players-00002"') == 4
    assert "@example.com" not in log.getvalue()


def test_a_stack_without_a_machine_says_how_to_get_one(desk: Desk, export: Path) -> None:
    with Stubber(desk.target.cloudformation) as stub:
        stub.add_client_error("describe_stack_resource", "ValidationError")
        stub.add_client_error("describe_stack_resource", "ValidationError")
        with pytest.raises(OperatorError, match="deploy it with ImportInParts=on"):
            desk("import", str(export), "--in-parts")


def attempted(desk: Desk, export: Path) -> int | None:
    """The exit code of an import; None where the tool says that the same command again is safe."""
    options = tool.parser().parse_args(["import", str(export), *APPLY])
    try:
        return tool.COMMANDS["import"].run(desk.target, options, Output(as_json=True))
    except Unavailable:
        return None


def killed_after(commits: int) -> Callable[[str, Mapping[str, Any]], None]:
    left = commits

    def before(operation: str, request: Mapping[str, Any]) -> None:
        nonlocal left
        if operation == "transact_write_items":
            left -= 1
            if left < 0:
                raise KeyboardInterrupt

    return before


@pytest.mark.parametrize(
    "error", [LOST, client_error("ThrottlingException")], ids=["lost", "throttled"]
)
def test_answers_that_get_lost_lose_and_double_nothing(
    desk: Desk, game: Game, export: Path, error: Exception
) -> None:
    calls = 0

    def after(operation: str) -> None:
        nonlocal calls
        calls += 1
        if operation in ("transact_write_items", "batch_get_item") and calls % 3 == 2:
            raise error

    game.tap.after = after
    while (code := attempted(desk, export)) is None:
        pass
    game.tap.close()
    assert code == 0
    game.assert_sound()


def test_a_table_that_has_enough_is_asked_more_slowly_and_not_given_up(
    desk: Desk, game: Game, export: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new table takes so much a second, here 100 items, and cancels transactions beyond that."""
    now = last = level = 0.0
    turned_away = 0
    throttled: Any = client_error("TransactionCanceledException")
    throttled.response["CancellationReasons"] = [{"Code": "None"}, {"Code": "ThrottlingError"}]

    def pause(seconds: float) -> None:
        nonlocal now
        now += seconds

    def before(operation: str, request: Mapping[str, Any]) -> None:
        nonlocal last, level, turned_away
        if operation != "transact_write_items":
            return
        level, last = max(0.0, level - 100 * (now - last)), now
        if level + len(request["TransactItems"]) > 100:
            turned_away += 1
            raise throttled
        level += len(request["TransactItems"])

    paces: list[Pace] = []

    def new_pace() -> Pace:
        paces.append(Pace(lambda: now, pause))
        return paces[-1]

    monkeypatch.setattr("ops.importer.command.Pace", new_pace)
    monkeypatch.setattr("heist_core.storage.importing.loading.time.sleep", pause)
    game.tap.before = before
    desk("import", str(export), *APPLY)
    game.tap.close()
    assert turned_away > 3
    assert paces[0].items_a_second < FIRST
    game.assert_sound()


def test_a_transaction_that_others_keep_breaking_is_taken_in_smaller_steps(
    desk: Desk, game: Game, export: Path
) -> None:
    def before(operation: str, request: Mapping[str, Any]) -> None:
        if operation == "transact_write_items" and len(request["TransactItems"]) > 20:
            raise client_error("TransactionConflictException")

    game.tap.before = before
    desk("import", str(export), *APPLY)
    game.tap.close()
    game.assert_sound()


def test_what_live_events_brought_is_added_to(desk: Desk, game: Game, export: Path) -> None:
    user = rows_of(export, "User")[4]
    game.give(user["id"], points=500, tokens=2, name="Newer", email="newer@example.com")
    game.give("only-here", points=30)
    before = game.player(user["id"])
    desk("import", str(export), *APPLY)
    after = game.player(user["id"])
    tokens = {row["userId"]: int(row["balance"]) for row in rows_of(export, "HeistToken")}
    assert after.points_in("2026-11") == 500 + int(user["monthlyPoints"])
    assert after.tokens == 2 + tokens.get(user["id"], 0)
    assert (after.name, after.profile.email.value) == ("Newer", "newer@example.com")
    assert after.version == before.version + 1
    assert game.points("only-here") == 30
    game.assert_sound()


def test_robberies_meanwhile_are_added_to_those_of_the_export(
    desk: Desk, game: Game, export: Path
) -> None:
    robberies = [row for row in rows_of(export, "Heist") if row["createdAt"] >= "2026-11"]
    victim = robberies[0]["victimId"]
    game.give(victim, points=100)
    game.give("thief", tokens=1)
    assert game.rob("thief", victim).status == 200
    desk("import", str(export), *APPLY)
    lost = [int(row["pointsStolen"]) for row in robberies if row["victimId"] == victim]
    assert game.player(victim).losses_in("2026-11") == Losses(len(lost) + 1, sum(lost) + 5)
    (joined,) = [row["createdAt"] for row in rows_of(export, "User") if row["id"] == victim]
    assert game.player(victim).first_seen_at == from_iso(joined.replace(" ", "T") + "Z")
    game.assert_sound()


def test_a_referral_settled_before_earns_no_second_token(
    desk: Desk, game: Game, export: Path
) -> None:
    desk("import", str(export), *APPLY)
    row = next(row for row in rows_of(export, "User") if row["referredByUserId"])
    tokens = game.player(row["referredByUserId"]).tokens
    event = bus_event(
        "award_token", referrerUserId=row["referredByUserId"], referredUserId=row["id"]
    )
    game.call("award_token", event)
    assert game.player(row["referredByUserId"]).tokens == tokens


def test_an_imported_cooldown_and_protection_go_on(desk: Desk, game: Game, export: Path) -> None:
    desk("import", str(export), *APPLY)
    rich = {row["userId"] for row in rows_of(export, "HeistToken") if int(row["balance"]) > 0}
    heists = sorted(rows_of(export, "Heist"), key=lambda heist: heist["createdAt"])
    last = next(heist for heist in reversed(heists) if heist["attackerId"] in rich)
    at = datetime.fromisoformat(last["createdAt"]).replace(tzinfo=UTC)
    game.time.at = at + HOUR
    answer = game.rob(last["attackerId"], last["victimId"])
    assert answer.body["code"] == "COOLDOWN_ACTIVE"
    assert answer.body["details"] == {"cooldownEndsAt": to_iso(at + 24 * HOUR)}
    fresh = next(player for player in rich if game.player(player).last_heist_at is None)
    answer = game.rob(fresh, last["victimId"])
    assert answer.body["code"] == "TARGET_PROTECTED"
    assert answer.body["details"] == {"protectionEndsAt": to_iso(at + 48 * HOUR)}


def test_players_who_play_during_the_import_lose_nothing(
    desk: Desk, game: Game, export: Path, crowd: ThreadPoolExecutor
) -> None:
    users = [row["id"] for row in rows_of(export, "User")][:20]
    events = [
        bus_event("add_points", userId=user, eventId=f"e-{user}-{number}", points=10)
        for user in users
        for number in range(5)
    ]
    played = [crowd.submit(game.call, "add_points", event) for event in events]
    assert attempted(desk, export) == 0
    for future in played:
        future.result()
    for row in rows_of(export, "User"):
        more = 50 if row["id"] in users else 0
        assert game.points(row["id"]) == int(row["monthlyPoints"]) + more
    game.assert_sound()


def test_two_imports_at_once_are_one(
    desk: Desk, game: Game, export: Path, crowd: ThreadPoolExecutor
) -> None:
    imports = [crowd.submit(attempted, desk, export) for _ in range(3)]
    codes = {future.result() for future in imports}
    assert 0 in codes
    assert codes <= {0, None}
    desk.capsys.readouterr()
    game.assert_sound()
    assert [action["what"] for action in desk_of(game, desk.capsys).actions()].count("import") == 1


def test_what_another_import_wrote_meanwhile_is_left_as_it_is(
    game: Game, export: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "_FIRST_PAUSE_SECONDS", 0.001)
    pool = ThreadPoolExecutor(CALLS_AT_ONCE)
    with closing(Loader(game.gateway, Pace(), pool)) as loader:

        def load_twice(units: Sequence[Unit]) -> int:
            others: list[int] = []
            game.once_before("transact_write_items", lambda: others.append(load(units)))
            return load(units) + others[0]

        def load(units: Sequence[Unit]) -> int:
            return loader.load(units)

        for _, total, units in checked(export, game.time()).kinds():
            assert load_twice([*units]) == total
    game.assert_sound()


@pytest.mark.parametrize("before", [0, 5])
def test_points_earned_while_a_player_is_imported_are_kept(
    desk: Desk, game: Game, export: Path, before: int
) -> None:
    user = rows_of(export, "User")[0]
    game.give(user["id"], points=before)
    more = bus_event("add_points", userId=user["id"], eventId="e-1", points=10)

    def earns(called: str, request: Mapping[str, Any]) -> None:
        if called == "transact_write_items" and f"PLAYER#{user['id']}" in str(request):
            game.undisturbed()
            game.call("add_points", more)

    game.tap.before = earns
    assert attempted(desk, export) == 0
    assert game.points(user["id"]) == int(user["monthlyPoints"]) + before + 10
    game.assert_sound()


def test_an_import_begins_and_ends_once(desk: Desk, game: Game) -> None:
    run = RunRecord(desk.target)
    both = partial(run.begin, "an export", "import", Sums(), 0), partial(run.finish, {})
    for once in both:
        game.once_before("transact_write_items", once)
        with pytest.raises(Contention):
            once()
    assert sorted(action["what"] for action in desk.actions()) == ["import", "import finished"]


def test_a_table_takes_one_export(desk: Desk, game: Game, export: Path, tmp_path: Path) -> None:
    desk("import", str(export), *APPLY)
    before = everything(game)
    another = play(seed=8, players=5).write(tmp_path / "another")
    for arguments in ((str(another),), (str(export), "--season", "2026-12")):
        with pytest.raises(OperatorError, match="A table takes one export"):
            desk("import", *arguments, *APPLY)
    assert everything(game) == before


def test_who_imported_what_is_in_the_log(desk: Desk, game: Game, export: Path) -> None:
    desk("import", str(export), *APPLY)
    begun, finished = sorted(desk.actions(), key=lambda action: str(action["what"]))
    assert (begun["what"], finished["what"]) == ("import", "import finished")
    assert begun["why"] == "import"
    assert begun["after"]["players"] == finished["after"]["players"] == 40


def test_a_difference_is_found_and_fails(
    desk: Desk, game: Game, export: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    desk("import", str(export), *APPLY)
    entry = next(item for item in game.everything() if item["sk"] == "2026-11#IMPORT#OPENING")
    game.put({**entry, "points": 1})
    code, told = desk.run("import", str(export), *APPLY)
    assert (code, told["different"]) == (1, 1)


def test_an_export_of_which_nothing_can_be_taken_says_where_the_reasons_are(
    desk: Desk, tmp_path: Path
) -> None:
    (tmp_path / "User.csv").write_text("id;monthlyPoints\n1;many\n2;-1\n", "utf-8")
    with pytest.raises(OperatorError, match=r"separated by semicolons\. .*rejects\.csv"):
        desk("import", str(tmp_path))
    assert (tmp_path / "rejects.csv").read_text("utf-8").count("must be an integer") == 2
