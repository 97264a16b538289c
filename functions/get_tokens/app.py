"""GET /api/heist/tokens"""

from heist_core import wiring
from heist_core.domain.player import Player
from heist_core.domain.times import to_iso
from heist_core.http.api import Request, Response, api_handler


@api_handler("get_tokens")
def handler(request: Request) -> Response:
    player = wiring.store().player(request.caller_id)
    if player.erased:
        player = Player(player.id)
    return Response(
        {
            "balance": player.tokens,
            "totalEarned": player.tokens_earned,
            "totalSpent": player.tokens_spent,
            "lastEarnedAt": player.last_earned_at and to_iso(player.last_earned_at),
            "lastSpentAt": player.last_spent_at and to_iso(player.last_spent_at),
        }
    )
