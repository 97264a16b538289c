"""The rules of a heist, as facts in and a plan (or a refusal) out."""

from dataclasses import dataclass
from datetime import datetime

from .errors import HeistRefused
from .player import Losses, Player
from .settings import Settings
from .times import end_of, hours_left, season_end, season_of, to_iso


@dataclass(frozen=True, slots=True)
class HeistPlan:
    """What a permitted heist does, to the point and the millisecond."""

    at: datetime
    season: str
    points_stolen: int
    attacker_points_before: int
    victim_points_before: int
    tokens_left: int
    cooldown_ends_at: datetime
    attacker_version: int | None = None
    victim_version: int | None = None
    """Those of the players right after it; None where no record of it was kept."""

    @property
    def attacker_points_after(self) -> int:
        return self.attacker_points_before + self.points_stolen

    @property
    def victim_points_after(self) -> int:
        return self.victim_points_before - self.points_stolen


@dataclass(frozen=True, slots=True)
class Attempt:
    """Who tries to rob whom. `id` is the heist's id and its idempotency record in one.

    `correlation_id` is that of the request, for logs and mails only.
    """

    id: str
    attacker_id: str
    victim_id: str
    source_network: str | None
    correlation_id: str | None = None


@dataclass(frozen=True, slots=True)
class _Decided:
    attempt: Attempt

    @property
    def heist_id(self) -> str:
        return self.attempt.id

    @property
    def attacker_id(self) -> str:
        return self.attempt.attacker_id

    @property
    def victim_id(self) -> str:
        return self.attempt.victim_id

    @property
    def parties(self) -> tuple[str, str]:
        return self.attacker_id, self.victim_id

    @property
    def correlation_id(self) -> str | None:
        return self.attempt.correlation_id


@dataclass(frozen=True, slots=True)
class Heist(_Decided):
    """A heist that happened."""

    plan: HeistPlan
    attacker_name: str | None
    victim_name: str | None

    @property
    def at(self) -> datetime:
        return self.plan.at

    @property
    def season(self) -> str:
        return self.plan.season

    @property
    def token_holder(self) -> str:
        return self.attacker_id


@dataclass(frozen=True, slots=True)
class RefusedHeist(_Decided):
    """A heist that the rules refused, kept so that nothing can move under its id any more."""

    at: datetime
    refusal: HeistRefused

    @property
    def token_holder(self) -> None:
        return None


def steal_amount(points: int, rules: Settings) -> int:
    """Points that a heist takes: percentage rounded down in integers, capped (SPEC section 2)."""
    return min(points * rules.steal_percentage // 100, rules.max_steal_points)


def plan_heist(attacker: Player, victim: Player, rules: Settings, now: datetime) -> HeistPlan:
    """Decide a heist on what was read, by the checks of SPEC section 2 in their order.

    Raises HeistRefused with the first check that says no.
    """
    if not rules.enabled:
        raise HeistRefused("FEATURE_DISABLED", "Heist feature is currently disabled")
    if attacker.blocked:
        raise HeistRefused("ATTACKER_BLOCKED", "You cannot take part in heists")
    if attacker.preferences.passive:
        raise HeistRefused("ATTACKER_PASSIVE", "You are in passive mode")
    if attacker.tokens < 1 or attacker.erased:
        raise HeistRefused("NO_TOKENS", "You need at least 1 Heist Token")
    if ends_at := end_of(attacker.last_heist_at, rules.cooldown, now):
        raise HeistRefused(
            "COOLDOWN_ACTIVE",
            f"You can perform another heist in {plural(hours_left(ends_at, now), 'hour')}",
            {"cooldownEndsAt": to_iso(ends_at)},
        )
    if ends_at := end_of(attacker.first_seen_at, rules.newcomer, now):
        raise HeistRefused(
            "ATTACKER_NEW",
            f"You can perform your first heist in {plural(hours_left(ends_at, now), 'hour')}",
            {"newcomerUntil": to_iso(ends_at)},
        )
    if attacker.id == victim.id:
        raise HeistRefused("SELF_TARGET", "You cannot rob yourself")
    if not victim.can_be_robbed:
        raise HeistRefused("TARGET_NOT_FOUND", "Target user not found")
    if victim.preferences.passive:
        raise HeistRefused(
            "TARGET_PASSIVE", "This player does not take part in heists at the moment"
        )
    if ends_at := end_of(victim.first_seen_at, rules.newcomer, now):
        raise HeistRefused(
            "TARGET_NEW",
            "This player is new and is protected for "
            f"{plural(hours_left(ends_at, now), 'more hour')}",
            {"newcomerUntil": to_iso(ends_at)},
        )
    season = season_of(now)
    victim_points = victim.points_in(season)
    if victim_points < rules.min_target_points:
        raise HeistRefused(
            "TARGET_BELOW_MINIMUM",
            f"Target must have at least {plural(rules.min_target_points, 'point')}",
        )
    if ends_at := end_of(victim.last_robbed_at, rules.protection, now):
        raise HeistRefused(
            "TARGET_PROTECTED",
            "This player was recently robbed and is protected for "
            f"{plural(hours_left(ends_at, now), 'more hour')}",
            {"protectionEndsAt": to_iso(ends_at)},
        )
    stolen = steal_amount(victim_points, rules)
    left = _left_to_lose(victim_points, victim.losses_in(season), rules)
    if left is not None:
        if left < 1:
            raise HeistRefused(
                "TARGET_LOSS_LIMIT",
                "This player has lost enough this season",
                {"seasonEndsAt": to_iso(season_end(season))},
            )
        stolen = min(stolen, left)
    if ends_at := end_of(attacker.victims.get(victim.id), rules.pair_cooldown, now):
        raise HeistRefused(
            "PAIR_COOLDOWN",
            f"You can rob this player again in {plural(hours_left(ends_at, now), 'hour')}",
            {"pairEndsAt": to_iso(ends_at)},
        )
    if stolen < 1:
        raise HeistRefused("STEAL_TOO_SMALL", "Insufficient points to steal")
    return HeistPlan(
        at=now,
        season=season,
        points_stolen=stolen,
        attacker_points_before=attacker.points_in(season),
        victim_points_before=victim_points,
        tokens_left=attacker.tokens - 1,
        cooldown_ends_at=now + rules.cooldown,
        attacker_version=attacker.version + 1,
        victim_version=victim.version + 1,
    )


def _left_to_lose(points: int, losses: Losses, rules: Settings) -> int | None:
    """How many points more a victim may lose in a season; None without a limit.

    A share of all that they would have without heists on them, rounded down.
    """
    most = rules.max_robberies_per_season
    if most and losses.robberies >= most:
        return 0
    if rules.max_loss_percentage == 100:
        return None
    return (points + losses.points) * rules.max_loss_percentage // 100 - losses.points


def plural(count: int, noun: str) -> str:
    """`1 point`, `2 points`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
