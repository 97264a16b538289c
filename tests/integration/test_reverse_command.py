"""`./heist reverse`: says first, then does, one heist or a file of them, and can be repeated."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from heist_core.domain.errors import Misconfigured
from ops.target import OperatorError
from tests.builders import attempt
from tests.fakes import LOST, client_error
from tests.integration.game import Game
from tests.integration.operators import Desk

REASON = ("--reason", "a bad setting on Friday")


@pytest.fixture
def heists(game: Game) -> list[str]:
    """Three heists of 40 points each, the first one the newest."""
    heists = ["first", "second", "third"]
    for number, heist_id in enumerate(heists):
        game.give(f"robber-{number}", tokens=1)
        game.give(f"robbed-{number}", points=800)
        game.execute(attempt(f"robber-{number}", f"robbed-{number}", heist_id))
        game.time.pass_(seconds=-1)
    return heists


def reverse(desk: Desk, *arguments: str) -> tuple[int, dict[str, Any]]:
    """The exit code and the document of a command."""
    return desk.run("reverse", *arguments, *REASON)


def outcomes(document: Mapping[str, Any]) -> list[str]:
    return [heist["outcome"] for heist in document["heists"]]


def test_without_apply_it_only_says_what_would_be(
    game: Game, desk: Desk, heists: list[str]
) -> None:
    before = game.everything()
    code, document = reverse(desk, heists[0], "--refund-token")
    assert (code, document["applied"]) == (0, False)
    assert document["heists"] == [
        {
            "heistId": heists[0],
            "outcome": "to be reversed",
            "attackerId": "robber-0",
            "victimId": "robbed-0",
            "season": "2026-11",
            "pointsStolen": 40,
            "pointsReturned": 40,
            "shortfall": 0,
            "tokenRefunded": True,
            "cooldownLifted": True,
        }
    ]
    assert game.everything() == before


def test_a_heist_is_reversed_with_its_reason_and_a_second_time_it_is_said_to_be(
    game: Game, desk: Desk, heists: list[str]
) -> None:
    assert outcomes(reverse(desk, heists[0], "--apply")[1]) == ["reversed"]
    code, document = reverse(desk, heists[0], "--apply", "--refund-token")
    assert (code, outcomes(document)) == (0, ["already reversed"])
    assert not document["heists"][0]["tokenRefunded"]
    (entry,) = desk.actions()
    assert (entry["what"], entry["subject"]) == ("reverse", f"heist {heists[0]}")
    assert entry["why"] == "a bad setting on Friday"
    assert entry["before"] == {"attackerPoints": 40, "victimPoints": 760}
    assert entry["after"]["victimPoints"] == 800
    game.assert_sound()


def test_a_file_is_worked_off_and_what_cannot_be_reversed_is_named(
    game: Game, desk: Desk, heists: list[str], tmp_path: Path
) -> None:
    game.execute(attempt("robber-0", "nobody", "refused"))
    file = tmp_path / "heists.txt"
    file.write_text(
        f"\ufeff# from ticket 7\r\n{heists[0]}\r\n\r\n  {heists[1]}  # twice\n{heists[1]}\n"
        f"nothing\nrefused\na\tb\n{heists[2]}",
        "utf-8",
    )
    game.reverse(heists[1])
    code, document = reverse(desk, "--file", str(file), "--apply")
    assert code == 1
    assert [heist["heistId"] for heist in document["heists"]] == [
        *heists,
        *("refused", "nothing", "a\tb"),
    ]
    assert outcomes(document) == [
        *("reversed", "already reversed", "reversed"),
        *("not reversed", "not reversed", "not reversed"),
    ]
    assert document["counts"] == {"reversed": 2, "already reversed": 1, "not reversed": 3}
    assert [heist["problem"] for heist in document["heists"][3:]] == [
        "it was refused (NO_TOKENS) and moved nothing",
        "there is no such heist",
        "this is not the id of a heist",
    ]
    game.assert_sound()


def test_of_several_heists_the_newest_is_reversed_first_so_that_all_comes_out_even(
    game: Game, desk: Desk
) -> None:
    """bob had 800 points; alice took them, and carol took them from her."""
    game.restart(HEIST_STEAL_PERCENTAGE=100, HEIST_MAX_STEAL_POINTS=1000)
    game.give("bob", points=800)
    for robber, robbed in (("alice", "bob"), ("carol", "alice")):
        game.give(robber, tokens=1)
        game.execute(attempt(robber, robbed, f"{robber}'s"))
        game.time.pass_(seconds=1)
    previewed = reverse(desk, "alice's", "carol's")[1]["heists"]
    code, document = reverse(desk, "alice's", "carol's", "--apply")
    assert [heist["heistId"] for heist in document["heists"]] == ["carol's", "alice's"]
    assert (code, [heist["shortfall"] for heist in document["heists"]]) == (0, [0, 0])
    assert [game.points(who) for who in ("alice", "bob", "carol")] == [0, 800, 0]
    assert previewed == [heist | {"outcome": "to be reversed"} for heist in document["heists"]]


def test_a_preview_counts_what_a_robber_gives_back_only_once(game: Game, desk: Desk) -> None:
    game.restart(HEIST_COOLDOWN_HOURS=0)
    game.give("alice", tokens=2)
    for victim in ("bob", "carol"):
        game.give(victim, points=800)
        game.execute(attempt("alice", victim, f"of {victim}"))
        game.time.pass_(seconds=1)
    game.restart(HEIST_STEAL_PERCENTAGE=60)
    game.give("dora", tokens=1)
    game.execute(attempt("dora", "alice", "of alice"))
    before = game.everything()

    previewed = reverse(desk, "of bob", "of carol")[1]["heists"]
    assert game.everything() == before
    assert [(heist["pointsReturned"], heist["shortfall"]) for heist in previewed] == [
        *((32, 8), (0, 40))
    ]
    done = reverse(desk, "of bob", "of carol", "--apply")[1]["heists"]
    assert previewed == [heist | {"outcome": "to be reversed"} for heist in done]


def test_people_are_shown_each_heist_and_a_summary(
    game: Game, desk: Desk, heists: list[str]
) -> None:
    shown = desk.shown("reverse", *heists[:2], heists[0], "--refund-token", *REASON, "--apply")
    assert shown == (
        "1 of 3 ids are there twice\n"
        "reversed: 40 of 40 points, robber-0 40 → 0, robbed-0 760 → 800\n"
        f"    {heists[0]} of 2026-11, token refunded, cooldown lifted\n"
        "reversed: 40 of 40 points, robber-1 40 → 0, robbed-1 760 → 800\n"
        f"    {heists[1]} of 2026-11, token refunded, cooldown lifted\n"
        "2 reversed\n"
    )


def test_whoever_is_asked_sees_first_and_then_decides(
    game: Game, desk: Desk, heists: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert "to be reversed" in desk.shown("reverse", heists[0], *REASON, "--ask")
    assert game.reversal(heists[0]) is None
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    shown = desk.shown("reverse", heists[0], *REASON, "--ask").splitlines()
    assert [line.partition(":")[0] for line in shown[::2]] == [
        *("to be reversed", "reversed", "1 reversed")
    ]
    assert game.reversal(heists[0]) is not None


def test_a_table_that_stops_answering_ends_the_run_and_the_next_one_goes_on(
    game: Game, desk: Desk, heists: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    game.fails(LOST, "get_item", heists[1])
    code, document = reverse(desk, *heists, "--apply")
    assert (code, outcomes(document), document["notTried"]) == (1, ["reversed", "not reversed"], 1)
    assert "safe" in document["heists"][1]["problem"]
    game.undisturbed()
    code, document = reverse(desk, *heists, "--apply")
    assert (code, outcomes(document)) == (0, ["already reversed", "reversed", "reversed"])
    assert len(desk.actions()) == 3
    game.assert_sound()


def test_a_heist_that_others_keep_changing_stops_no_other(
    game: Game, desk: Desk, heists: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)

    def busy(operation: str, request: Mapping[str, Any]) -> None:
        if operation == "transact_write_items" and f"REVERSAL#{heists[0]}" in str(request):
            game.give("robbed-0", tokens=1)

    game.tap.before = busy
    code, document = reverse(desk, *heists[:2], "--apply")
    assert (code, outcomes(document)) == (1, ["not reversed", "reversed"])


def test_a_caller_without_permission_ends_the_run_at_once(
    game: Game, desk: Desk, heists: list[str]
) -> None:
    game.fails(client_error("AccessDeniedException"))
    with pytest.raises(Misconfigured):
        reverse(desk, *heists, "--apply")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((), "Name the heists"),
        (("--file", "nowhere.txt"), "Cannot read nowhere.txt"),
        (("--file", "."), "Cannot read"),
    ],
)
def test_nothing_to_reverse_is_said_so(
    desk: Desk, arguments: tuple[str, ...], problem: str
) -> None:
    with pytest.raises(OperatorError, match=problem):
        reverse(desk, *arguments)


def test_a_file_without_an_id_is_said_to_be(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "heists.txt"
    file.write_text("# none left\n", "utf-8")
    with pytest.raises(OperatorError, match="names no heist"):
        reverse(desk, "--file", str(file))


def test_a_file_that_is_no_text_is_refused(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "heists.bin"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(OperatorError, match="Cannot read"):
        reverse(desk, "--file", str(file))


def test_no_reason_no_reversal(game: Game, desk: Desk, heists: list[str]) -> None:
    with pytest.raises(OperatorError, match="--reason"):
        desk("reverse", heists[0], "--apply")
    assert game.reversal(heists[0]) is None
