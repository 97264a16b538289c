"""The items that the operators' reports are read from, and the requests that keep them.

All but the pointer carry a generation in their keys, so that a rebuild can make new ones while the
reports are still read from the old (docs/decisions.md, "Statistics").
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from heist_core.domain.errors import Malformed
from heist_core.domain.heist import Heist, RefusedHeist
from heist_core.domain.owed import Owed
from heist_core.domain.statistics import (
    DAYS_WINDOW,
    ROBBERS_WINDOW,
    Holding,
    Robber,
    Takings,
    hour_of,
    window_start,
)

from . import attributes, items, keys
from .wire import Item, to_wire
from .writes import Request, Step, Transaction, add, put, update

AT_ONCE = 33
"""Facts or players in one transaction: with what they change, fewer than 100 items to read and to
write."""
SHARDS = 8
"""Of each day, of the distribution and of the standings, so that no item or partition is hot."""
HOUR_KEPT = ROBBERS_WINDOW + timedelta(days=2)
DAY_KEPT = DAYS_WINDOW + timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Generation:
    """The statistics that are read, and those that are written: others only during a rebuild."""

    read: int = 1
    written: int = 1

    @property
    def rebuilding(self) -> bool:
        return self.read != self.written


# Items


def robber_item(generation: int, robber: Robber) -> Item:
    """Without takings the item has no place in the index of robbers."""
    item: dict[str, object] = {
        **keys.robber(generation, robber.player_id),
        "version": robber.version + 1,
        "hours": {hour: [takings.heists, takings.points] for hour, takings in robber.hours.items()},
        **({"tokensAt": robber.holding.version} if robber.holding.version else {}),
        **({} if robber.holding.tokens is None else {"tokens": robber.holding.tokens}),
    }
    if robber.hours:
        heists, points, player_id = robber.rank
        shard = keys.spread(player_id, SHARDS)
        item["robberShard"] = f"{generation}#{shard}"
        item["robberPlace"] = f"{heists:08d}#{points:014d}#{player_id}"
    return item


def robber_from(player_id: str, item: Item | None) -> Robber:
    """Raises Malformed. The index of robbers says nothing of tokens."""
    if item is None:
        return Robber(player_id)
    try:
        hours = {
            str(hour): Takings(int(heists), int(points))
            for hour, (heists, points) in item.get("hours", {}).items()  # type: ignore[attr-defined]
        }
        holding = holding_from(item, "tokensAt")
        return Robber(player_id, hours, number(item, "version"), holding)
    except (AttributeError, TypeError, ValueError) as error:
        raise Malformed("hours, tokens or version of a robber cannot be read") from error


def holding_from(item: Item, version: str) -> Holding:
    """What a robber's or a player's item says; `version` is the attribute that dates it."""
    tokens = number(item, "tokens") if "tokens" in item else None
    return Holding(number(item, version), tokens)


def generation_from(item: Item | None) -> Generation:
    return (
        Generation() if item is None else Generation(number(item, "read"), number(item, "written"))
    )


def number(item: Item, name: str) -> int:
    return int(str(item.get(name, 0)))


# Requests


def count_facts(
    generation: int,
    facts: Sequence[Heist | RefusedHeist],
    robbers: Mapping[str, Robber],
    now: datetime,
    owed: Mapping[str, AbstractSet[str]] = MappingProxyType({}),
    published: Collection[str] = (),
    holdings: Mapping[str, Holding] = MappingProxyType({}),
) -> Transaction:
    """Count facts that were not counted in this generation, and tokens that changed, or nothing.

    `robbers` are those who succeeded or hold tokens, as they were read; each is written if nobody
    changed it since. `owed` is what the records of heists owed when they were read, by id.
    `holdings` are the tokens of players as they are now.
    """
    moved = {
        player_id: holding
        for player_id, holding in holdings.items()
        if holding.version > robbers[player_id].holding.version
    }
    took = {robber.player_id: robber for robber in _after(facts, robbers, now)}
    return (
        *[
            Step(
                "fact",
                {
                    "Update": _mark_counted(
                        generation,
                        fact,
                        owed.get(fact.heist_id, frozenset()),
                        {Owed.STATISTICS, Owed.EVENT}
                        if fact.heist_id in published
                        else {Owed.STATISTICS},
                    )
                },
            )
            for fact in facts
        ],
        *[Step("day", {"Update": request}) for request in _add_to_days(generation, facts, now)],
        *[
            Step("robber", {"Put": put_robber(generation, robbers[player_id], after)})
            for player_id, robber in took.items()
            for after in [replace(robber, holding=moved.get(player_id, robber.holding))]
        ],
        *[
            Step("robber", {"Update": _hold(generation, robbers[player_id], holding)})
            for player_id, holding in moved.items()
            if player_id not in took
        ],
        *_move_balances(
            generation, [(robbers[player_id].holding, after) for player_id, after in moved.items()]
        ),
    )


def _mark_counted(
    generation: int, fact: Heist | RefusedHeist, owed: AbstractSet[str], done: AbstractSet[Owed]
) -> Request:
    """Takes what is done off the marker, and the marker away if nothing else was owed.

    A heist's only if it still owes just that; a refusal owes nothing else.
    """
    values: dict[str, object] = {":generation": generation}
    changes = "SET countedIn = :generation REMOVE owed, owedBucket, owedSince"
    condition = (
        "attribute_exists(pk) AND (attribute_not_exists(countedIn) OR countedIn < :generation)"
    )
    if isinstance(fact, Heist) and owed and owed <= done:
        values[":owed"] = set(owed)
        condition += " AND owed = :owed"
    elif isinstance(fact, Heist):
        values[":done"] = {one.value for one in done}
        changes = "SET countedIn = :generation DELETE owed :done"
    return update(items.subject_key(fact), changes, values, condition=condition)


def _add_to_days(
    generation: int, facts: Sequence[Heist | RefusedHeist], now: datetime
) -> Iterator[Request]:
    """Attributes `s15`, `p15`, `f15`: successes, points and failures from 15:00 to 16:00.

    Which shard counts a fact does not matter; one transaction needs one."""
    days: dict[str, Counter[str]] = {}
    for fact in facts:
        at = fact.at
        if at < now - DAY_KEPT:
            continue
        date, _, hour = hour_of(at).partition("T")
        day = days.setdefault(date, Counter())
        if isinstance(fact, Heist):
            day[f"s{hour}"] += 1
            day[f"p{hour}"] += fact.plan.points_stolen
        else:
            day[f"f{hour}"] += 1
    for date, added in sorted(days.items()):
        ends = datetime.fromisoformat(date).replace(tzinfo=UTC) + timedelta(days=1)
        yield update(
            keys.day(generation, date, keys.spread(facts[0].heist_id, SHARDS)),
            "ADD "
            + ", ".join(f"{name} :{name}" for name in sorted(added))
            + " SET expiresAt = :end",
            {
                **{f":{name}": number for name, number in added.items()},
                ":end": attributes.expiry(ends, DAY_KEPT),
            },
        )


def _after(
    facts: Iterable[Heist | RefusedHeist], robbers: Mapping[str, Robber], now: datetime
) -> Iterable[Robber]:
    """The robbers after these facts, without hours that no report looks at any more."""
    oldest = hour_of(window_start(now, HOUR_KEPT))
    after: dict[str, Robber] = {}
    for fact in facts:
        if isinstance(fact, Heist) and hour_of(fact.at) >= oldest:
            player_id = fact.attacker_id
            takings = Takings(1, fact.plan.points_stolen)
            before = after.get(player_id, robbers[player_id])
            after[player_id] = before.having_taken(hour_of(fact.at), takings)
    return [robber.since(oldest) for robber in after.values()]


def put_robber(generation: int, seen: Robber, after: Robber) -> Request:
    """Replace a robber that is still as seen (or still absent)."""
    values = {":version": seen.version or None, ":tokensAt": seen.holding.version or None}
    return {
        **put(robber_item(generation, after)),
        "ConditionExpression": f"{_still('version', seen.version)} AND "
        f"{_still('tokensAt', seen.holding.version)}",
        **({"ExpressionAttributeValues": to_wire(values)} if any(values.values()) else {}),
    }


def _still(name: str, version: int) -> str:
    return f"{name} = :{name}" if version else f"attribute_not_exists({name})"


def _hold(generation: int, seen: Robber, holding: Holding) -> Request:
    """Count other tokens of a robber whose tokens are still counted as seen (or still not)."""
    return update(
        keys.robber(generation, seen.player_id),
        "SET tokensAt = :at" + (" REMOVE tokens" if holding.tokens is None else ", tokens = :now"),
        {
            ":at": holding.version,
            ":now": holding.tokens,
            ":tokensAt": seen.holding.version or None,
        },
        condition=_still("tokensAt", seen.holding.version),
    )


def _move_balances(generation: int, moves: Sequence[tuple[Holding, Holding]]) -> Iterator[Step]:
    """Move players (before, after) from one balance to another.

    Attribute `b3`: how many hold three tokens, summed over the shards; one shard may be negative.
    """
    added: Counter[str] = Counter()
    for before, after in moves:
        if before.tokens is not None:
            added[f"b{before.tokens}"] -= 1
        if after.tokens is not None:
            added[f"b{after.tokens}"] += 1
    changed = {name: number for name, number in sorted(added.items()) if number}
    if changed:
        shard = keys.spread(str(moves[0][1]), SHARDS)
        yield Step("balances", {"Update": add(keys.balances(generation, shard), changed)})


def put_generation(seen: Generation, to: Generation) -> Request:
    """Replace the pointer if it is as seen (or was never written: the first generation)."""
    request = put({**keys.GENERATION, "read": to.read, "written": to.written})
    if seen == Generation():
        request["ConditionExpression"] = "attribute_not_exists(pk)"
    else:
        request["ConditionExpression"] = "#read = :read AND written = :written"
        request["ExpressionAttributeNames"] = {"#read": "read"}
        request["ExpressionAttributeValues"] = to_wire(
            {":read": seen.read, ":written": seen.written}
        )
    return request
