"""GET /api/heist/heists and /api/heist/heists/{heistId}"""

from heist_core import wiring
from heist_core.contracts import parse
from heist_core.domain.errors import NotFound
from heist_core.domain.history import Entry, Role
from heist_core.domain.times import season_of, to_iso
from heist_core.http.api import Body, Request, Response, api_handler
from heist_core.http.cursors import cursor_of, position_in, refused
from heist_core.query_contracts import HeistsQuery

_LONGEST_ID = 128


@api_handler("list_heists")
def handler(request: Request) -> Response:
    return _page(request) if request.route.endswith("/heists") else _one(request)


def _page(request: Request) -> Response:
    query = parse(HeistsQuery, request.query)
    season, before = query.season, None
    if query.cursor is not None:
        role, began, before = position_in(query.cursor, request.caller_id, request.route)
        season = season or began
        if (role, began) != (query.role, season):
            raise refused()
    season = season or season_of(wiring.clock().now())
    roles = list(Role) if query.role == "all" else [Role(query.role)]
    page = wiring.history().page(request.caller_id, season, roles, before, query.limit)
    following = None
    if page.last is not None:
        following = cursor_of(request.caller_id, request.route, query.role, season, page.last)
    return Response({"heists": [_entry(one) for one in page.entries], "nextCursor": following})


def _one(request: Request) -> Response:
    heist_id = request.path["heistId"]
    known = len(heist_id) <= _LONGEST_ID
    entry = wiring.history().one(request.caller_id, heist_id) if known else None
    if entry is None:
        raise NotFound("There is no heist of yours with this id")
    return Response(_entry(entry))


def _entry(entry: Entry) -> Body:
    return {**entry.document, "createdAt": to_iso(entry.heist.at)}
