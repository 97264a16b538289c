"""POST /api/heist/notifications/read"""

from heist_core import wiring
from heist_core.contracts import MarkReadRequest, parse_body, parse_notification_id
from heist_core.http.api import Request, Response, api_handler


@api_handler("mark_notifications_read")
def handler(request: Request) -> Response:
    selection = parse_body(MarkReadRequest, request.body, empty={})
    store, now = wiring.store(), wiring.clock().now()
    positions = _selected(request.caller_id, selection)
    updated = store.mark_read(request.caller_id, positions, now)
    unread_count = store.unread_count(request.caller_id, now)
    return Response({"success": True, "updated": updated, "unreadCount": unread_count})


def _selected(player_id: str, selection: MarkReadRequest) -> list[tuple[str, str]]:
    """Positions and tags of what is to be marked, as far as it lies there unread."""
    store, now = wiring.store(), wiring.clock().now()
    if "notificationIds" in selection.model_fields_set:
        parsed = {parse_notification_id(one) for one in selection.notificationIds}
        found = store.in_inbox(player_id, sorted(one for one in parsed if one is not None))
        return [one for one, unread in found.items() if unread]
    if "upTo" not in selection.model_fields_set:
        return list(store.unread_positions(player_id, now))
    last = parse_notification_id(selection.upTo)
    if last is None or last not in store.in_inbox(player_id, [last]):
        return []
    return list(store.unread_positions(player_id, now, up_to=last[0]))
