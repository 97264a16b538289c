"""Reverse heists: points go back, once, as far as they are there.

Takes ids of heists, or a file with one id per line (`#` begins a comment), and
begins with the newest: a player who was robbed of what they had stolen has it
back when their own heist's turn comes. The attacker gives back at most what
they still hold. Repeating is safe: heists already reversed are listed as such,
and the rest is done. The exit code is 1 if a heist stays unreversed.
"""

import argparse
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from heist_core.domain.action import Action, Receipt
from heist_core.domain.errors import Contention, Misconfigured, NotReversible, Unavailable
from heist_core.domain.heist import plural
from heist_core.domain.player import Player
from heist_core.domain.reversal import Reversal
from heist_core.storage import keys
from heist_core.storage.store import Store
from heist_core.storage.table import Table
from heist_core.use_cases.clock import Clock
from heist_core.use_cases.reverse_heist import Reversed, ReverseHeist
from ops.command import add_change_arguments, agreed, reason_of
from ops.output import Document, Output, short
from ops.target import OperatorError, Target

ID_LIMIT = 256
BATCH = 100
NOT_REVERSED = "not reversed"
NO_ANSWER = "the table does not answer; the same command again is safe"


@dataclass(frozen=True)
class Outcome:
    """`reversed`, `to be reversed`, `already reversed` or `not reversed`, of one heist."""

    heist_id: str
    what: str
    reversal: Reversal | None = None
    problem: str = ""

    def lines(self) -> list[str]:
        """For people: names where they are known, and points of the heist's own month."""
        undone = self.reversal
        if undone is None:
            return [f"{self.what}: {self.problem}", f"    {self.heist_id}"]
        attacker, victim = (
            short(undone.attacker_name or undone.attacker_id),
            short(undone.victim_name or undone.victim_id),
        )
        more = ["token refunded"] if undone.token_refunded else []
        more += ["cooldown lifted"] if undone.cooldown_lifted else []
        changes = (
            f"{undone.points_returned} of {plural(undone.points_stolen, 'point')}",
            f"{attacker} {undone.attacker_points_before} → {undone.attacker_points_after}",
            f"{victim} {undone.victim_points_before} → {undone.victim_points_after}",
        )
        about = (f"{self.heist_id} of {undone.season}", *more)
        return [f"{self.what}: {', '.join(changes)}", f"    {', '.join(about)}"]

    def document(self) -> Document:
        if self.reversal is None:
            return {"heistId": self.heist_id, "outcome": self.what, "problem": self.problem}
        change = Reversed(self.reversal, already=False).change
        return {"outcome": self.what, **change.about}


class Rehearsal(Store):
    """The table as it would be after the reversals so far: nothing is written."""

    def __init__(self, table: Table) -> None:
        super().__init__(table, ThreadPoolExecutor(1))
        self._changed: dict[str, Player] = {}

    def with_old_seasons(self, *players: Player) -> tuple[Player, ...]:
        read = super().with_old_seasons(*players)
        return tuple(self._changed.get(player.id, player) for player in read)

    def commit_reversal(
        self,
        reversal: Reversal,
        attacker: Player,
        victim: Player,
        action: Action,  # noqa: ARG002 - nothing is done
        receipt: Receipt | None = None,  # noqa: ARG002
    ) -> None:
        season, refund = reversal.season, int(reversal.token_refunded)
        self._changed[attacker.id] = replace(
            _holding(attacker, season, reversal.attacker_points_after),
            tokens=attacker.tokens + refund,
            tokens_spent=attacker.tokens_spent - refund,
            last_heist_at=None if reversal.cooldown_lifted else attacker.last_heist_at,
        )
        self._changed[victim.id] = _holding(victim, season, reversal.victim_points_after)


def _holding(player: Player, season: str, points: int) -> Player:
    """With all seasons in one place: where they lie does not matter here."""
    seasons = {*player.points, *player.old_points}
    held = {**{each: player.points_in(each) for each in seasons}, season: points}
    return replace(player, points=held, old_points={})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("heists", nargs="*", metavar="HEIST", help="the id of a heist")
    parser.add_argument("--file", type=Path, help="a file of ids, one per line")
    parser.add_argument(
        "--refund-token",
        action="store_true",
        help="give the attacker's token back, too; ends the cooldown that the heist started",
    )
    add_change_arguments(parser)


