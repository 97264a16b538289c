"""What the three reports count, by the hour, and the requests that count it."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from heist_core.domain.errors import Malformed
from heist_core.domain.statistics import (
    DAYS_WINDOW,
    ROBBERS_SHOWN,
    ROBBERS_WINDOW,
    Day,
    Holding,
    Robber,
    Takings,
    hour_of,
    strongest,
    window_start,
)
from heist_core.storage import counting, keys, wire
from heist_core.storage.counting import Generation
from heist_core.storage.writes import Transaction
from tests.builders import NOW, heist, refused

OLD, NEW = "2026-10-20T11", "2026-11-20T11"
SINCE = "2026-10-23T12"


def robber(name: str, heists: int, points: int, old: int = 0) -> Robber:
    hours = {NEW: Takings(heists, points)} if heists else {}
    return Robber(name, {**hours, **({OLD: Takings(old, 1000 * old)} if old else {})}, version=4)


def ranked(*robbers: Robber) -> list[Robber]:
    return sorted(robbers, key=lambda one: one.rank, reverse=True)


def names(robbers: list[Robber]) -> str:
    return "".join(one.player_id for one in robbers)


# Rules


def test_the_windows_are_seven_and_thirty_days_from_the_start_of_the_hour() -> None:
    assert (timedelta(days=7), timedelta(days=30)) == (DAYS_WINDOW, ROBBERS_WINDOW)
    now = datetime(2026, 11, 22, 12, 34, 56, 789_000, tzinfo=UTC)
    assert window_start(now, DAYS_WINDOW) == datetime(2026, 11, 15, 12, tzinfo=UTC)


def test_an_hour_is_that_of_utc() -> None:
    there = timezone(timedelta(hours=2))
    assert hour_of(datetime(2026, 11, 23, 1, 59, 59, 999_000, tzinfo=there)) == "2026-11-22T23"


def test_the_average_of_a_day_is_exact_and_there_is_none_without_a_success() -> None:
    assert Day("2026-11-22", Takings(4, 10)).average_stolen == 2.5
    assert Day("2026-11-22", failed=3).average_stolen is None
    assert (Day("2026-11-22").succeeded, Day("2026-11-22").failed) == (Takings(0, 0), 0)


def test_takings_add_up_by_hour() -> None:
    after = robber("a", 2, 90).having_taken(NEW, Takings(1, 7)).having_taken("later", Takings(3, 1))
    assert after.hours == {NEW: Takings(3, 97), "later": Takings(3, 1)}
    assert (after.takings, after.version) == (Takings(6, 98), 4)
    assert after.rank == (6, 98, "a")


def test_what_lies_before_an_hour_is_left_out_and_that_hour_is_not() -> None:
    both = robber("a", 1, 10, old=2)
    assert both.since(NEW) == robber("a", 1, 10)
    assert both.since(OLD) == both
    assert Robber("a").version == 0


def test_the_ten_strongest_are_those_with_most_heists_then_points_then_by_name() -> None:
    many = [robber(name, 1, 5) for name in "abcdefgh"]
    top, stale = strongest(
        ranked(*many, robber("x", 2, 2), robber("y", 1, 6), robber("z", 9, 1), robber("w", 1, 4)),
        SINCE,
    )
    assert (names(top), len(top), stale) == ("zxyhgfedcb", ROBBERS_SHOWN, [])


def test_what_is_over_counts_no_more_and_is_told_to_be_stale() -> None:
    top, stale = strongest(
        ranked(robber("o", 1, 5, old=9), robber("a", 2, 9), robber("g", 0, 0, old=5)), SINCE
    )
    assert names(top) == "ao"
    assert top[1].hours == {NEW: Takings(1, 5)}
    assert stale == [robber("o", 1, 5, old=9), robber("g", 0, 0, old=5)]


def test_no_more_is_read_than_can_still_matter() -> None:
    read = []

    def standings() -> Any:
        for one in [
            *(robber(name, 5, 5) for name in "jihgfedcba"),
            robber("z", 4, 9),
            *[robber("y", 3, 1)],
        ]:
            read.append(one.player_id)
            yield one

    top, _ = strongest(standings(), SINCE)
    assert (names(top), "".join(read)) == ("jihgfedcba", "jihgfedcbaz")


def test_one_who_fell_behind_does_not_end_the_search() -> None:
    first = [robber(name, 5, 5) for name in "jihgfedcb"]
    top, stale = strongest([robber("o", 1, 1, old=9), *first, robber("a", 2, 2)], SINCE)
    assert names(top) == "jihgfedcba"
    assert names(stale) == "o"


# Items


def test_a_robber_is_what_was_put() -> None:
    item = counting.robber_item(3, robber("alice", 2, 90, old=1))
    assert counting.robber_from("alice", item) == replace(robber("alice", 2, 90, old=1), version=5)
    assert counting.robber_from("alice", None) == Robber("alice")
    assert item["robberPlace"] == "00000003#00000000001090#alice"


def test_a_robber_without_takings_has_no_place_in_the_standings() -> None:
    item = counting.robber_item(3, robber("alice", 0, 0))
    assert not {"robberPlace", "robberShard"} & set(item)


@pytest.mark.parametrize(
    "broken",
    [{"hours": None}, {"hours": {NEW: [1]}}, {"hours": {NEW: ["x", 1]}}, {"version": "x"}],
)
def test_a_robber_that_cannot_be_read_is_said_to_be(broken: dict[str, object]) -> None:
    item = {**counting.robber_item(3, robber("alice", 2, 90)), **broken}
    with pytest.raises(Malformed, match=r"^hours, tokens or version of a robber cannot be read$"):
        counting.robber_from("alice", item)


def test_keys_are_those_of_a_generation() -> None:
    made = [
        keys.day(3, "2026-11-22", 7),
        keys.balances(3, 7),
        keys.robber(3, "alice"),
    ]
    assert made == [
        {"pk": "DAY#3#2026-11-22#7", "sk": "DAY"},
        {"pk": "BALANCES#3#7", "sk": "BALANCES"},
        {"pk": "ROBBER#3#alice", "sk": "ROBBER"},
    ]
    assert [keys.generation_of(key) for key in made] == [3, 3, 3]
    assert keys.robber_id_of(made[-1]) == "alice"


def test_the_pointer_says_what_is_read_and_what_is_written() -> None:
    assert counting.generation_from(None) == Generation(1, 1)
    assert counting.generation_from({"read": 2, "written": 3}) == Generation(2, 3)
    assert counting.generation_from({}) == Generation(0, 0)
    assert Generation(2, 3).rebuilding
    assert not Generation(2, 2).rebuilding


# Requests


def steps(transaction: Any, name: str) -> list[dict[str, Any]]:
    return [next(iter(step.action.values())) for step in transaction if step.name == name]


def values(request: dict[str, Any]) -> dict[str, object]:
    return wire.from_wire(request["ExpressionAttributeValues"])


def test_facts_of_a_batch_are_marked_one_by_one_and_summed_up_by_day_and_robber() -> None:
    hour, day = timedelta(hours=1), timedelta(days=1)
    facts: list[Any] = [
        heist("alice", heist_id="h1", stolen=40),
        heist("alice", heist_id="h2", stolen=2, at=NOW - hour),
        heist("carol", heist_id="h3", stolen=5, at=NOW - day),
        refused(heist_id="r1", at=NOW - day),
        refused(heist_id="r2", at=NOW - day),
    ]
    robbers = {"alice": Robber("alice"), "carol": Robber("carol", {NEW: Takings(1, 1)}, 3)}
    made = counting.count_facts(3, facts, robbers, NOW)

    assert [step.name for step in made] == ["fact"] * 5 + ["day"] * 2 + ["robber"] * 2
    assert [next(iter(step.action)) for step in made] == ["Update"] * 7 + ["Put"] * 2
    earlier, today = steps(made, "day")
    assert earlier["UpdateExpression"] == "ADD f12 :f12, p12 :p12, s12 :s12 SET expiresAt = :end"
    ends = int(datetime(2026, 11, 22, tzinfo=UTC).timestamp()) + 9 * 86_400
    assert values(earlier) == {":f12": 2, ":p12": 5, ":s12": 1, ":end": ends}
    assert values(today) == {
        ":s12": 1,
        ":p12": 40,
        ":s11": 1,
        ":p11": 2,
        ":end": ends + 86_400,
    }
    shards = {wire.from_wire(one["Key"])["pk"].rpartition("#")[2] for one in (earlier, today)}  # type: ignore[attr-defined]
    assert len(shards) == 1
    alice, carol = (wire.from_wire(one["Item"]) for one in steps(made, "robber"))
    assert alice["hours"] == {"2026-11-22T12": [1, 40], "2026-11-22T11": [1, 2]}
    assert carol["hours"] == {NEW: [1, 1], "2026-11-21T12": [1, 5]}
    assert (alice["version"], carol["version"]) == (1, 4)


@pytest.mark.parametrize(
    ("age", "days", "robbers"),
    [
        (timedelta(days=9), 1, 1),
        (timedelta(days=9, milliseconds=1), 0, 1),
        (timedelta(days=32), 0, 1),
        (timedelta(days=32, hours=1), 0, 0),
    ],
)
def test_what_no_report_looks_at_any_more_is_marked_and_not_counted(
    age: timedelta, days: int, robbers: int
) -> None:
    old = heist("alice", at=NOW - age)
    made = counting.count_facts(3, [old], {"alice": Robber("alice")}, NOW)
    assert len(steps(made, "fact")) == 1
    assert (len(steps(made, "day")), len(steps(made, "robber"))) == (days, robbers)


def test_an_hour_holds_all_of_its_heists() -> None:
    facts = [heist("alice", heist_id="h1", stolen=40), heist("alice", heist_id="h2", stolen=2)]
    made = counting.count_facts(3, facts, {"alice": Robber("alice")}, NOW)
    [day], [alice] = steps(made, "day"), steps(made, "robber")
    assert (values(day)[":s12"], values(day)[":p12"]) == (2, 42)
    assert wire.from_wire(alice["Item"])["hours"] == {"2026-11-22T12": [2, 42]}


def test_a_day_ends_by_utc_wherever_the_machine_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    def end() -> object:
        time.tzset()
        return values(steps(counting.count_facts(3, [refused()], {}, NOW), "day")[0])[":end"]

    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "Asia/Tokyo")
        there = end()
    assert there == end()


def test_a_day_that_is_too_old_does_not_keep_others_from_being_counted() -> None:
    facts = [refused(heist_id="r1", at=NOW - timedelta(days=20)), refused(heist_id="r2")]
    made = counting.count_facts(3, facts, {}, NOW)
    assert [values(one)[":f12"] for one in steps(made, "day")] == [1]


def moved(**moves: tuple[Holding, Holding]) -> Transaction:
    """What is written when these players' tokens changed (before, after)."""
    robbers = {who: Robber(who, holding=before) for who, (before, _) in moves.items()}
    after = {who: holding for who, (_, holding) in moves.items()}
    return counting.count_facts(3, [], robbers, NOW, holdings=after)


