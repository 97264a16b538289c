"""What operators look at: heists of a span of time, players by what they are called, 80 columns."""

from datetime import timedelta
from typing import Any

import pytest

from ops.target import OperatorError
from tests.builders import NOW, attempt
from tests.integration.game import Game
from tests.integration.operators import Desk

WHY = ("--reason", "too harsh on beginners", "--apply")
DAY = "2026-11-22"


@pytest.fixture
def friday(game: Game, desk: Desk) -> list[str]:
    """Heists before, during and after a bad setting, each an hour after the other; one refusal."""
    heists = ["before", "bad-1", "bad-2", "after"]
    for number, heist_id in enumerate(heists):
        game.time.pass_(minutes=30)
        if heist_id == "bad-1":
            desk("config", "--set", "HEIST_STEAL_PERCENTAGE=9", *WHY)
        if heist_id == "after":
            desk("config", "--back", "0", *WHY)
        game.time.pass_(minutes=30)
        game.give(f"robber-{number}", tokens=1, name=f"Robin {number}")
        game.give(f"robbed-{number}", points=800, name="Bob\x1b[2J" + "b" * 90)
        game.execute(attempt(f"robber-{number}", f"robbed-{number}", heist_id))
    game.execute(attempt("robber-1", "robbed-0", "refused"))
    game.time.pass_(seconds=1)
    return heists


def ids(told: Any) -> list[str]:
    return [heist["heistId"] for heist in told["heists"]]


def test_heists_of_a_span_are_listed_in_order(desk: Desk, friday: list[str]) -> None:
    assert ids(desk("heists")) == friday
    assert ids(desk("heists", "--until", f"{DAY}T13:00:00Z")) == []
    assert ids(desk("heists", "--since", DAY, "--until", "2026-11-23")) == friday
    began = desk("heists")["heists"][1]["at"]
    assert ids(desk("heists", "--since", began)) == friday[1:]
    assert ids(desk("heists", "--until", began)) == friday[:1]


def test_heists_of_a_bad_setting_can_be_reversed_by_their_ids(
    game: Game, desk: Desk, friday: list[str], tmp_path: Any
) -> None:
    told = desk("heists", "--setting-version", "1")
    assert ids(told) == ["bad-1", "bad-2"]
    assert [heist["pointsStolen"] for heist in told["heists"]] == [72, 72]
    assert ids(desk("heists", "--setting-version", "2")) == ["after"]
    file = tmp_path / "heists.txt"
    file.write_text(desk.shown("heists", "--setting-version", "1", "--ids"), "utf-8")

    assert desk("reverse", "--file", str(file), *WHY)["counts"] == {"reversed": 2}
    with pytest.raises(OperatorError, match="no version 7"):
        desk("heists", "--setting-version", "7")


def test_instances_that_have_not_yet_read_a_change_are_counted_to_the_version_before(
    game: Game, desk: Desk
) -> None:
    desk("config", "--set", "HEIST_STEAL_PERCENTAGE=9", *WHY)
    game.time.pass_(hours=1)
    desk("config", "--back", "0", *WHY)
    game.time.pass_(seconds=20)
    game.give("robber", tokens=1)
    game.give("robbed", points=800)
    game.execute(attempt("robber", "robbed", "late"))
    game.time.pass_(minutes=5)
    for version in ("1", "2"):
        assert ids(desk("heists", "--setting-version", version)) == ["late"]


def test_heists_of_a_robber_and_refused_attempts_by_their_code(
    desk: Desk, friday: list[str]
) -> None:
    assert ids(desk("heists", "--attacker", "robber-2")) == ["bad-2"]
    told = desk("heists")
    assert told["refused"] == {"NO_TOKENS": 1}
    assert "Refused in that time: 1 NO_TOKENS" in desk.shown("heists")
    told = desk("heists", "--code", "NO_TOKENS")
    assert [(heist["heistId"], heist["code"]) for heist in told["heists"]] == [
        ("refused", "NO_TOKENS")
    ]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--since", "Friday"), "--since must be a day or a time"),
        (("--until", "2026-13-01"), "--until must be a day or a time"),
        (("--since", "2026-11-22 10:00"), "--since must be"),
        (("--since", "2026-12-01", "--until", "2026-11-01"), "Nothing lies between"),
    ],
)
def test_a_span_that_is_none_is_said_so(
    arguments: tuple[str, ...], problem: str, desk: Desk
) -> None:
    with pytest.raises(OperatorError, match=problem):
        desk("heists", *arguments)


