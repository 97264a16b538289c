"""GET /api/heist/me"""

from heist_core import wiring
from heist_core.domain.board import PLACES_KEPT
from heist_core.domain.times import season_end, to_iso
from heist_core.http.api import Body, Request, Response, api_handler
from heist_core.use_cases.show_player import Rank


@api_handler("show_player", wiring.rate_limit)
def handler(request: Request) -> Response:
    home = wiring.show_player()(request.caller_id)
    player, rules = home.player, home.rules
    return Response(
        {
            "userId": player.id,
            "name": player.name,
            "enabled": rules.enabled,
            "blocked": player.blocked,
            "season": {"id": home.season, "endsAt": to_iso(season_end(home.season))},
            "points": home.points,
            "rank": None if home.rank is None else _rank(home.rank),
            "tokens": player.tokens,
            "cooldownEndsAt": home.cooldown_ends_at and to_iso(home.cooldown_ends_at),
            "protectionEndsAt": home.protection_ends_at and to_iso(home.protection_ends_at),
            "passive": player.preferences.passive,
            "passiveLockedUntil": home.passive_locked_until and to_iso(home.passive_locked_until),
            "newcomerUntil": home.newcomer_until and to_iso(home.newcomer_until),
            "losses": {"robberies": home.losses.robberies, "points": home.losses.points},
            "unreadCount": home.unread,
            "rules": {
                "cooldownHours": rules.cooldown_hours,
                "targetCooldownHours": rules.target_cooldown_hours,
                "stealPercentage": rules.steal_percentage,
                "maxStealPoints": rules.max_steal_points,
                "minTargetPoints": rules.min_target_points,
                "maxRobberiesPerSeason": rules.max_robberies_per_season,
                "maxLossPercentage": rules.max_loss_percentage,
                "pairCooldownHours": rules.pair_cooldown_hours,
                "newcomerHours": rules.newcomer_hours,
            },
        }
    )


def _rank(rank: Rank) -> Body:
    return {
        "value": rank.value,
        "players": rank.players,
        "exact": rank.value <= PLACES_KEPT,
        "asOf": to_iso(rank.as_of),
    }
