"""GET /api/heist/can-rob/{targetUserId}"""

from heist_core import wiring
from heist_core.domain.heist import HeistPlan
from heist_core.http.api import Request, Response, api_handler
from heist_core.target_contract import parse_target


@api_handler("check_target", wiring.rate_limit)
def handler(request: Request) -> Response:
    target_id = parse_target(request.path)
    verdict = wiring.check_target()(request.caller_id, target_id)
    if isinstance(verdict, HeistPlan):
        return Response(
            {
                "eligible": True,
                "potentialSteal": verdict.points_stolen,
                "targetPoints": verdict.victim_points_before,
            },
            log={"target": target_id},
        )
    return Response(
        {
            "eligible": False,
            "reason": verdict.message,
            "code": verdict.code,
            "potentialSteal": 0,
            "targetPoints": 0,
            "details": verdict.details,
        },
        log={"target": target_id, "code": verdict.code},
    )
