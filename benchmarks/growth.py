"""Budget 10: what a heist, its notices, reports and a page of the inbox cost as players grow.

`make bench-growth` fills a table with 1,200, 10⁴ and 10⁵ players on MiniStack and calls the
real functions at each size, counting calls, bytes of bodies and write units. Read units, which
MiniStack does not count by size, come from DynamoDB Local, at the first two. Prints the tables of
docs/performance.md, draws docs/growth.svg, and exits with 1 when one is not flat.
"""

import argparse
import math
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, redirect_stdout
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from benchmarks.write_units import Meter, metered, units
from heist_core.domain.notices import notices_of
from heist_core.domain.player import Losses, Player
from heist_core.domain.statistics import DAYS_WINDOW, Holding, Robber, Takings, hour_of
from heist_core.storage import counting, inbox_items, keys, player_items, wire
from heist_core.use_cases.show_statistics import ShowStatistics
from local.console import plain_streams, say, show
from local.tools import ROOT
from tests.builders import NOW, SEASON, Event, api_event, award, stream_event, stream_record
from tests.engines import Engine, dynamodb_local, forget_aws_settings, ministack
from tests.integration.game import Game

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import WriteRequestTypeDef

SIZES = (1_200, 10_000, 100_000)
"""Of the fewest, too, more than 1,000 have points of this month: a full board."""
INBOXES = ((10, 10), (100, 100), (10_000, 100), (10_000, 10_000))
"""Items in an inbox, and how many of them are unread."""
BEGINNERS = (6,)
"""Of every eight players: who has no points of this season yet. All others rob every day."""
OLD_SEASONS = tuple(f"{year}-{month:02d}" for year in (2023, 2024, 2025) for month in range(1, 13))
BEFORE_LAST, LAST = "2026-09", "2026-10"
LAST_PLAYERS = 8
"""With these everything is measured."""
PLAYERS_ABOVE = 9_000_000
"""Numbers that no size reaches."""
FLAT = 1.05
"""The most expensive size may cost so many times the cheapest."""
PAGE = 20
PLACES = "the board's first 1,000"
"""Once in eight seconds for everybody. Among equals, as here, up to four shards read on."""


class Cost(NamedTuple):
    """What one operation asked of DynamoDB: bytes of the bodies, units with all indexes."""

    calls: int
    sent: int
    received: int
    writes: float
    reads: float

    @property
    def bytes(self) -> int:
        return self.sent + self.received


Table = dict[str, dict[int, Cost]]
"""Costs by operation and number of players."""


def growth(costs: Iterable[Cost]) -> float:
    """The most expensive over the cheapest, in calls, bytes or units, whichever grew most."""
    columns = zip(
        *((cost.calls, cost.bytes, cost.writes, cost.reads) for cost in costs), strict=True
    )
    return float(max(max(column) / min(column) for column in columns if any(column)))


def measured(meter: Meter, operation: Callable[[], object]) -> Cost:
    meter.take()
    operation()
    sent, received = meter.sent, meter.received
    writes, reads, calls = meter.take()
    return Cost(int(calls), sent, received, writes, reads)


# The table's content


