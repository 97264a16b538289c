"""The leaderboard's items, and the indexes that it is read from."""

import heapq
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any, NamedTuple

from heist_core.domain.board import CountedCurve, Curve, Standing
from heist_core.domain.errors import Malformed
from heist_core.domain.player import Player
from heist_core.domain.times import from_iso, to_iso

from . import attributes, keys, player_items
from .keys import BOARD_SHARDS
from .table import KEYS_AT_ONCE, Table
from .wire import Item, to_wire
from .writes import Request, put, put_new, update

VIEWS_KEPT = timedelta(minutes=15)


class Seen(NamedTuple):
    """What one batch of reads found, as far as it was asked for."""

    player: Player
    curve: CountedCurve | None
    view: list[Standing] | None
    settings: Item | None


class FinalBoard(NamedTuple):
    """A board that is closed. `announced`: consumers were told."""

    as_of: datetime
    players: int
    standings: list[Standing]
    announced: bool


class BoardStore:
    """Every method may raise what `table` does. `executor` runs overlapping calls."""

    shards = tuple(range(BOARD_SHARDS))

    def __init__(self, table: Table, executor: Executor) -> None:
        self._table = table
        self._executor = executor

    # From the indexes, which are a moment behind the table

    def standings(self, season: str) -> Iterator[Standing]:
        """Everybody on the board, the first place first."""
        return self._merged(season, ">", {":place": keys.place_from(1)}, forward=False)

    def first(self, season: str, most: int) -> list[Standing]:
        """The first places, by pages of about as many as each shard has of them."""
        place = {":place": keys.place_from(1)}
        found = self._merged(
            season, ">", place, forward=False, page=most // BOARD_SHARDS * 9 // 8 + 1
        )
        return list(islice(found, most))

    def neighbours(self, season: str, of: Standing, span: int, *, above: bool) -> list[Standing]:
        """Up to `span` players who stand next to this one, the nearest first."""
        if not span:
            return []
        place = {":place": keys.board_place(of.player_id or "", of.points)}
        sign = ">" if above else "<"
        found = self._merged(season, sign, place, forward=above, page=span)
        return list(islice(found, span))

    def _merged(
        self, season: str, sign: str, values: Item, *, forward: bool, page: int | None = None
    ) -> Iterator[Standing]:
        index = keys.board_index(season)
        condition = f"{index}Board = :shard" + f" AND {index}Place {sign} :place"

        def found_in(shard: int) -> Iterator[Item]:
            request: Request = {
                "IndexName": index,
                "KeyConditionExpression": condition,
                "ExpressionAttributeValues": to_wire(
                    {":shard": keys.board_shard(season, shard), **values}
                ),
                "ScanIndexForward": forward,
            }
            return self._table.query({**request, "Limit": page} if page else request)

        merged = heapq.merge(
            *map(found_in, range(BOARD_SHARDS)),
            key=lambda item: str(item[f"{index}Place"]),
            reverse=not forward,
        )
        return (_standing(item, index) for item in merged)

    def within(
        self,
        season: str,
        low: int,
        high: int,
        shards: Sequence[int],
        start: tuple[int, int] | None,
        most: int,
    ) -> tuple[list[Player], bool]:
        """Players with `low` to `high` points, and whether these are all of those shards.

        Of each shard at most so many: from `start` upwards (points, and 32 bits for where among
        equals), then from `low` to there. As far as the rules look at who is robbed, they are as
        complete as read from the table.
        """
        index = keys.board_index(season)
        first, last = keys.place_from(low), keys.place_from(high + 1)

        def found(part: tuple[int, str, str]) -> list[Item]:
            shard, begin, end = part
            request: Request = {
                "IndexName": index,
                "KeyConditionExpression": f"{index}Board = :shard AND {index}Place "
                "BETWEEN :begin AND :end",
                "ExpressionAttributeValues": to_wire(
                    {":shard": keys.board_shard(season, shard), ":begin": begin, ":end": end}
                ),
                "Limit": most,
            }
            return list(islice(self._table.query(request), most))

        middle = None if start is None else keys.place_among(*start)
        spans = [(first, last)] if middle is None else [(middle, last), (first, middle)]
        parts = [(shard, *span) for shard in shards for span in spans]
        answers = list(self._executor.map(found, parts))
        complete = all(len(answer) < most for answer in answers)
        runs = (
            [item for answer in answers[at : at + len(spans)] for item in answer]
            for at in range(0, len(answers), len(spans))
        )
        chosen = (item for run in runs for item in (run if complete else run[:most]))
        return [_player(item, index, season) for item in chosen], complete

    # What was taken down

    def seen(
        self,
        player_id: str,
        season: str,
        *,
        view_of: datetime | None = None,
        with_settings: bool = False,
    ) -> Seen:
        """A player and the curve, and when asked for the view of a moment and the settings item."""
        wanted = [keys.player(player_id), keys.board_curve(season)]
        if view_of is not None:
            wanted.append(keys.board_view(season, view_of))
        if with_settings:
            wanted.append(keys.SETTINGS)
        found = {keys.place_of(item): item for item in self._table.get_all(wanted)}
        player, curve = (found.get(keys.place_of(key)) for key in wanted[:2])
        view = None if view_of is None else found.get(keys.place_of(wanted[2]))
        return Seen(
            player_items.player_from(player_id, player),
            None if curve is None else curve_from(curve),
            None if view is None else _unpacked(view),
            found.get(keys.place_of(keys.SETTINGS)),
        )

    def put_view(
        self, season: str, moment: datetime, standings: Sequence[Standing]
    ) -> list[Standing]:
        """The view of a moment that stands: this one, or the one that was there already."""
        item = {
            **keys.board_view(season, moment),
            "places": _packed(standings),
            "expiresAt": attributes.expiry(moment, VIEWS_KEPT),
        }
        if self._table.put_if(put_new(item)):
            return list(standings)
        standing = self._table.get(keys.board_view(season, moment))
        return list(standings) if standing is None else _unpacked(standing)

    def claim_curve(self, season: str, now: datetime, forgotten_before: datetime) -> bool:
        """Whether nobody else is counting, or the last one had time enough."""
        return self._table.update_if(
            update(
                keys.board_curve(season),
                "SET claimedAt = :now",
                {":now": to_iso(now), ":before": to_iso(forgotten_before)},
                condition="attribute_not_exists(claimedAt) OR claimedAt < :before",
            )
        )

    def curve(self, season: str) -> CountedCurve | None:
        item = self._table.get(keys.board_curve(season))
        return None if item is None else curve_from(item)

    def put_curve(self, season: str, counted: CountedCurve) -> None:
        """Unless a newer one is there. Ends a claim."""
        curve = counted.curve
        item = {
            **keys.board_curve(season),
            "asOf": to_iso(counted.as_of),
            "players": curve.players,
            "exactFrom": curve.exact_from,
            "curve": _compressed([list(curve.points), list(curve.above)]),
        }
        request = put(item)
        request["ConditionExpression"] = "attribute_not_exists(asOf) OR asOf < :asOf"
        request["ExpressionAttributeValues"] = to_wire({":asOf": item["asOf"]})
        self._table.put_if(request)

    def final(self, season: str) -> FinalBoard | None:
        item = self._table.get(keys.board_final(season))
        if item is None:
            return None
        return FinalBoard(
            from_iso(str(item["asOf"])),
            int(str(item["players"])),
            _unpacked(item),
            announced="announcedAt" in item,
        )

    def close(
        self, season: str, as_of: datetime, players: int, standings: Sequence[Standing]
    ) -> bool:
        """False: the board was closed already, and stays as it is.

        Counting takes minutes, so players who were erased meanwhile are looked for once more.
        """
        nameless = [
            standing._replace(name=None)
            for at in range(0, len(standings), KEYS_AT_ONCE)
            for standing in self.named(standings[at : at + KEYS_AT_ONCE])
        ]
        item = {
            **keys.board_final(season),
            "asOf": to_iso(as_of),
            "players": players,
            "places": _packed(nameless),
        }
        return self._table.put_if(put_new(item))

    def announced(self, season: str, now: datetime) -> None:
        self._table.update(
            update(keys.board_final(season), "SET announcedAt = :now", {":now": to_iso(now)})
        )

    def named(self, standings: Iterable[Standing]) -> list[Standing]:
        """The same at most 100 players by their names of now; nobody for those erased since."""
        wanted = list(standings)
        ids = [one.player_id for one in wanted if one.player_id is not None]
        found = self._table.get_all([keys.player(each) for each in ids]) if ids else []
        players = {
            keys.id_of(item): player_items.player_from(keys.id_of(item), item) for item in found
        }
        return [
            Standing(one.points, None)
            if player is None or player.erased
            else one._replace(name=player.name)
            for one in wanted
            for player in [players.get(one.player_id or "")]
        ]


