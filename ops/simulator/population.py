"""Who plays a simulated season: what everybody earns by themselves, invented or as exported."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import exp
from pathlib import Path
from random import Random
from typing import NamedTuple

from heist_core.domain.board import HIGHEST_POINTS
from ops.target import OperatorError

DAYS = 30
MEDIAN_EARNED = 400
SPREAD_OF_EARNED = 1.0
"""Standard deviation of the logarithm: one player in six earns more than 2.7 times the median."""
SPREAD_OF_EAGERNESS = 1.0
DAYS_PLAYED = 10
NEWCOMERS = 0.2
PLAYERS_PER_SCHEME = 1000
"""One in so many invents friends, and so many pairs collude."""


class Person(NamedTuple):
    """What is known of one player. `tokens` weigh how often they refer friends, and attack."""

    earned: int
    """Points of the season, but for what heists brought."""
    joined: int
    """The season's day of the first event about them, 1 to 30; 0 if they were here before."""
    tokens: float
    passive: int = 0


@dataclass(frozen=True, slots=True)
class Population:
    """The players of a season, by number, and what they earn on each day."""

    people: Sequence[Person]
    earnings: Sequence[Sequence[tuple[int, int]]]
    """Of each day: who, and how many points."""
    inventors: Sequence[int] = ()
    """Attackers who invent a friend a day, for the token."""
    pairs: Sequence[tuple[int, int]] = ()
    """Who collects, with such tokens, from whom."""


def population(players: int, known: Sequence[Person], seed: int) -> Population:
    """So many players, each drawn from the known ones (with replacement), or invented."""
    random = Random(f"{seed} population")
    people = [random.choice(known) if known else _invented(random) for _ in range(players)]
    schemes = max(1, players // PLAYERS_PER_SCHEME)
    for number in range(3 * schemes):
        people[number] = people[number]._replace(joined=0, passive=0)
    return Population(
        people,
        _spread(people, random),
        range(schemes),
        [(number, number + schemes) for number in range(schemes, 2 * schemes)],
    )


def _invented(random: Random) -> Person:
    return Person(
        earned=round(MEDIAN_EARNED * exp(random.gauss(0, SPREAD_OF_EARNED))),
        joined=random.randint(1, DAYS) if random.random() < NEWCOMERS else 0,
        tokens=exp(random.gauss(0, SPREAD_OF_EAGERNESS)),
    )


def _spread(people: Sequence[Person], random: Random) -> list[list[tuple[int, int]]]:
    """What everybody earns, in parts as equal as can be, on up to ten days since they joined."""
    earnings: list[list[tuple[int, int]]] = [[] for _ in range(DAYS)]
    for number, person in enumerate(people):
        days = range(max(0, person.joined - 1), DAYS)
        parts = min(DAYS_PLAYED, len(days), person.earned)
        before = 0
        for part, day in enumerate(random.sample(days, parts), start=1):
            until = person.earned * part // parts
            earnings[day].append((number, until - before))
            before = until
    return earnings


# The file of an exported population


LIMITS: Mapping[str, int] = {
    "earned": HIGHEST_POINTS,
    "joined": DAYS,
    "tokens": HIGHEST_POINTS,
    "passive": 1,
}


def rounded(number: int) -> int:
    """To two significant digits, so that a number of the board does not tell who this is."""
    step = int(f"1{'0' * (len(str(number)) - 2)}")
    return (number + step // 2) // step * step


def lines_of(people: Iterable[Person]) -> Iterable[str]:
    """The file: a heading, and a line for each player, in an order that tells nothing."""
    yield ",".join(LIMITS)
    for person in sorted(people):
        yield ",".join(map(str, person))


def read(path: Path) -> list[Person]:
    """The players of such a file. Raises OperatorError with the line and what is allowed."""
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        rows = csv.reader(file)
        if next(rows, None) != list(LIMITS):
            raise OperatorError(
                f"{path}: the first line must be {','.join(LIMITS)}: ./heist population writes "
                "such a file."
            )
        people = [_person(f"{path}, line {rows.line_num}", row) for row in rows]
    if not people:
        raise OperatorError(f"{path}: there is no player in it.")
    return people


def _person(where: str, row: Sequence[str]) -> Person:
    if len(row) != len(LIMITS):
        raise OperatorError(f"{where}: must have {len(LIMITS)} columns, {','.join(LIMITS)}.")
    for (name, highest), text in zip(LIMITS.items(), row, strict=True):
        digits = text.isascii() and text.isdecimal() and len(text) <= len(str(highest))
        if not digits or int(text) > highest:
            raise OperatorError(
                f"{where}: {name} must be a whole number, 0 to {highest}, got {text!r}."
            )
    return Person(*map(int, row))
