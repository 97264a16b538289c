"""What is kept of robberies for fair play, and when passive mode is locked."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from heist_core.domain.player import Losses, Player, Preferences
from heist_core.domain.preferences import passive_locked_until
from heist_core.domain.times import season_end
from tests.builders import HOUR, MILLISECOND, NOW, SEASON, player, rules

BOB = player("bob", points=800)


def test_robberies_and_losses_of_a_season_add_up() -> None:
    bob = BOB
    for stolen in (40, 38):
        losses = bob.losses_after_heist(SEASON, stolen)
        bob = replace(bob, losses=losses, last_robbed_at=NOW)
    assert bob.losses_in(SEASON) == Losses(2, 78)
    assert bob.losses_in("2026-12") == Losses()


def test_only_the_last_two_seasons_are_kept_in_whatever_order_they_come() -> None:
    kept = {"2026-09": Losses(3, 9), "2026-10": Losses(2, 8)}
    bob = replace(BOB, losses=kept)
    assert bob.losses_after_heist("2026-11", 5) == {
        "2026-10": Losses(2, 8),
        "2026-11": Losses(1, 5),
    }
    assert bob.losses_after_heist("2026-09", 5) == {**kept, "2026-09": Losses(4, 14)}


def test_a_season_that_began_without_counters_is_not_counted() -> None:
    """Else the counters would tell less than the ledger."""
    bob = replace(BOB, last_robbed_at=NOW)
    assert bob.losses_after_heist(SEASON, 40) == {}
    assert bob.losses_after_heist("2026-12", 40) == {"2026-12": Losses(1, 40)}


def test_a_reversal_gives_back_the_robbery_and_what_was_returned() -> None:
    bob = replace(BOB, losses={SEASON: Losses(2, 78)})
    assert bob.losses_after_reversal(SEASON, 30) == {SEASON: Losses(1, 48)}
    assert bob.losses_after_reversal("2026-09", 30) == bob.losses


def test_victims_are_remembered_as_long_as_the_setting_asks() -> None:
    alice = replace(player("alice"), victims={"bob": NOW - 2 * HOUR, "carol": NOW - HOUR})
    assert alice.victims_after_heist("dave", NOW, 2 * HOUR) == {"carol": NOW - HOUR, "dave": NOW}
    assert alice.victims_after_heist("carol", NOW, 3 * HOUR) == {
        "bob": NOW - 2 * HOUR,
        "carol": NOW,
    }
    assert alice.victims_after_heist("dave", NOW, 0 * HOUR) == {}


def test_of_more_than_200_victims_the_oldest_is_forgotten() -> None:
    victims = {f"v{number}": NOW - number * MILLISECOND for number in range(200)}
    alice = replace(player("alice"), victims=victims)
    after = alice.victims_after_heist("new", NOW + MILLISECOND, HOUR)
    assert len(after) == 200
    assert "v199" not in after
    assert {"v0", "v198", "new"} <= after.keys()
    assert len(alice.victims_after_heist("v5", NOW + MILLISECOND, HOUR)) == 200


@pytest.mark.parametrize(
    ("season", "end"), [("2026-11", (2026, 12)), ("2026-12", (2027, 1)), ("2027-02", (2027, 3))]
)
def test_a_season_ends_where_the_next_begins(season: str, end: tuple[int, int]) -> None:
    assert season_end(season) == datetime(*end, 1, tzinfo=UTC)


def locked(alice: Player, hours: int = 24) -> datetime | None:
    return passive_locked_until(alice, rules(passive_lock_hours=hours), NOW)


@pytest.mark.parametrize("passive", [False, True])
def test_a_switch_locks_the_next_for_some_hours(passive: bool) -> None:
    switched = Preferences(passive=passive, passive_switched_at=NOW - 23 * HOUR)
    alice = replace(player("alice"), preferences=switched)
    assert locked(alice) == NOW + HOUR
    assert locked(alice, 23) is None
    assert locked(alice, 0) is None


def test_a_heist_locks_switching_on_but_not_off() -> None:
    robber = replace(player("alice", last_heist_at=NOW - HOUR), last_spent_at=NOW - HOUR)
    assert locked(robber) == NOW + 23 * HOUR
    assert locked(replace(robber, preferences=Preferences(passive=True))) is None


def test_a_reversal_that_lifts_the_cooldown_does_not_lift_the_lock() -> None:
    robber = replace(player("alice"), last_spent_at=NOW - HOUR)
    assert locked(robber) == NOW + 23 * HOUR


def test_the_later_of_two_reasons_counts() -> None:
    alice = replace(
        player("alice", last_heist_at=NOW - 2 * HOUR),
        preferences=Preferences(passive_switched_at=NOW - 5 * HOUR),
    )
    assert locked(alice) == NOW + 22 * HOUR
