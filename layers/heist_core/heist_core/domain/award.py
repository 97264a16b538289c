"""Tokens for referrals, and points earned elsewhere."""

from dataclasses import dataclass
from datetime import datetime


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
class EarnedPoints:
    """Points that another system gave to a player."""

    event_id: str
    player_id: str
    points: int
    point_event_type: str
    occurred_at: datetime
