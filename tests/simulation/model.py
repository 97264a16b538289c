"""A sequential model of the game: one thing at a time, nothing in between.

Written from SPEC sections 2 to 4 and not from the product's code, which it is there to check.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

REFUSALS = frozenset(
    {
        "FEATURE_DISABLED",
        "ATTACKER_BLOCKED",
        "NO_TOKENS",
        "COOLDOWN_ACTIVE",
        "SELF_TARGET",
        "TARGET_NOT_FOUND",
        "TARGET_BELOW_MINIMUM",
        "TARGET_PROTECTED",
        "STEAL_TOO_SMALL",
        "RATE_LIMITED",
        "IDEMPOTENCY_MISMATCH",
    }
)


@dataclass(frozen=True)
class Rules:
    enabled: bool = True
    cooldown_hours: int = 24
    protection_hours: int = 48
    percentage: int = 5
    most: int = 100
    least: int = 20
    attempts_a_minute: int = 10


@dataclass(frozen=True)
class Player:
    known: bool = False
    name: str | None = None
    tokens: int = 0
    earned: int = 0
    spent: int = 0
    points: Mapping[str, int] = field(default_factory=dict)
    last_heist: datetime | None = None
    last_robbed: datetime | None = None
    last_spent: datetime | None = None
    blocked: bool = False
    erased: bool = False

    def with_points(self, season: str, more: int) -> "Player":
        return replace(self, points={**self.points, season: self.points.get(season, 0) + more})


def season_of(at: datetime) -> str:
    return at.strftime("%Y-%m")


def loot(robbed: Player, rules: Rules, at: datetime) -> int:
    return min(robbed.points.get(season_of(at), 0) * rules.percentage // 100, rules.most)


def verdict(
    robber: Player, robbed: Player, is_self: bool, rules: Rules, at: datetime
) -> tuple[str, datetime | None]:
    """The first check that says no, and until when; ("", None) if the heist is on."""
    free = at if robber.last_heist is None else _after(robber.last_heist, rules.cooldown_hours)
    safe = at if robbed.last_robbed is None else _after(robbed.last_robbed, rules.protection_hours)
    checks = (
        ("FEATURE_DISABLED", not rules.enabled, None),
        ("ATTACKER_BLOCKED", robber.blocked, None),
        ("NO_TOKENS", robber.tokens < 1 or robber.erased, None),
        ("COOLDOWN_ACTIVE", at < free, free),
        ("SELF_TARGET", is_self, None),
        ("TARGET_NOT_FOUND", not robbed.known or robbed.blocked or robbed.erased, None),
        ("TARGET_BELOW_MINIMUM", robbed.points.get(season_of(at), 0) < rules.least, None),
        ("TARGET_PROTECTED", at < safe, safe),
        ("STEAL_TOO_SMALL", loot(robbed, rules, at) < 1, None),
    )
    return next(((code, until) for code, says_no, until in checks if says_no), ("", None))


def _after(moment: datetime, hours: int) -> datetime:
    return moment + timedelta(hours=hours)


class Game:
    """Everybody's state; a method per thing that can happen."""

    def __init__(self) -> None:
        self.players: dict[str, Player] = defaultdict(Player)

    def meet(self, who: str, name: str | None) -> None:
        self.players[who] = replace(self.players[who], known=True, name=name)

    def earn(self, who: str, season: str, points: int) -> None:
        self.players[who] = replace(self.players[who].with_points(season, points), known=True)

    def award(self, who: str) -> None:
        was = self.players[who]
        self.players[who] = replace(was, known=True, tokens=was.tokens + 1, earned=was.earned + 1)

    def block(self, who: str, blocked: bool) -> None:
        self.players[who] = replace(self.players[who], blocked=blocked)

    def erase(self, who: str) -> None:
        was = self.players[who]
        self.players[who] = replace(was, known=True, name=None, blocked=False, erased=True)

    def reverse(
        self, attacker: str, victim: str, stolen: int, season: str, at: datetime, refund: bool
    ) -> int:
        """The points that go back: as many of those stolen at a time as the attacker still has."""
        robber = self.players[attacker]
        back = min(stolen, robber.points.get(season, 0))
        if refund:
            lifted = None if robber.last_heist == at else robber.last_heist
            robber = replace(robber, tokens=robber.tokens + 1, spent=robber.spent - 1)
            robber = replace(robber, last_heist=lifted)
        self.players[attacker] = robber.with_points(season, -back)
        self.players[victim] = self.players[victim].with_points(season, back)
        return back

    def rob(self, attacker: str, victim: str, rules: Rules, at: datetime) -> int:
        """The points that change hands; the verdict must have been yes."""
        robber, robbed, season = self.players[attacker], self.players[victim], season_of(at)
        stolen = loot(robbed, rules, at)
        robber = replace(robber, tokens=robber.tokens - 1, spent=robber.spent + 1)
        robber = replace(robber, last_heist=at, last_spent=at)
        self.players[attacker] = robber.with_points(season, stolen)
        self.players[victim] = replace(robbed, last_robbed=at).with_points(season, -stolen)
        return stolen
