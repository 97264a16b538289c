"""Lists possible targets: who robbed the player lately, then others with similar points."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from heist_core.domain.errors import HeistRefused, RateLimited
from heist_core.domain.heist import plan_heist
from heist_core.domain.player import Player
from heist_core.domain.targets import (
    FOUND_PER_SHOWN,
    REVENGE_FOR,
    Reach,
    Reason,
    Target,
    reach_for,
    ring_of,
)
from heist_core.domain.times import season_of

from .check_target import CHECKS_PER_ATTEMPT, TOO_MANY_CHECKS
from .clock import Clock
from .execute_heist import minute_of, seconds_to_next_minute

if TYPE_CHECKING:
    from datetime import datetime

    from heist_core.domain.board import Curve
    from heist_core.settings import LiveSettings
    from heist_core.storage.board import BoardStore, Seen
    from heist_core.storage.history import History, Robbery
    from heist_core.storage.store import Store

PER_SHARD = 200
"""Read at first. Who comes after a random place is likelier the wider the gap before them; over so
many in a row that evens out (docs/decisions.md, "Targets")."""
_SHARDS_OF_MANY = 2


@dataclass(frozen=True)
class ListTargets:
    """`random` draws the lists, so that no player becomes the farm of all."""

    store: "Store"
    boards: "BoardStore"
    history: "History"
    settings: "LiveSettings"
    clock: Clock
    random: Random

    def __call__(self, caller_id: str, limit: int) -> list[Target]:
        """At most `limit`, each by plan_heist on what was just read; none for who cannot rob.

        Two steps, as a rule: more when so many of those in reach are protected that others must be
        looked for. Raises RateLimited or Unavailable.
        """
        now = self.clock.now()
        seen, robberies = self._read(caller_id, now)
        caller = seen.player
        try:
            plan_heist(caller, caller, self.settings.current, now)
        except HeistRefused as refusal:
            if refusal.code != "SELF_TARGET":  # a reason of the caller's own comes before that
                return []
        points, curve = caller.points_in(season_of(now)), seen.curve and seen.curve.curve
        reach = reach_for(points, limit * FOUND_PER_SHOWN, curve)
        robbers, found = self.store.together(
            lambda: self.history.robbers(robberies),
            lambda: self._within(reach, PER_SHARD, curve, now),
        )
        revenge = list(self._targets(caller, robbers, Reason.REVENGE, now))[:limit]
        known = {target.player_id for target in revenge}
        size = PER_SHARD
        while True:
            players, complete = found
            others = [player for player in players if player.id not in known]
            suggested = list(self._targets(caller, others, Reason.SUGGESTED, now))
            enough = len(revenge) + len(suggested) >= limit
            if enough or (complete and reach.everybody):
                break
            if complete:
                twice = 0 if curve is None else 2 * reach.players(curve) + 1
                reach = reach_for(points, twice, curve)
            else:
                size *= 4
            found = self._within(reach, size, curve, now)
        self.random.shuffle(suggested)
        suggested.sort(key=lambda target: ring_of(points, target.plan.victim_points_before))
        return [*revenge, *suggested][:limit]

    def _read(self, caller_id: str, now: "datetime") -> "tuple[Seen, list[Robbery]]":
        stale = self.settings.stale

        def read() -> "tuple[Seen, list[Robbery]]":
            robberies, seen = self.store.together(
                lambda: self.history.robberies(caller_id, now - REVENGE_FOR, now),
                lambda: self.boards.seen(caller_id, season_of(now), with_settings=stale),
            )
            if stale:
                self.settings.refresh(seen.settings)
            return seen, robberies

        def count() -> bool:
            limit = self.settings.current.rate_limit_per_minute * CHECKS_PER_ATTEMPT
            return self.store.count_check(caller_id, minute_of(now), limit)

        if stale:
            found, allowed = read(), count()
        else:
            allowed, found = self.store.together(count, read)
        if not allowed:
            raise RateLimited(seconds_to_next_minute(now), TOO_MANY_CHECKS)
        return found

    def _within(
        self, reach: Reach, size: int, curve: "Curve | None", now: "datetime"
    ) -> tuple[list[Player], bool]:
        """Those in reach, or as many of them from a random place on."""
        start, shards = None, list(self.boards.shards)
        if curve is not None and reach.players(curve) > size:
            if size == PER_SHARD:
                shards = self.random.sample(shards, _SHARDS_OF_MANY)
            first, last = (curve.rank_of(end) for end in (reach.high, reach.low - 1))
            points = curve.points_at(self.random.randrange(first, last))
            start = min(max(points, reach.low), reach.high), self.random.getrandbits(32)
        players, complete = self.boards.within(
            season_of(now), reach.low, reach.high, shards, start, size
        )
        return players, complete and len(shards) == len(self.boards.shards)

    def _targets(
        self, caller: Player, players: Iterable[Player], reason: Reason, now: "datetime"
    ) -> Iterator[Target]:
        for player in players:
            if player.id != caller.id and player.shown:
                try:
                    plan = plan_heist(caller, player, self.settings.current, now)
                except HeistRefused:
                    continue
                yield Target(player.id, player.name, plan, reason)
