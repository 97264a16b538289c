"""A player's history: the heists of a season that they were part of."""

from collections.abc import Collection, Sequence
from concurrent.futures import Executor
from datetime import datetime
from itertools import islice
from typing import NamedTuple

from heist_core.domain.heist import Heist
from heist_core.domain.history import Entry, Role
from heist_core.domain.player import Player
from heist_core.domain.times import season_of, to_iso

from . import items, keys, player_items
from .keys import Key, Source
from .table import KEYS_AT_ONCE, Table
from .wire import Item, to_wire

ROBBERIES_SHOWN = 50
_LAST = "~"
"""Above all that a moment and an id are made of."""
_SOURCES = {Role.ATTACKER: Source.GAIN, Role.VICTIM: Source.LOSS}


class Robbery(NamedTuple):
    heist_id: str
    robber_id: str


class Page(NamedTuple):
    """`last`: the position that the next page is before; None when nothing older follows."""

    entries: Sequence[Entry]
    last: str | None


class History:
    """`executor` runs overlapping calls. Every method may raise Unavailable."""

    def __init__(self, table: Table, executor: Executor) -> None:
        self._table = table
        self._executor = executor

    def page(
        self,
        player_id: str,
        season: str,
        roles: Collection[Role],
        before: str | None,
        limit: int,
    ) -> Page:
        """The newest of a player's heists, in two steps: the ledger's entries, then the records.

        A position is when a heist happened, as stored, and its id. Whose data was erased has none.
        """

        def entries(role: Role) -> list[str]:
            return self._positions(player_id, season, _SOURCES[role], before, limit + 1)

        state = self._executor.submit(self._table.get, keys.player(player_id))
        found = sorted(one for of in self._executor.map(entries, roles) for one in of)[::-1]
        if player_items.player_from(player_id, state.result()).erased:
            return Page([], None)
        page = found[:limit]
        wanted = [position.partition("#")[2] for position in page]
        records = self._records([key for one in wanted for key in _records_of(one)])
        return Page(
            [entry for one in wanted if (entry := _entry(player_id, one, records))],
            page[-1] if len(found) > limit else None,
        )

    def one(self, player_id: str, heist_id: str) -> Entry | None:
        """A heist that happened and that this player was part of; None for any other id."""
        state = keys.player(player_id)
        found = self._records([state, *_records_of(heist_id)])
        if player_items.player_from(player_id, found.get(keys.place_of(state))).erased:
            return None
        return _entry(player_id, heist_id, found)

    def robberies(self, player_id: str, since: datetime, now: datetime) -> list[Robbery]:
        """The newest heists on a player since a moment, at most 50."""

        def of_season(season: str) -> list[Item]:
            key = keys.ledger_entry(player_id, season, Source.LOSS, "")
            entries = self._table.query(
                {
                    "KeyConditionExpression": "pk = :pk AND sk BETWEEN :first AND :last",
                    "ExpressionAttributeValues": to_wire(
                        {
                            ":pk": key["pk"],
                            ":first": key["sk"] + to_iso(since),
                            ":last": key["sk"] + _LAST,
                        }
                    ),
                    "ConsistentRead": True,
                    "ScanIndexForward": False,
                    "Limit": ROBBERIES_SHOWN,
                }
            )
            return list(islice(entries, ROBBERIES_SHOWN))

        seasons = sorted({season_of(since), season_of(now)}, reverse=True)
        pages = self._executor.map(of_season, seasons)  # two at the beginning of a month
        found = [entry for page in pages for entry in page]
        return [
            Robbery(str(entry["heistId"]), str(entry["otherId"]))
            for entry in found[:ROBBERIES_SHOWN]
        ]

    def robbers(self, robberies: Sequence[Robbery]) -> list[Player]:
        """Who robbed, the latest first, each once; not for a heist that was reversed."""
        ids = list(dict.fromkeys(one.robber_id for one in robberies))
        reversals = {one.heist_id: keys.reversal(one.heist_id) for one in robberies}
        found = self._records([*map(keys.player, ids), *reversals.values()])
        standing = {
            one.robber_id
            for one in robberies
            if keys.place_of(reversals[one.heist_id]) not in found
        }
        return [
            player_items.player_from(each, found.get(keys.place_of(keys.player(each))))
            for each in ids
            if each in standing
        ]

    def _positions(
        self, player_id: str, season: str, source: Source, before: str | None, limit: int
    ) -> list[str]:
        """Newest first."""
        first = keys.ledger_entry(player_id, season, source, "")
        last = before or _LAST
        found = self._table.query(
            {
                "KeyConditionExpression": "pk = :pk AND sk BETWEEN :first AND :last",
                "ExpressionAttributeValues": to_wire(
                    {":pk": first["pk"], ":first": first["sk"], ":last": first["sk"] + last}
                ),
                "ProjectionExpression": "sk",
                "ConsistentRead": True,
                "ScanIndexForward": False,
                "Limit": limit + 1,  # the one at `before` is in it
            }
        )
        positions = (str(item["sk"]).removeprefix(first["sk"]) for item in found)
        return list(islice((one for one in positions if one != before), limit))

    def _records(self, wanted: Sequence[Key]) -> dict[str, Item]:
        parts = [wanted[at : at + KEYS_AT_ONCE] for at in range(0, len(wanted), KEYS_AT_ONCE)]
        found = self._executor.map(self._table.get_all, parts)
        return {keys.place_of(item): item for of in found for item in of}


def _records_of(heist_id: str) -> tuple[Key, Key]:
    return keys.heist(heist_id), keys.reversal(heist_id)


def _entry(player_id: str, heist_id: str, records: dict[str, Item]) -> Entry | None:
    record, reversal = (records.get(keys.place_of(key)) for key in _records_of(heist_id))
    heist = None if record is None else items.heist_from(record)
    if not isinstance(heist, Heist) or player_id not in heist.parties:
        return None
    return Entry(player_id, heist, None if reversal is None else items.reversal_from(reversal))
