"""Play a season with today's settings and with others, to compare.

Needs no stack: the players are invented, or resemble those of a file that
`heist population` wrote. Every decision is that of the functions' own rules.
Today's settings are those of --stage; without it, the defaults under the
HEIST_ variables that are set here. Prints each figure with its 95 % interval
over the seeds, and draws .local/simulation.svg. The same seeds print the same.
"""

import argparse
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from heist_core.domain.settings import Settings
from heist_core.settings import InvalidSettings, parse_settings, settings_from_variables, values_of
from ops import config
from ops.output import Output, fitted
from ops.simulator.behaviour import (
    HIGHEST_ELASTICITY,
    HIGHEST_RATE,
    MIX,
    Behaviour,
    choices_of,
    number_of,
)
from ops.simulator.measures import Measured, measured
from ops.simulator.picture import drawing
from ops.simulator.population import DAYS, Person, population, read
from ops.simulator.report import figures_of, rows
from ops.simulator.season import play
from ops.target import OperatorError, Target

PICTURE = Path(__file__).parents[2] / ".local" / "simulation.svg"
COLUMNS = 80
PLAYERS, FEWEST, MOST = 20_000, 50, 200_000
SEEDS, MOST_SEEDS = 20, 1000


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is played, but for the seed."""

    players: int
    known: tuple[Person, ...]
    now: Settings
    then: Settings
    behaviour: Behaviour


def add_arguments(parser: argparse.ArgumentParser) -> None:
    usual = Behaviour()
    parser.add_argument(
        "--set",
        action="append",
        metavar="NAME=VALUE",
        default=[],
        help="a setting to try; again, or separated by spaces, for several",
    )
    parser.add_argument("--from", dest="file", metavar="FILE", help="players as exported")
    parser.add_argument("--players", default=str(PLAYERS), help=f"how many ({PLAYERS})")
    parser.add_argument("--seeds", default=str(SEEDS), help=f"how many seasons of each ({SEEDS})")
    parser.add_argument("--first", default="1", help="the first seed (1)")
    parser.add_argument(
        "--attacks", default=f"{usual.attacks:g}", help="tried per player and 30 days (2)"
    )
    parser.add_argument(
        "--referrals", default=f"{usual.referrals:g}", help="tokens per player and 30 days (2)"
    )
    parser.add_argument(
        "--choice",
        default=",".join(f"{name}={share:g}" for name, share in MIX.items()),
        help="random, revenge, board or richest, or shares (random=50,revenge=20,…)",
    )
    parser.add_argument(
        "--elasticity",
        default=f"{usual.elasticity:g}",
        help="1: half the points an attack, half the attacks; 0: as many as ever (0)",
    )


def run(target: Target, options: argparse.Namespace, out: Output) -> int:
    scenario, seeds = scenario_of(target, options)
    pairs = []
    started = time.monotonic()
    out.progress(f"{len(seeds)} × 2 seasons of {scenario.players} players …")
    for pair in played(scenario, seeds):
        pairs.append(pair)
        left = (time.monotonic() - started) / len(pairs) * (len(seeds) - len(pairs))
        out.progress(f"{len(pairs)} of {len(seeds)} seeds, {left:.0f} s left")
    found = figures_of(pairs)
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(drawing(pairs), "utf-8")
    now, then = values_of(scenario.now), values_of(scenario.then)
    changed = [name for name in now if now[name] != then[name]]
    people = f"like those of {options.file}" if scenario.known else "invented"
    out.line(
        f"{scenario.players} players, {people}; {DAYS} days; {len(seeds)} seeds from {seeds[0]}"
    )
    for name in changed:
        out.line(f"  {name}: {now[name]} → {then[name]}")
    out.line()
    for line in lines_of_table([("", "today", "proposed", "change"), *rows(found)]):
        out.line(line)
    out.line()
    for line in fitted(f"Assumed: {scenario.behaviour}.", COLUMNS).splitlines():
        out.line(line)
    out.line(f"Picture: {PICTURE.relative_to(PICTURE.parents[1])}; more in docs/fair-play.md")
    out.document(
        {
            "players": scenario.players,
            "days": DAYS,
            "seeds": list(seeds),
            "now": now,
            "proposed": then,
            "assumed": str(scenario.behaviour),
            "figures": {
                name: {
                    side: {"mean": round(one.mean, 6), "half": round(one.half, 6)}
                    for side, one in zip(("now", "proposed", "change"), sides, strict=True)
                }
                for name, sides in found.items()
            },
        }
    )
    return 0


def scenario_of(target: Target, options: argparse.Namespace) -> tuple[Scenario, range]:
    """What the options ask for, and the seeds. Raises OperatorError that names the wrong one."""
    try:
        now = config.in_effect(target) if options.stage else settings_from_variables()
        then = parse_settings(_assigned(options.set), now)
    except InvalidSettings as problem:
        raise OperatorError(f"Not valid: {problem}") from problem
    behaviour = Behaviour(
        attacks=number_of("--attacks", options.attacks, HIGHEST_RATE),
        referrals=number_of("--referrals", options.referrals, HIGHEST_RATE),
        elasticity=number_of("--elasticity", options.elasticity, HIGHEST_ELASTICITY),
        choices=choices_of(options.choice),
    )
    known = tuple(read(Path(options.file))) if options.file else ()
    players = _whole("--players", options.players, FEWEST, MOST)
    first = _whole("--first", options.first, 0, 10**9)
    seeds = range(first, first + _whole("--seeds", options.seeds, 2, MOST_SEEDS))
    return Scenario(players, known, now, then, behaviour), seeds


def played(scenario: Scenario, seeds: range) -> Iterator[tuple[Measured, Measured]]:
    """Both seasons of every seed, in their order, on all cores."""
    workers = max(1, min(8, os.cpu_count() or 1, len(seeds)))
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(workers, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
        yield from pool.imap(partial(play_twice, scenario), seeds)


def play_twice(scenario: Scenario, seed: int) -> tuple[Measured, Measured]:
    """The season of a seed under today's settings and under the proposed ones."""
    people = population(scenario.players, scenario.known, seed)
    now = play(people, scenario.now, scenario.behaviour, seed)
    then = play(people, scenario.then, scenario.behaviour, seed, now.gains)
    return measured(people, now), measured(people, then)


def _assigned(typed: list[str]) -> Mapping[str, str]:
    """Raises OperatorError for a name that is no setting, or when there is none."""
    found = config.assigned(" ".join(typed).split())
    if not found:
        raise OperatorError(
            "Say what to try: --set HEIST_STEAL_PERCENTAGE=3, or "
            "make simulate SET='HEIST_STEAL_PERCENTAGE=3'."
        )
    return found


def _whole(name: str, text: str, lowest: int, highest: int) -> int:
    digits = text.isascii() and text.isdecimal() and len(text) <= len(str(highest))
    if not digits or not lowest <= int(text) <= highest:
        raise OperatorError(f"{name} must be a whole number, {lowest} to {highest}, got {text!r}.")
    return int(text)


def lines_of_table(table: list[tuple[str, str, str, str]]) -> Iterator[str]:
    """The first column to the left, the others to the right, each as wide as it must be."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for first, *others in table:
        numbers = map(str.rjust, others, widths[1:])
        yield "  ".join([first.ljust(widths[0]), *numbers])
