"""Facts for tests: short calls that name only what a test is about."""

import copy
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from heist_core.domain.action import Action
from heist_core.domain.award import Award, EarnedPoints
from heist_core.domain.errors import HeistRefused
from heist_core.domain.heist import Attempt, Heist, HeistPlan, RefusedHeist
from heist_core.domain.player import Dated, Player, Profile
from heist_core.domain.reversal import Reversal
from heist_core.domain.settings import Settings
from heist_core.domain.times import season_of, to_iso
from heist_core.storage import wire

Event = dict[str, Any]

NOW = datetime(2026, 11, 22, 12, 0, 3, 117_000, tzinfo=UTC)
SEASON = "2026-11"
MILLISECOND = timedelta(milliseconds=1)
HOUR = timedelta(hours=1)
SAMPLES = Path(__file__).parents[1] / "events"


def rules(
    enabled: bool = True,
    cooldown_hours: int = 24,
    protection_hours: int = 48,
    percentage: int = 5,
    maximum: int = 100,
    minimum: int = 20,
    max_robberies_per_season: int = 0,
    max_loss_percentage: int = 100,
    pair_cooldown_hours: int = 0,
    newcomer_hours: int = 0,
    passive_lock_hours: int = 24,
) -> Settings:
    """The default rules, but for what is named."""
    return Settings(
        enabled=enabled,
        cooldown_hours=cooldown_hours,
        target_cooldown_hours=protection_hours,
        steal_percentage=percentage,
        max_steal_points=maximum,
        min_target_points=minimum,
        max_robberies_per_season=max_robberies_per_season,
        max_loss_percentage=max_loss_percentage,
        pair_cooldown_hours=pair_cooldown_hours,
        newcomer_hours=newcomer_hours,
        passive_lock_hours=passive_lock_hours,
    )


def player(
    player_id: str = "alice",
    *,
    points: int = 0,
    tokens: int = 0,
    version: int = 1,
    name: str | None = None,
    email: str | None = None,
    opted_out: bool | None = None,
    locale: str | None = None,
    last_heist_at: datetime | None = None,
    last_robbed_at: datetime | None = None,
    season: str = SEASON,
) -> Player:
    return Player(
        id=player_id,
        version=version,
        tokens=tokens,
        tokens_earned=tokens,
        points={season: points} if points else {},
        last_heist_at=last_heist_at,
        last_robbed_at=last_robbed_at,
        profile=Profile(
            name=Dated(name, NOW if name else None),
            email=Dated(email, NOW if email else None),
            email_opt_out=Dated(opted_out, None if opted_out is None else NOW),
            locale=Dated(locale, NOW if locale else None),
        ),
    )


def attempt(
    attacker: str = "alice",
    victim: str = "bob",
    heist_id: str = "5b0d8c6f2f1e4a31b7d3a9c2e4f60718",
    network: str | None = "203.0.113.0/24",
) -> Attempt:
    return Attempt(heist_id, attacker, victim, network)


def heist(
    attacker: str = "alice",
    victim: str = "bob",
    heist_id: str = "5b0d8c6f2f1e4a31b7d3a9c2e4f60718",
    *,
    stolen: int = 40,
    attacker_before: int = 1000,
    victim_before: int = 800,
    attacker_name: str | None = "Alice",
    victim_name: str | None = "Bob",
    versions: tuple[int, int] | tuple[None, None] = (7, 4),
    at: datetime = NOW,
) -> Heist:
    return Heist(
        attempt=attempt(attacker, victim, heist_id),
        plan=HeistPlan(
            at=at,
            season=season_of(at),
            points_stolen=stolen,
            attacker_points_before=attacker_before,
            victim_points_before=victim_before,
            tokens_left=2,
            cooldown_ends_at=at + timedelta(hours=24),
            attacker_version=versions[0],
            victim_version=versions[1],
        ),
        attacker_name=attacker_name,
        victim_name=victim_name,
    )


def refused(code: str = "NO_TOKENS", at: datetime = NOW, **changes: str) -> RefusedHeist:
    refusal = HeistRefused(code, "You need at least 1 Heist Token", {"cooldownEndsAt": to_iso(at)})
    return RefusedHeist(attempt(**changes), at, refusal)


