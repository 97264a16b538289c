"""GET below /api/heist/admin: players, heists, actions, settings, dead letters, audit"""

from heist_core import wiring
from heist_core.contracts import parse
from heist_core.domain.errors import NotFound
from heist_core.domain.times import from_iso
from heist_core.http.api import Request, Response, api_handler, only_operators
from heist_core.http.cursors import cursor_of, position_in, refused
from heist_core.operator_contracts import PlayerPath
from heist_core.query_contracts import PageQuery

_LONGEST_ID = 128


@api_handler("read_admin")
def handler(request: Request) -> Response:
    only_operators(request, or_support=True)
    match request.route.rpartition("/admin/")[2]:
        case "players/{userId}":
            return _player(request)
        case "heists/{heistId}":
            return _heist(request)
        case "actions":
            return _actions(request)
        case "settings":
            return Response(wiring.show_settings()())
        case "dead-letters":
            return Response(wiring.dead_letter_queues().shown(wiring.clock().now()))
        case _:
            return Response(wiring.timelines().audit())


def _player(request: Request) -> Response:
    player_id = parse(PlayerPath, request.path).userId
    query = parse(PageQuery, request.query)
    timeline = wiring.timelines().player(
        player_id,
        wiring.clock().now(),
        before=_before(request, query.cursor, player_id),
        limit=query.limit,
    )
    if timeline is None:
        raise NotFound("There is no player with this id")
    following = timeline.page.last and cursor_of(
        request.caller_id, request.route, player_id, *timeline.page.last
    )
    return Response(
        {"player": timeline.player, "timeline": timeline.page.entries, "nextCursor": following},
        log={"player": player_id},
    )


def _heist(request: Request) -> Response:
    heist_id = request.path["heistId"]
    known = 1 <= len(heist_id) <= _LONGEST_ID
    found = wiring.timelines().heist(heist_id) if known else None
    if found is None:
        raise NotFound("There is no heist with this id")
    return Response(found)


def _actions(request: Request) -> Response:
    query = parse(PageQuery, request.query)
    page = wiring.timelines().actions(
        wiring.clock().now(), before=_before(request, query.cursor, "all"), limit=query.limit
    )
    following = page.last and cursor_of(request.caller_id, request.route, "all", *page.last)
    return Response({"actions": page.entries, "nextCursor": following})


def _before(request: Request, cursor: str | None, whose: str) -> tuple[str, str] | None:
    if cursor is None:
        return None
    try:
        of, at, which = position_in(cursor, request.caller_id, request.route)
        from_iso(at)
    except ValueError as error:  # made up, seal and all
        raise refused() from error
    if of != whose:
        raise refused()
    return at, which
