"""GET /api/heist/targets"""

from heist_core import wiring
from heist_core.contracts import parse
from heist_core.http.api import Request, Response, api_handler
from heist_core.query_contracts import TargetsQuery


@api_handler("list_targets", wiring.rate_limit)
def handler(request: Request) -> Response:
    query = parse(TargetsQuery, request.query)
    targets = wiring.list_targets()(request.caller_id, query.limit)
    return Response(
        {
            "targets": [
                {
                    "userId": target.player_id,
                    "name": target.name,
                    "points": target.plan.victim_points_before,
                    "potentialSteal": target.plan.points_stolen,
                    "reason": target.reason.value,
                }
                for target in targets
            ]
        },
        log={"targets": len(targets)},
    )