# Who is meant


class Pool:
    """Cognito's user pool: logins and addresses."""

    def __init__(self, *accounts: tuple[str, str, str]) -> None:
        self.accounts = accounts
        self.asked: list[str] = []

    def list_users(self, *, UserPoolId: str, Filter: str) -> Any:  # noqa: N803
        self.asked.append(Filter)
        name, _, quoted = Filter.partition(" = ")
        return {
            "Users": [
                {
                    "Username": login,
                    "Attributes": [
                        {"Name": "sub", "Value": sub},
                        {"Name": "email", "Value": address},
                    ],
                }
                for login, address, sub in self.accounts
                if quoted == f'"{login if name == "username" else address}"'
            ]
        }


@pytest.fixture
def pool(game: Game, desk: Desk) -> Pool:
    game.give("id-of-bob", points=100, name="Bob", email="profile@example.com")
    pool = Pool(
        ("bob", "bob@example.com", "id-of-bob"),
        ("amy", "both@example.com", "id-of-amy"),
        ("ann", "both@example.com", "id-of-ann"),
    )
    desk.target.outputs["UserPoolId"] = "pool"
    desk.target.__dict__.update(cognito=pool, user_id_claim="sub")
    return pool


@pytest.mark.parametrize("called", ["id-of-bob", "bob", "bob@example.com", "profile@example.com"])
def test_a_player_is_found_by_id_login_or_address(called: str, pool: Pool, desk: Desk) -> None:
    assert desk("player", called)["player"]["userId"] == "id-of-bob"
    assert desk("block", called, *WHY)["done"]
    assert (pool.asked == []) == (called == "id-of-bob")
    assert ("is id-of-bob" in desk.shown("player", called)) == (called != "id-of-bob")


def test_nobody_is_guessed(pool: Pool, desk: Desk) -> None:
    with pytest.raises(OperatorError, match="name one of id-of-amy, id-of-ann"):
        desk("player", "both@example.com")
    with pytest.raises(OperatorError, match=r"no player nobody\. Nobody has it as login or e-mail"):
        desk("player", "nobody")
    with pytest.raises(OperatorError, match="Nobody has a b as login or address, and a player's"):
        desk("block", "a b", *WHY)
    for nothing in ("", " "):
        with pytest.raises(OperatorError, match="Say which player"):
            desk("erase", nothing, *WHY)
    with pytest.raises(OperatorError, match="Nobody has"):
        desk("block", 'bob" or "', *WHY)
    assert pool.asked[-1] == 'email = "bob\\" or \\""'


def test_the_id_is_what_tokens_hold(pool: Pool, desk: Desk) -> None:
    desk.target.__dict__["user_id_claim"] = "username"
    with pytest.raises(OperatorError, match="no player bob"):
        desk("player", "bob@example.com")


# Eighty columns


@pytest.mark.parametrize(
    "command",
    [
        "actions",
        "audit",
        "config",
        "config --history",
        "config --set HEIST_STEAL_PERCENTAGE=4",
        "erase robbed-0",
        "heists",
        "player robbed-1",
        "player robber-0",
        "report",
        "reverse before bad-1 bad-2 after --refund-token",
    ],
)
def test_every_screen_fits_a_terminal(
    command: str, desk: Desk, friday: list[str], game: Game, monkeypatch: pytest.MonkeyPatch
) -> None:
    game.sweep()
    desk("block", "robbed-1", "--reason", "why " * 50, "--apply")
    monkeypatch.setenv("COLUMNS", "80")
    shown = desk.shown(*command.split())
    assert max(map(len, shown.splitlines())) <= 80, shown
    assert "\x1b" not in shown


def test_an_erased_player_is_said_to_be(desk: Desk, friday: list[str], game: Game) -> None:
    desk("erase", "robbed-1", *WHY)
    shown = desk.shown("player", "robbed-1")
    assert f"ERASED since {NOW + timedelta(hours=4, seconds=1):%Y-%m-%d %H:%M:%S}" in shown
    assert "erased heists 1" in shown
    assert "Decimal" not in shown
