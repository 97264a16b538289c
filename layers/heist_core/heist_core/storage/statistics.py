"""Reads and writes the items of `counting`."""

import heapq
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta

from heist_core.domain.errors import Contention
from heist_core.domain.facts import Fact
from heist_core.domain.heist import Heist, RefusedHeist
from heist_core.domain.statistics import DAYS_WINDOW, Day, Robber, Takings, hour_of, window_start

from . import counting, items, keys, player_items
from .counting import SHARDS, Generation, number
from .table import Table
from .wire import Item, to_wire
from .writes import Request, Step

_STANDINGS_PAGE = 25


class StatisticsStore:
    """The table, as far as statistics read and write it; raises what `table` does."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def generation(self) -> Generation:
        """Which statistics are read and written now.

        Ask only after the facts to be counted were read: a rebuild that began later finds them
        itself.
        """
        return counting.generation_from(self._table.get(keys.GENERATION))

    def count(
        self,
        facts: Sequence[Fact],
        holders: Collection[str],
        generation: int,
        now: datetime,
        published: Collection[str] = (),
    ) -> list[str]:
        """Count at most AT_ONCE facts or holders; the ids of heists and refusals that were not
        counted before.

        Each heist and refusal counts once in a generation and as long as its record is there; its
        marker loses what is done: statistics, and the events of those `published`. The distribution
        of tokens is brought up to what `holders` hold now. Whoever has the attribute `tokens` is in
        it, also with 0: the guide's HeistToken row.
        Raises Contention when somebody counted meanwhile.
        """
        attempts = [fact for fact in facts if isinstance(fact, Heist | RefusedHeist)]
        robbing = {fact.attacker_id for fact in attempts if isinstance(fact, Heist)}
        people = {who: keys.robber(generation, who) for who in sorted({*robbing, *holders})}
        found = self._table.by_partition(
            [
                *[items.subject_key(fact) for fact in attempts],
                *people.values(),
                *map(keys.player, sorted(holders)),
            ]
        )
        left = [
            fact
            for fact in attempts
            if _is_uncounted(found.get(items.subject_key(fact)["pk"]), generation)
        ]
        robbers = {
            who: counting.robber_from(who, found.get(key["pk"])) for who, key in people.items()
        }
        owed = {fact.heist_id: _owed(found[items.subject_key(fact)["pk"]]) for fact in left}
        holdings = {
            who: counting.holding_from(player, "version")
            for who in sorted(holders)
            for player in [found.get(keys.player(who)["pk"], {})]
        }
        request = counting.count_facts(generation, left, robbers, now, owed, published, holdings)
        if request:
            self._table.transact(request)
        return [fact.heist_id for fact in left]

    def trim(self, player_id: str, since: str, generation: int) -> None:
        """Remove hours before another from a robber, unless somebody changes it meanwhile."""
        key = keys.robber(generation, player_id)
        found = self._table.by_partition([key])
        seen = counting.robber_from(player_id, found.get(key["pk"]))
        request = counting.put_robber(generation, seen, seen.since(since))
        try:
            self._table.transact([Step("robber", {"Put": request})])
        except Contention:
            return

    # Rebuilding

    def move_generation(self, seen: Generation, to: Generation, action: Step) -> Generation:
        """From now on these are read and written; `action` is the operator's log entry.

        Raises Contention if others were already.
        """
        request = counting.put_generation(seen, to)
        self._table.transact([Step("generation", {"Put": request}), action])
        return to

    # Reports

    def days(self, generation: int, now: datetime) -> list[Day]:
        """The days with attempts in the last seven times 24 hours, newest first."""
        since = window_start(now, DAYS_WINDOW)
        first = hour_of(since)
        dates = [
            (since + timedelta(days=day)).date().isoformat() for day in range(DAYS_WINDOW.days + 1)
        ]
        wanted = [keys.day(generation, date, shard) for date in dates for shard in range(SHARDS)]
        found = self._table.by_partition(wanted)
        days = []
        for date in reversed(dates):
            sums: Counter[str] = Counter()
            for shard in range(SHARDS):
                item = found.get(keys.day(generation, date, shard)["pk"], {})
                for hour in range(24):
                    if f"{date}T{hour:02d}" >= first:
                        for kind in "spf":
                            sums[kind] += number(item, f"{kind}{hour:02d}")
            if sums["s"] or sums["f"]:
                days.append(Day(date, Takings(sums["s"], sums["p"]), sums["f"]))
        return days

    def balances(self, generation: int) -> list[tuple[int, int]]:
        """Balances and how many players have each, the highest balance first."""
        shards = [keys.balances(generation, shard) for shard in range(SHARDS)]
        sums: Counter[int] = Counter()
        for item in self._table.by_partition(shards).values():
            for name in item:
                if name.startswith("b"):
                    sums[int(name[1:])] += number(item, name)
        return sorted(((balance, count) for balance, count in sums.items() if count), reverse=True)

    def standings(self, generation: int) -> Iterator[Robber]:
        """Robbers in descending rank of all that their items count; read only as far as needed."""
        return heapq.merge(
            *[self._standings(generation, shard) for shard in range(SHARDS)],
            key=lambda robber: robber.rank,
            reverse=True,
        )

    def _standings(self, generation: int, shard: int) -> Iterator[Robber]:
        request: Request = {
            "IndexName": "robbers",
            "KeyConditionExpression": "robberShard = :shard",
            "ExpressionAttributeValues": to_wire({":shard": f"{generation}#{shard}"}),
            "ScanIndexForward": False,
            "Limit": _STANDINGS_PAGE,
        }
        for item in self._table.query(request):
            yield counting.robber_from(keys.robber_id_of(item), item)

    def names(self, player_ids: Collection[str]) -> dict[str, str | None]:
        """The players' names as they are now."""
        found = self._table.by_partition([keys.player(player_id) for player_id in player_ids])
        return {
            player_id: player_items.player_from(
                player_id, found.get(keys.player(player_id)["pk"])
            ).name
            for player_id in player_ids
        }


def _is_uncounted(record: Item | None, generation: int) -> bool:
    return record is not None and number(record, "countedIn") < generation


def _owed(record: Item) -> frozenset[str]:
    owed = record.get("owed")
    return frozenset(map(str, owed)) if isinstance(owed, set) else frozenset()