def run(target: Target, options: argparse.Namespace, out: Output) -> int:
    given = [*options.heists, *(ids_in(options.file) if options.file else ())]
    if not given:
        raise OperatorError(
            f"{options.file} names no heist."
            if options.file
            else "Name the heists: their ids, or --file"
        )
    heists = newest_first(target, list(dict.fromkeys(given)))
    if len(given) > len(heists):
        out.line(f"{len(given) - len(heists)} of {len(given)} ids are there twice")
    reason = reason_of(options)
    apply = bool(options.apply)
    outcomes = list(_each(target, heists, options, reason, out, apply=apply))
    if not apply and _reversible(outcomes) and agreed(options, out):
        apply = True
        outcomes = list(_each(target, heists, options, reason, out, apply=True))
    counts = Counter(outcome.what for outcome in outcomes)
    untried = len(heists) - len(outcomes)
    summary = [f"{number} {what}" for what, number in sorted(counts.items())]
    out.line(", ".join(summary + ([f"{untried} not tried"] if untried else [])))
    out.document(
        {
            "applied": apply,
            "counts": dict(counts),
            "notTried": untried,
            "heists": [outcome.document() for outcome in outcomes],
        }
    )
    return 1 if counts[NOT_REVERSED] or untried else 0


def _reversible(outcomes: Sequence[Outcome]) -> bool:
    return any(outcome.what == "to be reversed" for outcome in outcomes)


def ids_in(file: Path) -> list[str]:
    """The ids of a file, in order. Raises OperatorError."""
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(f"Cannot read {file}: {error}") from error
    found = (line.partition("#")[0].strip() for line in lines)
    return [heist_id for heist_id in found if heist_id]


def newest_first(target: Target, heists: Sequence[str]) -> list[str]:
    """Heists in the order in which undoing them comes out even; what is no heist, last."""
    ids = [heist_id for heist_id in heists if is_id(heist_id)]
    dates: dict[object, str] = {}
    for start in range(0, len(ids), BATCH):
        wanted = [keys.heist(heist_id) for heist_id in ids[start : start + BATCH]]
        for item in target.table.get_all(wanted):
            dates[item["heistId"]] = str(item["createdAt"])
    return sorted(heists, key=lambda heist_id: dates.get(heist_id, ""), reverse=True)


def is_id(text: str) -> bool:
    """Whether a heist could have this id."""
    return text.isprintable() and len(text) <= ID_LIMIT


def _each(
    target: Target,
    heists: Sequence[str],
    options: argparse.Namespace,
    reason: str,
    out: Output,
    *,
    apply: bool,
) -> Iterator[Outcome]:
    """Reverses each, and reports it at once; ends early when the table does not answer."""
    clock = Clock(now=target.now, monotonic=time.monotonic, sleep=time.sleep)
    store = target.store if apply else Rehearsal(target.table)
    for number, heist_id in enumerate(heists, start=1):
        out.progress(f"{number}/{len(heists)}")
        try:
            outcome = _one(target, store, clock, heist_id, options, reason)
        except Misconfigured:
            raise
        except Unavailable:
            outcome = Outcome(heist_id, NOT_REVERSED, problem=NO_ANSWER)
        for line in outcome.lines():
            out.line(line)
        yield outcome
        if outcome.problem == NO_ANSWER:
            return


def _one(
    target: Target,
    store: Store,
    clock: Clock,
    heist_id: str,
    options: argparse.Namespace,
    reason: str,
) -> Outcome:
    if not is_id(heist_id):
        return Outcome(heist_id[:ID_LIMIT], NOT_REVERSED, problem="this is not the id of a heist")
    action = target.action("reverse", f"heist {heist_id}", reason)
    try:
        done = ReverseHeist(store, clock)(heist_id, action, refund_token=options.refund_token)
    except NotReversible as problem:
        return Outcome(heist_id, NOT_REVERSED, problem=str(problem))
    except Contention:
        return Outcome(
            heist_id, NOT_REVERSED, problem="others kept changing its players; try again"
        )
    if done.already:
        return Outcome(heist_id, "already reversed", done.reversal)
    what = "to be reversed" if isinstance(store, Rehearsal) else "reversed"
    return Outcome(heist_id, what, done.reversal)