def reversal(
    attacker: str = "alice",
    victim: str = "bob",
    heist_id: str = "5b0d8c6f2f1e4a31b7d3a9c2e4f60718",
    *,
    stolen: int = 40,
    returned: int = 40,
    attacker_before: int = 1040,
    victim_before: int = 760,
    attacker_name: str | None = "Alice",
    victim_name: str | None = "Bob",
    refunded: bool = False,
    lifted: bool = False,
    at: datetime = NOW,
) -> Reversal:
    """The heist of the builder above, reversed."""
    return Reversal(
        heist_id=heist_id,
        action_id="0a1b2c3d4e5f6071",
        attacker_id=attacker,
        victim_id=victim,
        attacker_name=attacker_name,
        victim_name=victim_name,
        season=season_of(at),
        at=at,
        points_stolen=stolen,
        points_returned=returned,
        attacker_points_before=attacker_before,
        victim_points_before=victim_before,
        token_refunded=refunded,
        cooldown_lifted=lifted,
        attacker_version=9,
        victim_version=5,
    )


def award(
    referrer: str = "alice",
    referred: str = "carol",
    name: str | None = "Carol",
    at: datetime = NOW,
) -> Award:
    return Award(
        referred_id=referred,
        referrer_id=referrer,
        referral_id=f"ref-{referred}",
        referred_name=name,
        at=at,
    )


def earned(
    player_id: str = "bob",
    points: int = 800,
    event_id: str = "order-1",
    at: datetime = NOW,
    kind: str = "ORDER_COMPLETED",
) -> EarnedPoints:
    return EarnedPoints(event_id, player_id, points, kind, at)


def sample(name: str) -> Event:
    """A fresh copy of events/<name>.json, the sample that the function's operators use too."""
    event: Event = json.loads((SAMPLES / f"{name}.json").read_text("utf-8"))
    return event


def api_event(
    name: str,
    caller: object = "alice",
    *,
    body: object = None,
    headers: Mapping[str, str] | None = None,
    path: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    source_ip: str = "203.0.113.57",
) -> Event:
    """The function's sample from another caller. A `body` that is no string is sent as JSON."""
    event = sample(name)
    event["requestContext"]["authorizer"]["jwt"]["claims"]["sub"] = caller
    event["requestContext"]["http"]["sourceIp"] = source_ip
    event["headers"].pop("idempotency-key", None)
    event["headers"].update(headers or {})
    event["pathParameters"] = dict(path or {})
    event["queryStringParameters"] = dict(query or {})
    event["body"] = body if body is None or isinstance(body, str) else json.dumps(body)
    return event


def execute_event(
    caller: str = "alice", target: object = "bob", key: str | None = None, **changes: Any
) -> Event:
    headers = {} if key is None else {"idempotency-key": key}
    return api_event(
        "execute_heist", caller, body={"targetUserId": target}, headers=headers, **changes
    )


def bus_event(function: str, /, time: Any = NOW, **detail: Any) -> Event:
    """The function's sample with another detail; a field given as `...` is left out."""
    event = sample(function)
    event["time"] = to_iso(time)
    event["detail"] = {
        field: value for field, value in {**event["detail"], **detail}.items() if value is not ...
    }
    return event


def stream_record(item: wire.Item, sequence: int = 1) -> Event:
    """The stream's INSERT of an item."""
    record = copy.deepcopy(sample("notify_players")["Records"][0])
    image = {name: _json_wire(value) for name, value in wire.to_wire(item).items()}
    record["eventID"] = f"{sequence:032x}"
    record["dynamodb"] |= {
        "Keys": {"pk": image["pk"], "sk": image["sk"]},
        "NewImage": image,
        "SequenceNumber": f"{sequence:021d}",
    }
    event: Event = record
    return event


def stream_event(*records: Event) -> Event:
    return {"Records": list(records)}


def _json_wire(value: Any) -> Any:
    """DynamoDB's typed form as it comes over JSON: sets are lists."""
    ((kind, inner),) = value.items()
    if kind in ("SS", "NS"):
        return {kind: sorted(inner)}
    if kind == "M":
        return {kind: {name: _json_wire(member) for name, member in inner.items()}}
    return {kind: inner}


def action(what: str = "block", subject: str = "player bob", **after: object) -> Action:
    """What an operator did, for the log."""
    return Action("0a1b2c3d4e5f6071", NOW, "local:root", what, subject, "a test", {}, after)


def each_of(values: Mapping[str, Iterable[object]]) -> list[tuple[str, object]]:
    """Every name with each of its values, as cases of a test."""
    return [(name, value) for name, several in values.items() for value in several]
