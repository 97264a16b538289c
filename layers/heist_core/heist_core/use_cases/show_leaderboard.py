"""Shows the leaderboard page by page, or around the caller."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from heist_core.domain.board import (
    PLACES_KEPT,
    CountedCurve,
    Curve,
    Place,
    Standing,
    curve_of,
    order,
    placed,
)
from heist_core.domain.errors import NotFound
from heist_core.domain.times import season_before, season_of

from .clock import Clock

if TYPE_CHECKING:
    from heist_core.storage.board import BoardStore, Seen

VIEW_LASTS = timedelta(seconds=8)
"""With the time to take it, less than the ten seconds of SPEC section 2."""
PINNED_FOR = timedelta(minutes=10)
_NO_BOARD = "There is no leaderboard of this season"


class Board(NamedTuple):
    """`taken_at`: the view that a later page goes on in; None for a closed board."""

    as_of: datetime
    players: int
    places: Sequence[Place]
    taken_at: datetime | None
    more: bool


class Around(NamedTuple):
    """`me` is None for players who are not on the board."""

    season: str
    as_of: datetime
    players: int
    me: Place | None
    places: Sequence[Place]


class PinGoneError(Exception):
    """The view that a page was to go on in is too old, or never was."""


@dataclass(frozen=True)
class ShowLeaderboard:
    """Every method may raise Unavailable."""

    boards: "BoardStore"
    clock: Clock

    def page(
        self, caller_id: str, season: str, pinned: datetime | None, start: int, limit: int
    ) -> Board:
        """Places from `start` (the first is 0) on, of a view if one is `pinned`.

        Raises NotFound for a season without a board, and PinGoneError.
        """
        now = self.clock.now()
        current = season_of(now)
        final = None if season == current else self.boards.final(season)
        if final is not None:
            places = list(islice(placed(final.standings), start, start + limit))
            named = self.boards.named([place.standing for place in places])
            ranks = [place.rank for place in places]
            places = list(map(Place, ranks, named))
            more = start + limit < len(final.standings)
            return Board(final.as_of, final.players, places, None, more)
        if season not in (current, season_before(current)):
            raise NotFound(_NO_BOARD)
        moment = pinned or _taken_at(now)
        seen = self.boards.seen(caller_id, season, view_of=moment)
        if pinned is not None and (seen.view is None or now - pinned > PINNED_FOR):
            raise PinGoneError
        view, counted = self._made(season, moment, seen)
        if season != current and not view:
            raise NotFound(_NO_BOARD)
        places = list(islice(placed(view), start, start + limit))
        more = start + limit < len(view)
        return Board(counted.as_of, counted.curve.players, places, moment, more)

    def around(self, caller_id: str, span: int) -> Around:
        """The caller, and up to `span` neighbours on each side."""
        now = self.clock.now()
        season, moment = season_of(now), _taken_at(now)
        seen = self.boards.seen(caller_id, season, view_of=moment)
        player = seen.player
        view, counted = self._made(season, moment, seen)
        if not player.on_board(season):
            return Around(season, counted.as_of, counted.curve.players, None, [])
        me = Standing(player.points_in(season), caller_id, player.name)
        others = [one for one in view if one.player_id != caller_id]
        mine = sum(order(one) > order(me) for one in others)
        if len(view) < PLACES_KEPT or mine + span < len(others):
            places = list(placed([*others[:mine], me, *others[mine:]]))
            around = places[max(0, mine - span) : mine + span + 1]
            return Around(season, counted.as_of, counted.curve.players, places[mine], around)
        above, below = (
            self.boards.neighbours(season, me, span, above=side) for side in (True, False)
        )
        around = [_place(one, counted.curve) for one in (*reversed(above), me, *below)]
        return Around(season, counted.as_of, counted.curve.players, around[len(above)], around)

    def _made(
        self, season: str, moment: datetime, seen: "Seen"
    ) -> tuple[list[Standing], CountedCurve]:
        """View and curve, which are made where they are missing."""
        if seen.view is not None and seen.curve is not None:
            return seen.view, seen.curve
        first, counted = self.count_first(season)
        if len(first) > PLACES_KEPT and seen.curve is not None:
            counted = seen.curve
        return self.boards.put_view(season, moment, first[:PLACES_KEPT]), counted

    def count_first(self, season: str) -> tuple[list[Standing], CountedCurve]:
        """The first places and one more, and the curve through them.

        If that is the whole board, the curve is kept, so that small boards are never behind. Of a
        larger one that was never counted it tells no more than that, until the schedule has.
        """
        first = self.boards.first(season, PLACES_KEPT + 1)
        holders = Counter(one.points for one in first)
        counted = CountedCurve(self.clock.now(), curve_of(holders))
        if len(first) <= PLACES_KEPT:
            self.boards.put_curve(season, counted)
        return first, counted


def _taken_at(now: datetime) -> datetime:
    """When the present view was, or is to be, taken."""
    return now - (now - datetime.min.replace(tzinfo=UTC)) % VIEW_LASTS


def _place(standing: Standing, curve: Curve) -> Place:
    return Place(curve.rank_of(standing.points), standing)
