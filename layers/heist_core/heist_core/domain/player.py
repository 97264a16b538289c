"""A player: identity, profile, tokens and points."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

PLAYER_ID = re.compile(r"[A-Za-z0-9._:@|-]{1,64}")
LARGEST_INTEGER_ID = 2**53 - 1
NAME_LIMIT = 100

_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_UNWANTED_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})

T = TypeVar("T")


def canonical_player_id(value: object) -> str:
    """The id as the string it is everywhere inside; `7` and `"7"` are the same player.

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


def clean_name(name: str | None) -> str | None:
    """A name fit to be shown: no control or bidi characters, at most 100 characters, or None."""
    if name is None:
        return None
    kept = "".join(character for character in name if not steers(character))[:NAME_LIMIT]
    return kept if any(map(_visible, kept)) else None


def steers(character: str) -> bool:
    """Whether a character steers what shows it (control, bidi, line separators) instead of being shown."""
    return character in _BIDI or unicodedata.category(character) in _UNWANTED_CATEGORIES


def _visible(character: str) -> bool:
    return not character.isspace() and unicodedata.category(character) != "Cf"


@dataclass(frozen=True, slots=True)
class Dated(Generic[T]):
    """A value, and the moment its owner last changed it (None: never)."""

    value: T | None = None
    at: datetime | None = None

    def updated(self, value: T | None, at: datetime) -> "Dated[T]":
        """The newer of what stands here and what arrives; at the same moment the arrival wins."""
        if self.at is not None and at < self.at:
            return self
        return Dated(value, at)


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known of a person. Each field is dated, so updates may arrive in any order."""

    name: Dated[str] = Dated()
    email: Dated[str] = Dated()
    email_opt_out: Dated[bool] = Dated()


@dataclass(frozen=True, slots=True)
class Player:
    """Everything that a heist's rules look at, as one version. Version 0: never heard of."""

    id: str
    version: int = 0
    tokens: int = 0
    tokens_earned: int = 0
    tokens_spent: int = 0
    last_earned_at: datetime | None = None
    last_spent_at: datetime | None = None
    last_heist_at: datetime | None = None
    last_robbed_at: datetime | None = None
    blocked_at: datetime | None = None
    erased_at: datetime | None = None
    points: Mapping[str, int] = field(default_factory=dict)
    profile: Profile = Profile()

    @property
    def exists(self) -> bool:
        return self.version > 0

    @property
    def blocked(self) -> bool:
        """Whether an operator keeps this player out of heists, on either side."""
        return self.blocked_at is not None

    @property
    def erased(self) -> bool:
        """Whether this person's data was erased: they look like a player never heard of."""
        return self.erased_at is not None

    @property
    def can_be_robbed(self) -> bool:
        """Whether others find this player at all."""
        return self.exists and not self.blocked and not self.erased

    @property
    def name(self) -> str | None:
        return self.profile.name.value

    def points_in(self, season: str) -> int:
        """Points of a season; a season never played is 0."""
        return self.points.get(season, 0)
