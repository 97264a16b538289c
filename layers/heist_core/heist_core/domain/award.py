"""Tokens for referrals, and points earned elsewhere."""

from dataclasses import dataclass
from datetime import datetime

from .player import Player
from .points import PointsChange
from .times import season_of


@dataclass(frozen=True, slots=True)
class Award:
    """One token for one referred player, ever (SPEC section 4).

    `referral_id` is the sender's, and None once a person it may name was erased. `correlation_id`
    is the id of the event that brought it, for logs only.
    """

    referred_id: str
    referrer_id: str
    referral_id: str | None
    referred_name: str | None
    at: datetime
    correlation_id: str | None = None

    @property
    def parties(self) -> tuple[str, str]:
        return self.referrer_id, self.referred_id

    @property
    def token_holder(self) -> str:
        return self.referrer_id


@dataclass(frozen=True, slots=True)
class TokenGrant:
    """Tokens that an operator gave to a player; `id` is that of the operator's action."""

    id: str
    player_id: str
    tokens: int
    at: datetime

    @property
    def parties(self) -> tuple[str]:
        return (self.player_id,)

    @property
    def token_holder(self) -> str:
        return self.player_id

    @property
    def correlation_id(self) -> str:
        return self.id


@dataclass(frozen=True, slots=True)
class EarnedPoints:
    """Points that another system gave to a player."""

    event_id: str
    player_id: str
    points: int
    point_event_type: str
    occurred_at: datetime

    @property
    def season(self) -> str:
        return season_of(self.occurred_at)

    def change_of(self, player: Player, now: datetime) -> PointsChange:
        """What they do to the player that was read."""
        return PointsChange(
            player_id=player.id,
            season=self.season,
            points=player.points_in(self.season) + self.points,
            change=self.points,
            reason=self.point_event_type,
            at=now,
            version=player.version + 1,
        )
