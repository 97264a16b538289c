"""POST /api/heist/notifications/read"""

from heist_core import wiring
from heist_core.contracts import parse_body
from heist_core.http.api import Request, Response, api_handler
from heist_core.player_contracts import MarkReadRequest


@api_handler("mark_notifications_read")
def handler(request: Request) -> Response:
    selection = parse_body(MarkReadRequest, request.body, empty={})
    marked = wiring.mark_notifications_read()(request.caller_id, selection)
    return Response({"success": True, "updated": marked.updated, "unreadCount": marked.unread})
