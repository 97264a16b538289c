"""GET /api/heist/notifications/count"""

from heist_core import wiring
from heist_core.http.api import Request, Response, api_handler


@api_handler("count_unread")
def handler(request: Request) -> Response:
    unread = wiring.store().unread_count(request.caller_id, wiring.clock().now())
    return Response({"unreadCount": unread})