def curve_from(item: Item) -> CountedCurve | None:
    """None while the first of a season is being counted."""
    if "asOf" not in item:
        return None
    points, above = _decompressed(item["curve"])
    players, exact_from = (int(str(item[name])) for name in ("players", "exactFrom"))
    return CountedCurve(from_iso(str(item["asOf"])), Curve(points, above, players, exact_from))


def without_player(item: Item, player_id: str) -> Request | None:
    """A closed board on which nobody stands where this player stood; None if they did not.

    Views and curves are gone within a quarter of an hour, or name nobody.
    """
    if keys.key_of(item) != keys.board_final(keys.id_of(item)):
        return None
    standings = _unpacked(item)
    if all(one.player_id != player_id for one in standings):
        return None
    after = (one if one.player_id != player_id else Standing(one.points, None) for one in standings)
    return update(
        keys.key_of(item),
        "SET places = :places",
        {":places": _packed(after), ":seen": item["places"]},
        condition="places = :seen",
    )


def _standing(item: Item, index: str) -> Standing:
    return Standing(keys.points_at(str(item[f"{index}Place"])), keys.id_of(item), _name(item))


def _player(item: Item, index: str, season: str) -> Player:
    """What the index knows of a player: all but what only their own heists depend on."""
    points = keys.points_at(str(item[f"{index}Place"]))
    state = {**item, "version": Decimal(1), player_items.season_attribute(season): Decimal(points)}
    return player_items.player_from(keys.id_of(item), state)


def _name(item: Item) -> str | None:
    name = item.get("name")
    return name if isinstance(name, str) else None


def _packed(standings: Iterable[Standing]) -> bytes:
    return _compressed([list(one) for one in standings])


def _unpacked(item: Item) -> list[Standing]:
    return [Standing(*one) for one in _decompressed(item["places"])]


def _compressed(value: object) -> bytes:
    return zlib.compress(json.dumps(value, separators=(",", ":")).encode())


def _decompressed(stored: object) -> list[list[Any]]:
    """Raises Malformed."""
    try:
        value: list[list[Any]] = json.loads(zlib.decompress(stored))  # type: ignore[arg-type]
    except (TypeError, ValueError, zlib.error) as error:
        raise Malformed("a board cannot be read") from error
    return value
