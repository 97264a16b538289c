"""GET /api/heist/notifications"""

from heist_core import wiring
from heist_core.contracts import parse
from heist_core.domain.notices import InboxItem, message_of
from heist_core.domain.times import to_iso
from heist_core.http.api import Body, Request, Response, api_handler
from heist_core.query_contracts import NotificationsQuery
from heist_core.texts import texts_for


@api_handler("list_notifications")
def handler(request: Request) -> Response:
    query = parse(NotificationsQuery, request.query)
    page, unread_count, more = wiring.store().inbox_page(
        request.caller_id,
        unread_only=query.unreadOnly,
        before=query.cursor or None,
        limit=query.limit,
        now=wiring.clock().now(),
    )
    return Response(
        {
            "notifications": [_notification(item) for item in page],
            "unreadCount": unread_count,
            "nextCursor": page[-1].id if more else None,
        }
    )


def _notification(item: InboxItem) -> Body:
    notice = item.notice
    message = message_of(notice)
    return {
        "id": item.id,
        "userId": notice.recipient_id,
        "heistId": notice.heist_id,
        "type": notice.type.value,
        "message": texts_for(notice.locale).message(message),
        "messageKey": message.key,
        "params": message.params,
        "metadata": notice.metadata,
        "read": item.read,
        "readAt": item.read_at and to_iso(item.read_at),
        "createdAt": to_iso(notice.created_at),
    }
