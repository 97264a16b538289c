"""Reverses a heist without going below zero; what the attacker lacks is the shortfall."""

from dataclasses import dataclass
from datetime import datetime

from .errors import NotReversible
from .heist import Heist
from .player import Player


@dataclass(frozen=True, slots=True)
class Reversal:
    """An operator reversed a heist. Points are those of the heist's own season."""

    heist_id: str
    action_id: str
    attacker_id: str
    victim_id: str
    attacker_name: str | None
    victim_name: str | None
    season: str
    at: datetime
    points_stolen: int
    points_returned: int
    attacker_points_before: int
    victim_points_before: int
    token_refunded: bool
    cooldown_lifted: bool
    attacker_version: int | None = None
    victim_version: int | None = None
    """Those of the players right after it; None where no record of it was kept."""

    @property
    def parties(self) -> tuple[str, str]:
        return self.attacker_id, self.victim_id

    @property
    def token_holder(self) -> str:
        """A refund gives the attacker's token back."""
        return self.attacker_id

    @property
    def correlation_id(self) -> str:
        return self.action_id

    @property
    def shortfall(self) -> int:
        """What the attacker no longer had, and the victim does not get back."""
        return self.points_stolen - self.points_returned

    @property
    def attacker_points_after(self) -> int:
        return self.attacker_points_before - self.points_returned

    @property
    def victim_points_after(self) -> int:
        return self.victim_points_before + self.points_returned


def plan_reversal(
    heist: Heist,
    attacker: Player,
    victim: Player,
    now: datetime,
    action_id: str,
    *,
    refund_token: bool,
) -> Reversal:
    """Give back what was stolen, as far as the attacker's points of its season go.

    A refund gives the token back as if it had not been spent, and lifts the attacker's cooldown if
    it was this heist that started it. The victim's protection stays.
    Raises NotReversible when a player is not there (an import may have brought the heist first), or
    no spent token is left to be refunded.
    """
    if not (attacker.exists and victim.exists):
        raise NotReversible("one of its players is not here")
    if refund_token and attacker.tokens_spent < 1:
        raise NotReversible("the attacker has no spent token to be refunded")
    season, stolen = heist.season, heist.plan.points_stolen
    held = attacker.points_in(season)
    return Reversal(
        heist_id=heist.heist_id,
        action_id=action_id,
        attacker_id=attacker.id,
        victim_id=victim.id,
        attacker_name=attacker.name,
        victim_name=victim.name,
        season=season,
        at=now,
        points_stolen=stolen,
        points_returned=min(stolen, held),
        attacker_points_before=held,
        victim_points_before=victim.points_in(season),
        token_refunded=refund_token,
        cooldown_lifted=refund_token and attacker.last_heist_at == heist.at,
        attacker_version=attacker.version + 1,
        victim_version=victim.version + 1,
    )