def name_of(number: int) -> str:
    """As an id of Cognito's: as long, and as hard to compress, whatever the number."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, str(number)))


def _player_item(number: int) -> wire.Item:
    """Of somebody who has played for years: all attributes that come with that."""
    who = name_of(number)
    seasons = (BEFORE_LAST, LAST) if number % 8 in BEGINNERS else (LAST, SEASON)
    points = dict.fromkeys(seasons, 1000)
    losses = {season: Losses(9, 300) for season in seasons}
    return {
        **keys.player(who),
        "version": 400,
        "tokens": 3,
        "tokensEarned": 103,
        "tokensSpent": 100,
        "lastEarnedAt": "2026-11-01T00:00:00.000Z",
        "lastSpentAt": "2026-11-20T00:00:00.000Z",
        "lastHeistAt": "2026-11-20T00:00:00.000Z",
        "lastRobbedAt": "2026-11-20T00:00:00.000Z",
        "firstSeenAt": "2023-01-01T00:00:00.000Z",
        **player_items.points_attributes(points),
        **player_items.board_places(Player(who, points=points)),
        "losses": player_items.losses_attribute(losses),
        "name": who,
        "nameAt": "2026-11-01T00:00:00.000Z",
        "email": f"{who}@example.com",
        "emailAt": "2026-11-01T00:00:00.000Z",
        "emailOptOut": False,
        "emailOptOutAt": "2026-11-01T00:00:00.000Z",
        "emailChoices": {"robbed": "daily"},
    }


def _old_seasons_item(number: int) -> wire.Item:
    points = player_items.points_attributes(dict.fromkeys(OLD_SEASONS, 1000))
    return {**keys.old_seasons(name_of(number)), **points}


def _robber_item(number: int) -> wire.Item:
    """As after 30 days with a cooldown of 24 hours, each of which was used at once."""
    hours = {
        hour_of(NOW - timedelta(days=day)): Takings(1, 100 + number % 900) for day in range(1, 31)
    }
    return counting.robber_item(1, Robber(name_of(number), hours, 400, Holding(400, 3)))


def people(since: int, until: int) -> Iterator[wire.Item]:
    """Players of these numbers, and the standings of those who rob.

    Old seasons are in no index: what is measured can read those of the last players alone.
    """
    for number in range(since, until):
        yield _player_item(number)
        if number >= until - LAST_PLAYERS:
            yield _old_seasons_item(number)
        if number % 8 not in BEGINNERS:
            yield _robber_item(number)


def counters() -> Iterator[wire.Item]:
    """Full ones, as after a week with attempts in every hour: the most that reports ever read."""
    for shard in range(counting.SHARDS):
        balances = {f"b{balance}": 1000 for balance in range(10)}
        yield {**keys.balances(1, shard), **balances}
        for day in range(DAYS_WINDOW.days + 1):
            date = (NOW - timedelta(days=day)).date().isoformat()
            hours = {f"{kind}{hour:02d}": 1000 for kind in "spf" for hour in range(24)}
            yield {**keys.day(1, date, shard), **hours, "expiresAt": 1_800_000_000}


def inbox(owner: str, length: int, unread: int) -> Iterator[wire.Item]:
    """The inbox of a player who read all but the newest."""
    for position in range(1, length + 1):
        (notice,) = notices_of(award(owner, f"friend-{position:07d}"))
        item = dict(inbox_items.inbox_item(position, f"{position:08x}", notice))
        if position <= length - unread:
            del item["unread"]
            item["readAt"] = "2026-11-20T00:00:00.000Z"
        yield item
    yield {**keys.read_count(owner), "readItems": length - unread, "newest": length}


def put_all(game: Game, found: Iterable[wire.Item]) -> None:
    """Puts items in batches of 25, without the application: this only makes the table large."""
    rest = iter(found)

    def batches() -> Iterator[list["WriteRequestTypeDef"]]:
        while some := list(islice(rest, 25)):
            yield [{"PutRequest": {"Item": wire.to_wire(item)}} for item in some]

    def put(batch: list["WriteRequestTypeDef"]) -> None:
        answer = game.client.batch_write_item(RequestItems={game.table: batch})
        assert not answer.get("UnprocessedItems")

    with ThreadPoolExecutor(2) as threads:
        everything = batches()
        while some := list(islice(everything, 200)):
            list(threads.map(put, some))


# What is measured


def operations(game: Game, meter: Meter, players: int) -> Iterator[tuple[str, Cost]]:
    """With the last players of their kinds; each operation builds on the one before."""
    robber, victim = name_of(players - LAST_PLAYERS), name_of(players - 7)
    committed: list[Event] = []

    def rob(robber: str, victim: str) -> None:
        answer = game.rob(robber, victim)
        assert answer.status == 200, answer
        committed.append(answer.body)

    def heist_of(robber: str, victim: str) -> Cost:
        """MiniStack counts no sizes in transactions, so items above 1 KB are added here."""
        cost = measured(meter, lambda: rob(robber, victim))
        both = [keys.player(robber), keys.player(victim)]
        above = sum(units(wire.to_wire(game.item(key) or {}), 1024) - 1 for key in both)
        return cost._replace(writes=cost.writes + 2 * above)

    yield "a heist", heist_of(robber, victim)
    yield "a season's first heist", heist_of(name_of(players - 2), name_of(players - 1))
    item = game.item(keys.heist(committed[0]["heistId"]))
    assert item is not None
    record = stream_event(stream_record(item))
    yield "notifying both", measured(meter, lambda: game.call("notify_players", record))
    yield "counting it", measured(meter, lambda: game.call("publish_and_count", record))
    event = api_event("list_notifications", victim, query={"limit": str(PAGE)})
    yield "a page of the inbox", measured(meter, lambda: game.request("list_notifications", event))
    event = api_event("show_player", victim)
    yield "a home screen", measured(meter, lambda: game.request("show_player", event))
    event = api_event("show_leaderboard", victim, query={"limit": str(PAGE)})
    yield PLACES, measured(meter, lambda: game.request("show_leaderboard", event))
    yield "a page of the board", measured(meter, lambda: game.request("show_leaderboard", event))
    report = ShowStatistics(game.statistics_store, game.time.clock)
    yield "report: heists per day", measured(meter, report.heists_per_day)
    yield "report: tokens", measured(meter, report.token_distribution)
    yield "report: top robbers", measured(meter, report.top_robbers)


def inbox_pages(game: Game, meter: Meter) -> Iterator[tuple[int, int, Cost]]:
    """A page of inboxes of all lengths."""
    for length, unread in INBOXES:
        owner = f"owner-{length:07d}-{unread:07d}"
        put_all(game, inbox(owner, length, unread))
        event = api_event("list_notifications", owner, query={"limit": str(PAGE)})

        def page(event: Event = event) -> None:
            answer = game.request("list_notifications", event)
            assert answer.status == 200
            assert answer.body["unreadCount"] == unread  # noqa: B023 - called at once

        yield length, unread, measured(meter, page)


@contextmanager
def game_on(
    engines: Callable[[Path], AbstractContextManager[Engine]],
) -> Iterator[tuple[Engine, Game]]:
    """An engine, started for the length of the block, and the application on a table of it."""
    with (
        tempfile.TemporaryDirectory() as home,
        engines(Path(home)) as engine,
        engine.table() as table,
        Game(engine.client, table).wired() as game,
    ):
        yield engine, game


def grow_to(
    engines: Callable[[Path], AbstractContextManager[Engine]], sizes: Iterable[int]
) -> tuple[Table, list[tuple[int, int, Cost]]]:
    """One table filled to each size in turn: what operations cost there, and pages of inboxes."""
    table: Table = {}
    with game_on(engines) as (engine, game):
        put_all(game, counters())
        put_all(game, map(_player_item, (PLAYERS_ABOVE, PLAYERS_ABOVE + 1)))
        game.rob(name_of(PLAYERS_ABOVE), name_of(PLAYERS_ABOVE + 1))  # the settings are read now
        with metered(game.client) as meter:
            pages = list(inbox_pages(game, meter))
            there = 0
            for players in sizes:
                started = time.monotonic()
                put_all(game, people(there, players))
                there = players
                game.time.pass_(minutes=6)
                game.call("keep_leaderboard", {"source": "aws.events"})  # as its schedule does
                say(
                    f"{players:>9,} players on {engine.name}, "
                    f"put in {time.monotonic() - started:.0f} s"
                )
                for operation, cost in operations(game, meter, players):
                    table.setdefault(operation, {})[players] = cost
    return table, pages


# What is shown


def rows(table: Table, read: Table, pages: Iterable[tuple[int, int, Cost]]) -> Iterator[str]:
    """Two tables in Markdown; `read` and `pages` are DynamoDB Local's."""
    sizes = [f"{size:,}" for size in next(iter(table.values()))]
    yield f"| calls · bytes · write units at players | {' | '.join(sizes)} | read units |"
    yield "|---|" + "--:|" * (len(sizes) + 1)
    for operation, costs in table.items():
        cells = [f"{one.calls} · {one.bytes:,} · {one.writes:g}" for one in costs.values()]
        units = [f"{one.reads:g}" for one in read.get(operation, {}).values()]
        yield f"| {operation} | {' | '.join(cells)} | {', '.join(units)} |"
    yield ""
    yield "| inbox | unread | calls | bytes | read units |"
    yield "|--:|--:|--:|--:|--:|"
    for length, unread, cost in pages:
        yield f"| {length:,} | {unread:,} | {cost.calls} | {cost.bytes:,} | {cost.reads:g} |"


