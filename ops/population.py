"""Write a season's players for `simulate --from`, without names.

Prints a CSV with a line for each player of a finished season (--season; the
last one without it): points earned (those held, and lost to heists), the day
on which they joined (0: before), tokens ever earned, passive or not. No id, no
name, every number rounded to two digits, in an order that tells nothing. Who
led the board may still be recognised by their points: do not publish it.
"""

import argparse
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from heist_core.domain.player import Player
from heist_core.domain.times import season_before, season_of
from heist_core.storage import keys, player_items
from heist_core.storage.keys import Kind
from heist_core.storage.wire import Item
from ops.output import Output
from ops.simulator.population import DAYS, Person, lines_of, rounded
from ops.target import OperatorError, Target

_SEASON = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--season", default="", metavar="YYYY-MM", help="the last one without it")


def run(target: Target, options: argparse.Namespace, out: Output) -> int:
    season = options.season or season_before(season_of(target.now()))
    if not _SEASON.fullmatch(season):
        raise OperatorError(f"--season must be a month such as 2026-10, got {season!r}.")
    people = [
        person_of(player, season)
        for player in _players(target.table.scan(out.items_read), season)
        if player.can_be_robbed
    ]
    if not people:
        raise OperatorError(f"Nobody has points of {season}: --season names another month.")
    for line in lines_of(people):
        out.line(line)
    out.document({"season": season, "players": [person._asdict() for person in sorted(people)]})
    return 0


def _players(found: Iterable[Item], season: str) -> Iterator[Player]:
    """Everybody who has points of a season, wherever those lie."""
    players: dict[str, Player] = {}
    old: dict[str, int] = {}
    for item in found:
        kind, who = keys.kind_of(item), keys.id_of(item)
        if kind is Kind.PLAYER:
            players[who] = player_items.player_from(who, item)
        elif kind is Kind.OLD_SEASONS and season in (points := player_items.points_from(item)):
            old[who] = points[season]
    for who, player in players.items():
        if who in old:
            yield replace(player, old_points={season: old[who]})
        elif season in player.points:
            yield player


def person_of(player: Player, season: str) -> Person:
    """The exported figures of a player."""
    seen = player.first_seen_at
    earned = player.points_in(season) + player.losses_in(season).points
    return Person(
        earned=rounded(earned),
        joined=min(DAYS, seen.day) if seen and season_of(seen) == season else 0,
        tokens=rounded(player.tokens_earned),
        passive=int(player.preferences.passive),
    )
