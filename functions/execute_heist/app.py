"""POST /api/heist/execute"""

from heist_core import telemetry, wiring
from heist_core.domain.heist import Attempt, Heist
from heist_core.domain.times import to_iso
from heist_core.http.api import Request, Response, api_handler, error_response
from heist_core.parsing import parse_idempotency_key, parse_json
from heist_core.target_contract import parse_target
from heist_core.use_cases.execute_heist import heist_id_of


@api_handler("execute_heist", wiring.rate_limit)
def handler(request: Request) -> Response:
    key = parse_idempotency_key(request.headers.get("idempotency-key"))
    target_id = parse_target(parse_json(request.body))
    attempt = Attempt(
        id=heist_id_of(request.caller_id, key, wiring.new_id),
        attacker_id=request.caller_id,
        victim_id=target_id,
        source_network=request.source_network,
        correlation_id=request.correlation_id,
    )
    outcome = wiring.execute_heist()(attempt, request.seconds_left)
    telemetry.count("ContentionRounds", outcome.contended)
    telemetry.count("HeistReplays" if outcome.replayed else "HeistAttempts")
    if isinstance(outcome.result, Heist):
        response = _success(outcome.result)
        if not outcome.replayed:
            telemetry.count("HeistsSucceeded")
            telemetry.count("PointsStolen", outcome.result.plan.points_stolen)
    else:
        refusal = outcome.result.refusal
        response = error_response(refusal)
        if not outcome.replayed:
            telemetry.count("HeistsRefused", code=refusal.code)
    contended = {"contended": outcome.contended} if outcome.contended else {}
    response = response._replace(log={**response.log, "target": target_id, **contended})
    if not outcome.replayed:
        return response
    return response._replace(headers={"Idempotent-Replay": "true"})


def _success(heist: Heist) -> Response:
    plan = heist.plan
    return Response(
        {
            "success": True,
            "heistId": heist.heist_id,
            "pointsStolen": plan.points_stolen,
            "message": f"Success! You stole {plan.points_stolen} points!",
            "attackerPointsAfter": plan.attacker_points_after,
            "tokensLeft": plan.tokens_left,
            "cooldownEndsAt": to_iso(plan.cooldown_ends_at),
        },
        log={"points": plan.points_stolen, "heist_id": heist.heist_id},
    )
