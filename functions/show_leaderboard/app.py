"""GET /api/heist/leaderboard and /api/heist/leaderboard/around"""

from heist_core import wiring
from heist_core.contracts import parse
from heist_core.domain.board import PLACES_KEPT, Place
from heist_core.domain.times import from_iso, season_of, to_iso
from heist_core.http.api import Body, Request, Response, api_handler
from heist_core.http.cursors import cursor_of, position_in, refused
from heist_core.query_contracts import AroundQuery, LeaderboardQuery
from heist_core.use_cases.show_leaderboard import PinGoneError

_CLOSED = "closed"


@api_handler("show_leaderboard")
def handler(request: Request) -> Response:
    return _around(request) if request.route.endswith("/around") else _page(request)


def _page(request: Request) -> Response:
    query = parse(LeaderboardQuery, request.query)
    season, pinned, start = query.season, None, 0
    if query.cursor is not None:
        began, moment, at = position_in(query.cursor, request.caller_id, request.route)
        season = season or began
        if season != began:
            raise refused()
        pinned, start = None if moment == _CLOSED else from_iso(moment), int(at)
    season = season or season_of(wiring.clock().now())
    try:
        board = wiring.show_leaderboard().page(
            request.caller_id, season, pinned, start, query.limit
        )
    except PinGoneError as error:
        raise refused() from error
    return Response(
        {
            "season": season,
            "asOf": to_iso(board.as_of),
            "final": board.taken_at is None,
            "players": board.players,
            "entries": [_entry(place) for place in board.places],
            "nextCursor": cursor_of(
                request.caller_id,
                request.route,
                season,
                _CLOSED if board.taken_at is None else to_iso(board.taken_at),
                str(start + query.limit),
            )
            if board.more
            else None,
        }
    )


def _around(request: Request) -> Response:
    query = parse(AroundQuery, request.query)
    around = wiring.show_leaderboard().around(request.caller_id, query.span)
    me = around.me
    return Response(
        {
            "season": around.season,
            "asOf": to_iso(around.as_of),
            "players": around.players,
            "me": None
            if me is None
            else {"rank": me.rank, "points": me.standing.points, "exact": me.rank <= PLACES_KEPT},
            "entries": [_entry(place) for place in around.places],
        }
    )


def _entry(place: Place) -> Body:
    return {
        "rank": place.rank,
        "userId": place.standing.player_id,
        "name": place.standing.name,
        "points": place.standing.points,
    }