def test_moves_between_balances_cancel_out() -> None:
    made = moved(
        alice=(Holding(1, 2), Holding(2, 3)),
        bob=(Holding(1, 3), Holding(5, 2)),
        carol=(Holding(), Holding(1, 0)),
        dora=(Holding(1, 4), Holding(2)),
        eve=(Holding(), Holding(2)),
    )

    assert [step.name for step in made] == ["robber"] * 5 + ["balances"]
    assert [next(iter(step.action)) for step in made] == ["Update"] * 6
    [balances] = steps(made, "balances")
    assert balances["UpdateExpression"] == "ADD b0 :b0, b4 :b4"
    assert values(balances) == {":b0": 1, ":b4": -1}
    gone, never = steps(made, "robber")[3:]
    assert gone["UpdateExpression"] == "SET tokensAt = :at REMOVE tokens"
    assert values(gone) == {":at": 2, ":tokensAt": 1}
    assert values(never) == {":at": 2}


def test_moves_that_cancel_out_entirely_change_no_balance() -> None:
    made = moved(
        alice=(Holding(1, 2), Holding(2, 3)),
        bob=(Holding(1, 3), Holding(5, 2)),
    )
    assert not steps(made, "balances")


def test_tokens_that_were_counted_later_or_just_so_are_not_counted_again() -> None:
    assert not moved(
        alice=(Holding(2, 3), Holding(2, 3)),
        bob=(Holding(5, 2), Holding(4, 3)),
    )


def test_a_robber_is_put_with_the_tokens_that_changed_or_with_those_that_stay() -> None:
    facts = [heist("alice", "bob", "h1"), heist("carol", "bob", "h2")]
    robbers = {
        "alice": Robber("alice", holding=Holding(3, 2)),
        "carol": Robber("carol", holding=Holding(9, 5)),
    }
    made = counting.count_facts(3, facts, robbers, NOW, holdings={"alice": Holding(4, 1)})
    items = [wire.from_wire(put["Item"]) for put in steps(made, "robber")]
    assert [(item["tokens"], item["tokensAt"]) for item in items] == [(1, 4), (5, 9)]
    assert [put["ConditionExpression"] for put in steps(made, "robber")] == [
        "attribute_not_exists(version) AND tokensAt = :tokensAt"
    ] * 2
    assert [values(put) for put in steps(made, "robber")] == [{":tokensAt": 3}, {":tokensAt": 9}]