_COLOURS = ("#1b6ca8", "#c8553d", "#3a7d44", "#8e5572", "#c28f00", "#4a4e69", "#00808a")
_WIDTH, _HEIGHT, _LEFT, _TOP, _GAP = 330, 260, 60, 40, 80


def drawing(table: Table) -> str:
    """An SVG: write units on the left, bytes on the right (logarithmic)."""
    panels: tuple[
        tuple[str, Callable[[Cost], float], Callable[[float], float], tuple[int, ...]], ...
    ]
    panels = (
        ("write units", lambda cost: cost.writes, lambda units: units / 20, (0, 5, 10, 15, 20)),
        (
            "bytes on the wire",
            lambda cost: cost.bytes,
            lambda count: (math.log10(count) - 2) / 4,
            (100, 1_000, 10_000, 100_000, 1_000_000),
        ),
    )
    sizes = list(next(iter(table.values())))
    width = _LEFT + 2 * (_WIDTH + _GAP) + 90
    bottom = _TOP + _HEIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{bottom + 50}">',
        "<style>text { font: 12px sans-serif }</style>",
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for number, (title, value, share, ticks) in enumerate(panels):
        left = _LEFT + number * (_WIDTH + _GAP)
        parts.append(f'<text x="{left}" y="{_TOP - 14}" font-weight="bold">{title}</text>')
        for tick in ticks:
            y = bottom - _HEIGHT * share(tick)
            parts += [
                f'<line x1="{left}" x2="{left + _WIDTH}" y1="{y:.0f}" y2="{y:.0f}" stroke="#ddd"/>',
                f'<text x="{left - 6}" y="{y + 4:.0f}" text-anchor="end">{tick:,}</text>',
            ]
        places = [
            left + 25 + at * (_WIDTH - 50) / max(1, len(sizes) - 1) for at in range(len(sizes))
        ]
        for x, size in zip(places, sizes, strict=True):
            parts.append(
                f'<text x="{x:.0f}" y="{bottom + 18}" text-anchor="middle">{size:,}</text>'
            )
        parts.append(f'<text x="{left}" y="{bottom + 38}">players</text>')
        for colour, costs in zip(_COLOURS, table.values(), strict=False):
            points = " ".join(
                f"{x:.0f},{bottom - _HEIGHT * share(value(cost)):.1f}"
                for x, cost in zip(places, costs.values(), strict=True)
            )
            parts.append(
                f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
            )
    for number, (colour, name) in enumerate(zip(_COLOURS, table, strict=False)):
        x, y = width - 165, _TOP + 10 + number * 22
        parts += [
            f'<line x1="{x}" x2="{x + 18}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="3"/>',
            f'<text x="{x + 24}" y="{y + 4}">{name}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])


def main() -> int:
    plain_streams()
    parser = argparse.ArgumentParser(prog="growth", description=__doc__)
    parser.add_argument("--up-to", type=int, default=SIZES[-1], help="players at the end")
    options = parser.parse_args()
    forget_aws_settings()
    started = time.monotonic()
    sizes = [size for size in SIZES if size <= options.up_to]
    try:
        with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):  # the functions' logs
            read, pages = grow_to(dynamodb_local, sizes[:2])
            table, _ = grow_to(ministack, sizes)
    except pytest.skip.Exception as missing:
        show(f"✘ {missing}")
        return 1
    for row in rows(table, read, pages):
        show(row)
    (ROOT / "docs" / "growth.svg").write_text(drawing(table), "utf-8")
    steep = [
        name
        for costs_by_name in (table, read)
        for name, costs in costs_by_name.items()
        if name != PLACES and growth(costs.values()) > FLAT
    ]
    verdict = f"not flat: {', '.join(steep)}" if steep else "flat"
    show(f"\n{time.monotonic() - started:.0f} s; {verdict}")
    return 1 if steep else 0


if __name__ == "__main__":
    sys.exit(main())
