"""Recount the statistics while the game goes on.

New items are made beside the old ones; reports are read from the old ones, and
stand still, until the new ones are complete. Broken off, the same command goes
on where it stopped. Needed after an import, and on a table that is older than
its statistics; it changes nothing but statistics.
"""

import argparse
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import assert_never

from heist_core.domain.errors import Malformed
from heist_core.domain.heist import Heist, RefusedHeist
from heist_core.storage import items, keys, wire
from heist_core.storage.counting import (
    AT_ONCE,
    HOUR_KEPT,
    Generation,
)
from heist_core.storage.keys import Kind
from heist_core.storage.operator import record_action
from heist_core.storage.statistics import StatisticsStore
from heist_core.storage.table import Table
from heist_core.storage.writes import Step
from heist_core.use_cases.clock import Clock
from heist_core.use_cases.keep_statistics import KeepStatistics
from ops.command import add_change_arguments, agreed, reason_of
from ops.output import Output
from ops.target import Target


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_change_arguments(parser)


def run(target: Target, options: argparse.Namespace, out: Output) -> int:
    reason = reason_of(options)
    generation = target.statistics.generation()
    state = "is under way and would go on" if generation.rebuilding else "would begin"
    out.line(f"Reports are read from generation {generation.read}; a rebuild {state}.")
    if not agreed(options, out):
        out.document({"applied": False, "read": generation.read, "written": generation.written})
        return 0

    def action(before: Generation, after: Generation) -> Step:
        entry = target.action(
            "rebuild-stats", "statistics", reason, before=asdict(before), after=asdict(after)
        )
        return record_action(entry)

    done = Rebuild(target.statistics, target.table, action, target.clock)(out.items_read)
    out.line(
        f"{done.facts} heists and refusals and {done.players} players counted, {done.unreadable} "
        "records "
        f"could not be read, {done.deleted} items of older generations deleted."
    )
    out.line(f"Reports are read from generation {done.generation}.")
    out.document(
        {
            "applied": True,
            "read": done.generation,
            "written": done.generation,
            "facts": done.facts,
            "players": done.players,
            "unreadable": done.unreadable,
            "deleted": done.deleted,
        }
    )
    return 1 if done.unreadable else 0


@dataclass
class Done:
    """What a rebuild went through; heists are those that a report may still look at."""

    generation: int
    facts: int = 0
    players: int = 0
    unreadable: int = 0
    deleted: int = 0


@dataclass
class Rebuild:
    """docs/decisions.md, "Statistics", says why nothing is missed and nothing counted twice."""

    store: StatisticsStore
    table: Table
    action: Callable[[Generation, Generation], Step]
    """The log entry of a move from one generation to another."""
    clock: Clock
    _facts: list[Heist | RefusedHeist] = field(default_factory=list)
    _holders: list[str] = field(default_factory=list)

    def __call__(self, progress: Callable[[int], None]) -> Done:
        """Raises Contention when another rebuild ended meanwhile."""
        seen = self.store.generation()
        if not seen.rebuilding:
            seen = self._move(seen, Generation(seen.read, seen.written + 1))
        done = Done(seen.written)
        for item in self.table.scan(progress):
            self._take(item, seen, done)
        self._flush(done, at_least=1)
        self._move(seen, Generation(seen.written, seen.written))
        return done

    def _move(self, seen: Generation, to: Generation) -> Generation:
        return self.store.move_generation(seen, to, self.action(seen, to))

    def _take(self, item: wire.Item, seen: Generation, done: Done) -> None:
        match keys.kind_of(item):
            case Kind.PLAYER:
                if "tokens" in item:
                    self._holders.append(keys.id_of(item))
            case Kind.HEIST:
                self._take_heist(item, done)
            case Kind.DAY | Kind.BALANCES | Kind.HOLDING | Kind.ROBBER:
                if keys.generation_of(item) not in (seen.read, seen.written):
                    self.table.delete(keys.key_of(item))
                    done.deleted += 1
            case (
                Kind.OLD_SEASONS
                | Kind.REVERSAL
                | Kind.REFERRAL
                | Kind.NOTICE
                | Kind.INBOX
                | Kind.READ_COUNT
                | Kind.LEDGER
                | Kind.POINTS_EVENT
                | Kind.RATE
                | Kind.POINT_TYPE
                | Kind.SETTINGS
                | Kind.SETTINGS_VERSION
                | Kind.ACTION
                | Kind.GENERATION
                | Kind.IMPORT
                | Kind.GRANT
                | Kind.REQUEST
                | Kind.AUDIT
                | Kind.BOARD
                | Kind.DIGEST
                | None
            ):
                pass
            case unknown:
                assert_never(unknown)
        self._flush(done, at_least=AT_ONCE)

    def _take_heist(self, item: wire.Item, done: Done) -> None:
        try:
            fact = items.heist_from(item)
        except Malformed:
            done.unreadable += 1
            return
        if fact.at > self.clock.now() - HOUR_KEPT:
            self._facts.append(fact)

    def _flush(self, done: Done, at_least: int) -> None:
        keep = KeepStatistics(self.store, self.clock)
        if len(self._facts) >= at_least:
            keep.count(self._facts, done.generation)
            done.facts += len(self._facts)
            self._facts = []
        if len(self._holders) >= at_least:
            keep.hold(self._holders, done.generation)
            done.players += len(self._holders)
            self._holders = []
