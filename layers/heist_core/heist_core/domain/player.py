"""A player: identity, profile, tokens and points."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Generic, NamedTuple, TypeVar

from .times import season_before, season_of

PLAYER_ID = re.compile(r"[A-Za-z0-9._:@|-]{1,64}")
LARGEST_INTEGER_ID = 2**53 - 1
VICTIMS_REMEMBERED = 200
SEASONS_COUNTED = 2
"""At the edge of a season, clocks may still differ on which one it is."""

T = TypeVar("T")


def canonical_player_id(value: object) -> str:
    """The id as the string that is used everywhere inside; `7` and `"7"` are the same player.

    Raises ValueError for anything that is not an id (SPEC section 1).
    """
    if isinstance(value, int) and not isinstance(value, bool):
        if 0 <= value <= LARGEST_INTEGER_ID:
            return str(value)
    elif isinstance(value, str) and PLAYER_ID.fullmatch(value):
        return value
    raise ValueError(
        "must be a string of 1 to 64 characters from A-Z a-z 0-9 . _ : @ | - "
        f"or an integer from 0 to {LARGEST_INTEGER_ID}"
    )


@dataclass(frozen=True, slots=True)
class Dated(Generic[T]):
    """A value, and the moment its owner last changed it (None: never)."""

    value: T | None = None
    at: datetime | None = None

    def updated(self, value: T | None, at: datetime) -> "Dated[T]":
        """The newer of this value and an arriving one; at the same moment the arriving one wins."""
        if self.at is not None and at < self.at:
            return self
        return Dated(value, at)

    def doubted(self, latest: datetime) -> "Dated[T]":
        """Without its date if that is after `latest`: the clock was wrong, and any update wins."""
        return Dated(self.value) if self.at is not None and self.at > latest else self


class Suppression(NamedTuple):
    """Why no mail goes to an address any more: `BOUNCE` or `COMPLAINT`, and since when."""

    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known of a person. Each field from the user system is dated, so updates may arrive in
    any order."""

    name: Dated[str] = Dated()
    email: Dated[str] = Dated()
    email_opt_out: Dated[bool] = Dated()
    locale: Dated[str] = Dated()
    """BCP 47, as the user system sent it."""
    suppressed: Suppression | None = None
    """Of the address that they have now."""

    @property
    def mail_address(self) -> str | None:
        """Where mails go, if any may."""
        return None if self.suppressed else self.email.value

    def moved_to(self, email: Dated[str]) -> "Profile":
        """The same with that address. Whatever was suppressed, another is not."""
        before, after = (one.value and one.value.casefold() for one in (self.email, email))
        return replace(self, email=email, suppressed=self.suppressed if before == after else None)


@dataclass(frozen=True, slots=True)
class Losses:
    """How often a player was robbed in a season, and of how many points; what was reversed does not
    count."""

    robberies: int = 0
    points: int = 0


def newest_losses(losses: Mapping[str, Losses]) -> Mapping[str, Losses]:
    """Those that are kept."""
    return dict(sorted(losses.items())[-SEASONS_COUNTED:])


@dataclass(frozen=True, slots=True)
class Preferences:
    """A player's choices. `email` holds the delivery by kind of mail, where any was chosen."""

    passive: bool = False
    passive_switched_at: datetime | None = None
    hidden: bool = False
    email: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Player:
    """Everything that a heist's rules look at, as one version. Version 0: never heard of."""

    id: str
    version: int = 0
    tokens: int = 0
    tokens_earned: int = 0
    tokens_spent: int = 0
    tokens_granted: int = 0
    """Of those earned, what operators gave."""
    last_earned_at: datetime | None = None
    last_spent_at: datetime | None = None
    last_heist_at: datetime | None = None
    last_robbed_at: datetime | None = None
    blocked_at: datetime | None = None
    erased_at: datetime | None = None
    first_seen_at: datetime | None = None
    """When the first event about them came; None for who was here before that was kept."""
    points: Mapping[str, int] = field(default_factory=dict)
    """By season, without those that moved to `old_points`."""
    old_points: Mapping[str, int] = field(default_factory=dict)
    """Of finished seasons that were moved out of the way, as far as they were read."""
    losses: Mapping[str, Losses] = field(default_factory=dict)
    """Of the last seasons in which they were robbed."""
    victims: Mapping[str, datetime] = field(default_factory=dict)
    """Whom they robbed, and when last, as far as it is remembered."""
    profile: Profile = Profile()
    preferences: Preferences = Preferences()

    @property
    def exists(self) -> bool:
        return self.version > 0

    @property
    def blocked(self) -> bool:
        """Whether an operator keeps this player out of heists, on either side."""
        return self.blocked_at is not None

    @property
    def erased(self) -> bool:
        """Whether this person's data was erased: they look like an unknown player."""
        return self.erased_at is not None

    @property
    def can_be_robbed(self) -> bool:
        """Whether others find this player at all."""
        return self.exists and not self.blocked and not self.erased

    @property
    def shown(self) -> bool:
        """Whether others may see this player on boards and among targets."""
        return not (self.blocked or self.erased or self.preferences.hidden)

    def on_board(self, season: str) -> bool:
        return self.shown and self.points_in(season) > 0

    @property
    def name(self) -> str | None:
        return self.profile.name.value

    def points_in(self, season: str) -> int:
        """Points of a season; a season never played is 0."""
        return self.points.get(season, 0) + self.old_points.get(season, 0)

    def points_after(
        self, season: str, change: int, now: datetime
    ) -> tuple[Mapping[str, int], Mapping[str, int]]:
        """`points` after a change of a season's, and what it adds to `old_points`.

        What lies before the last season moves, however much there is of it. `old_points` must have
        been read for any season but the one that runs.
        """
        last = season_before(season_of(now))
        after = {**self.points, season: self.points.get(season, 0) + change}
        moved = {one: more for one, more in after.items() if one < last or one in self.old_points}
        return {one: each for one, each in after.items() if one not in moved}, moved

    def losses_in(self, season: str) -> Losses:
        return self.losses.get(season, Losses())

    def losses_after_heist(self, season: str, stolen: int) -> Mapping[str, Losses]:
        """`losses` once they are robbed of so many points more.

        A season is counted from its beginning or not at all: a player robbed in it before
        there were counters has none until the next.
        """
        begun = self.last_robbed_at is not None and season_of(self.last_robbed_at) == season
        if begun and season not in self.losses:
            return self.losses
        before = self.losses_in(season)
        after = Losses(before.robberies + 1, before.points + stolen)
        return newest_losses({**self.losses, season: after})

    def losses_after_reversal(self, season: str, returned: int) -> Mapping[str, Losses]:
        """`losses` once a heist on them is reversed, if its season is still counted."""
        if season not in self.losses:
            return self.losses
        before = self.losses[season]
        return {**self.losses, season: Losses(before.robberies - 1, before.points - returned)}

    def victims_after_heist(
        self, victim_id: str, at: datetime, kept: timedelta
    ) -> Mapping[str, datetime]:
        """`victims` once they rob one more, each as long as `kept` says.

        Of more than 200 the oldest are forgotten first.
        """
        recent = {
            victim: robbed_at
            for victim, robbed_at in {**self.victims, victim_id: at}.items()
            if at < robbed_at + kept
        }
        newest = sorted(recent, key=lambda victim: (recent[victim], victim))[-VICTIMS_REMEMBERED:]
        return {victim: recent[victim] for victim in newest}
