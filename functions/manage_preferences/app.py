"""GET and PUT /api/heist/preferences"""

from heist_core import wiring
from heist_core.contracts import parse_body
from heist_core.domain.times import to_iso
from heist_core.http.api import Request, Response, api_handler
from heist_core.player_contracts import PreferencesRequest
from heist_core.use_cases.manage_preferences import Shown


@api_handler("manage_preferences", wiring.rate_limit)
def handler(request: Request) -> Response:
    manage = wiring.manage_preferences()
    if request.route.startswith("GET "):
        return _response(manage.show(request.caller_id))
    changes = parse_body(PreferencesRequest, request.body)
    return _response(manage.change(request.caller_id, changes))


def _response(shown: Shown) -> Response:
    preferences, locked_until = shown.preferences, shown.passive_locked_until
    return Response(
        {
            "passive": preferences.passive,
            "passiveLockedUntil": locked_until and to_iso(locked_until),
            "hidden": preferences.hidden,
            "email": shown.email,
        }
    )
