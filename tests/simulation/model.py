"""A sequential model of the game: one thing at a time, nothing in between.

Written from SPEC sections 2 to 4 and 7 and not from the product's code, which it is there to check.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

REFUSALS = frozenset(
    {
        "FEATURE_DISABLED",
        "ATTACKER_BLOCKED",
        "ATTACKER_PASSIVE",
        "NO_TOKENS",
        "COOLDOWN_ACTIVE",
        "ATTACKER_NEW",
        "SELF_TARGET",
        "TARGET_NOT_FOUND",
        "TARGET_PASSIVE",
        "TARGET_NEW",
        "TARGET_BELOW_MINIMUM",
        "TARGET_PROTECTED",
        "TARGET_LOSS_LIMIT",
        "PAIR_COOLDOWN",
        "STEAL_TOO_SMALL",
        "RATE_LIMITED",
        "IDEMPOTENCY_MISMATCH",
    }
)


@dataclass(frozen=True)
class Rules:
    """Settings, under their names without HEIST_."""

    enabled: bool = True
    cooldown_hours: int = 24
    target_cooldown_hours: int = 48
    steal_percentage: int = 5
    max_steal_points: int = 100
    min_target_points: int = 20
    rate_limit_per_minute: int = 10
    max_robberies_per_season: int = 0
    max_loss_percentage: int = 100
    pair_cooldown_hours: int = 0
    newcomer_hours: int = 0
    passive_lock_hours: int = 24


@dataclass(frozen=True)
class Player:
    known: bool = False
    name: str | None = None
    tokens: int = 0
    earned: int = 0
    spent: int = 0
    granted: int = 0
    points: Mapping[str, int] = field(default_factory=dict)
    last_heist: datetime | None = None
    last_robbed: datetime | None = None
    last_spent: datetime | None = None
    blocked: bool = False
    erased: bool = False
    passive: bool = False
    switched: datetime | None = None
    hidden: bool = False
    mails: Mapping[str, str] = field(default_factory=dict)
    first_seen: datetime | None = None
    losses: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """How often, and of how many points, by season."""
    victims: Mapping[str, datetime] = field(default_factory=dict)

    def with_points(self, season: str, more: int) -> "Player":
        return replace(self, points={**self.points, season: self.points.get(season, 0) + more})


def season_of(at: datetime) -> str:
    return at.strftime("%Y-%m")


def season_end(at: datetime) -> datetime:
    return (at.replace(day=28, hour=0, minute=0, second=0, microsecond=0) + timedelta(4)).replace(
        day=1
    )


def left_to_lose(robbed: Player, rules: Rules, at: datetime) -> int:
    """Of all that they would have if nobody had robbed them; all that they have, without limit."""
    points = robbed.points.get(season_of(at), 0)
    if rules.max_loss_percentage == 100:
        return points
    _, lost = robbed.losses.get(season_of(at), (0, 0))
    return (points + lost) * rules.max_loss_percentage // 100 - lost


def loot(robbed: Player, rules: Rules, at: datetime) -> int:
    share = robbed.points.get(season_of(at), 0) * rules.steal_percentage // 100
    return min(share, rules.max_steal_points, left_to_lose(robbed, rules, at))


def robbed_enough(robbed: Player, rules: Rules, at: datetime) -> bool:
    robberies, _ = robbed.losses.get(season_of(at), (0, 0))
    often = 0 < rules.max_robberies_per_season <= robberies
    return often or (rules.max_loss_percentage < 100 and left_to_lose(robbed, rules, at) < 1)


def locked_until(player: Player, rules: Rules, at: datetime) -> datetime | None:
    """Until when passive mode cannot be switched; None: it can."""
    since = [player.switched] if player.passive else [player.switched, player.last_spent]
    ends = [_after(moment, rules.passive_lock_hours) for moment in since if moment is not None]
    return max((end for end in ends if at < end), default=None)


def remembered(robber: Player, victim: str, rules: Rules, at: datetime) -> dict[str, datetime]:
    """Whom the robber robbed, with this victim, as far as the setting asks."""
    return {
        one: when
        for one, when in {**robber.victims, victim: at}.items()
        if at < _after(when, rules.pair_cooldown_hours)
    }


def verdict(
    robber: Player, robbed: Player, victim: str, is_self: bool, rules: Rules, at: datetime
) -> tuple[str, datetime | None]:
    """The first check that says no, and until when; ("", None) if the heist is on."""

    def end(since: datetime | None, hours: int) -> datetime:
        return at if since is None else _after(since, hours)

    free = end(robber.last_heist, rules.cooldown_hours)
    safe = end(robbed.last_robbed, rules.target_cooldown_hours)
    grown_up = end(robber.first_seen, rules.newcomer_hours)
    known_long = end(robbed.first_seen, rules.newcomer_hours)
    again = end(robber.victims.get(victim), rules.pair_cooldown_hours)
    points = robbed.points.get(season_of(at), 0)
    checks = (
        ("FEATURE_DISABLED", not rules.enabled, None),
        ("ATTACKER_BLOCKED", robber.blocked, None),
        ("ATTACKER_PASSIVE", robber.passive, None),
        ("NO_TOKENS", robber.tokens < 1 or robber.erased, None),
        ("COOLDOWN_ACTIVE", at < free, free),
        ("ATTACKER_NEW", at < grown_up, grown_up),
        ("SELF_TARGET", is_self, None),
        ("TARGET_NOT_FOUND", not robbed.known or robbed.blocked or robbed.erased, None),
        ("TARGET_PASSIVE", robbed.passive, None),
        ("TARGET_NEW", at < known_long, known_long),
        ("TARGET_BELOW_MINIMUM", points < rules.min_target_points, None),
        ("TARGET_PROTECTED", at < safe, safe),
        ("TARGET_LOSS_LIMIT", robbed_enough(robbed, rules, at), season_end(at)),
        ("PAIR_COOLDOWN", at < again, again),
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

    def grant(self, who: str, tokens: int) -> None:
        was = self.players[who]
        self.players[who] = replace(
            was,
            tokens=was.tokens + tokens,
            earned=was.earned + tokens,
            granted=was.granted + tokens,
        )

    def see(self, who: str, at: datetime) -> None:
        """The first time that anything is known of somebody."""
        self.players[who] = replace(self.players[who], first_seen=at)

    def remember(self, who: str, victims: Mapping[str, datetime]) -> None:
        self.players[who] = replace(self.players[who], victims=victims)

    def choose(
        self,
        who: str,
        passive: bool,
        switched: datetime | None,
        hidden: bool,
        mails: Mapping[str, str],
    ) -> None:
        self.players[who] = replace(
            self.players[who],
            known=True,
            passive=passive,
            switched=switched,
            hidden=hidden,
            mails=mails,
        )

    def block(self, who: str, blocked: bool) -> None:
        self.players[who] = replace(self.players[who], blocked=blocked)

    def erase(self, who: str) -> None:
        was = self.players[who]
        self.players[who] = Player(
            known=True,
            tokens=was.tokens,
            earned=was.earned,
            spent=was.spent,
            points=was.points,
            last_heist=was.last_heist,
            last_robbed=was.last_robbed,
            last_spent=was.last_spent,
            first_seen=was.first_seen,
            losses=was.losses,
            erased=True,
        )

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
        robbed = self.players[victim].with_points(season, back)
        if season in robbed.losses:
            robberies, lost = robbed.losses[season]
            robbed = replace(robbed, losses={**robbed.losses, season: (robberies - 1, lost - back)})
        self.players[victim] = robbed
        return back

    def rob(self, attacker: str, victim: str, rules: Rules, at: datetime) -> int:
        """The points that change hands; the verdict must have been yes."""
        robber, robbed, season = self.players[attacker], self.players[victim], season_of(at)
        stolen = loot(robbed, rules, at)
        robber = replace(robber, tokens=robber.tokens - 1, spent=robber.spent + 1)
        robber = replace(robber, last_heist=at, last_spent=at)
        robber = replace(robber, victims=remembered(robber, victim, rules, at))
        robberies, lost = robbed.losses.get(season, (0, 0))
        losses = sorted({**robbed.losses, season: (robberies + 1, lost + stolen)}.items())
        robbed = replace(robbed, losses=dict(losses[-2:]))
        self.players[attacker] = robber.with_points(season, stolen)
        self.players[victim] = replace(robbed, last_robbed=at).with_points(season, -stolen)
        return stolen
