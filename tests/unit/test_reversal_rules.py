"""Undoing a heist: as far as the attacker's points go, and the token only when asked for."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heist_core.domain.errors import NotReversible
from heist_core.domain.player import Player
from heist_core.domain.reversal import Reversal, plan_reversal
from tests.builders import HOUR, MILLISECOND, NOW, heist, player

LATER = NOW + 40 * 24 * HOUR
ROBBER = replace(
    player("alice", tokens=2, points=1040, name="Allie", last_heist_at=NOW), tokens_spent=1
)
ROBBED = player("bob", points=760, name="Bob", last_robbed_at=NOW)


def undone(
    robber: Player = ROBBER, robbed: Player = ROBBED, *, refund_token: bool = False
) -> Reversal:
    return plan_reversal(heist(), robber, robbed, LATER, "action-1", refund_token=refund_token)


def test_a_reversal_gives_back_what_was_stolen_and_nothing_else() -> None:
    assert undone() == Reversal(
        heist_id=heist().attempt.id,
        action_id="action-1",
        attacker_id="alice",
        victim_id="bob",
        attacker_name="Allie",
        victim_name="Bob",
        season="2026-11",
        at=LATER,
        points_stolen=40,
        points_returned=40,
        attacker_points_before=1040,
        victim_points_before=760,
        token_refunded=False,
        cooldown_lifted=False,
        attacker_version=2,
        victim_version=2,
    )
    assert undone().shortfall == 0
    assert (undone().attacker_points_after, undone().victim_points_after) == (1000, 800)


def test_points_of_other_seasons_are_left_alone() -> None:
    robber = replace(ROBBER, points={"2026-11": 10, "2027-01": 5000})
    reversal = undone(robber)
    assert (reversal.season, reversal.points_returned, reversal.shortfall) == ("2026-11", 10, 30)
    robbed = replace(ROBBED, points={"2027-01": 7})
    assert undone(robbed=robbed).victim_points_after == 40


def test_who_has_nothing_left_gives_nothing_back() -> None:
    reversal = undone(replace(ROBBER, points={}))
    assert (reversal.points_returned, reversal.shortfall) == (0, 40)
    assert (reversal.attacker_points_after, reversal.victim_points_after) == (0, 760)


@given(
    held=st.integers(0, 10**6),
    stolen=st.integers(1, 10**6),
    robbed=st.integers(0, 10**6),
    refund_token=st.booleans(),
)
def test_nobody_goes_below_zero_and_no_point_appears_or_vanishes(
    held: int, stolen: int, robbed: int, refund_token: bool
) -> None:
    reversal = plan_reversal(
        heist(stolen=stolen),
        replace(ROBBER, points={"2026-11": held}),
        replace(ROBBED, points={"2026-11": robbed}),
        LATER,
        "action-1",
        refund_token=refund_token,
    )
    assert 0 <= reversal.points_returned <= stolen
    assert reversal.points_returned + reversal.shortfall == stolen
    assert reversal.attacker_points_after >= 0
    assert reversal.attacker_points_after + reversal.victim_points_after == held + robbed
    assert reversal.shortfall == 0 or reversal.attacker_points_after == 0


def test_the_cooldown_is_lifted_with_the_token_if_this_heist_started_it() -> None:
    assert undone(refund_token=True).token_refunded
    assert undone(refund_token=True).cooldown_lifted
    assert not undone().cooldown_lifted
    for other in (NOW + MILLISECOND, NOW - MILLISECOND, None):
        reversal = undone(replace(ROBBER, last_heist_at=other), refund_token=True)
        assert reversal.token_refunded
        assert not reversal.cooldown_lifted


def test_a_heist_of_players_who_are_not_here_yet_is_not_reversed() -> None:
    for robber, robbed in ((replace(ROBBER, version=0), ROBBED), (ROBBER, Player("bob"))):
        with pytest.raises(NotReversible, match=r"^one of its players is not here$"):
            undone(robber, robbed)


def test_a_token_that_was_not_spent_is_not_refunded() -> None:
    robber = replace(ROBBER, tokens_spent=0)
    with pytest.raises(NotReversible, match=r"^the attacker has no spent token to be refunded$"):
        undone(robber, refund_token=True)
    assert not undone(robber).token_refunded
