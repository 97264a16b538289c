"""Execute without the network, on all of Powertools: resolver, validation, Tracer, models."""

from dataclasses import asdict
from typing import Annotated, Any

import no_network  # type: ignore[import-not-found]  # noqa: F401 - beside this file when it runs
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.event_handler.openapi.params import Body, Header
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, Field

from heist_core import wiring
from heist_core.domain.heist import Attempt, Heist
from heist_core.domain.times import to_iso
from heist_core.use_cases.execute_heist import heist_id_of

logger = Logger()
metrics = Metrics(namespace="HeistCore")
tracer = Tracer()
app = APIGatewayHttpResolver(enable_validation=True)


class Execute(BaseModel):
    targetUserId: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:@|-]{1,64}$")]


class Executed(BaseModel):
    success: bool
    heistId: str
    pointsStolen: int
    message: str
    attackerPointsAfter: int
    tokensLeft: int
    cooldownEndsAt: str


@app.post("/api/heist/execute")
@tracer.capture_method
def execute(
    request: Annotated[Execute, Body()],
    idempotency_key: Annotated[str | None, Header(max_length=128)] = None,
) -> Executed:
    event = app.current_event
    caller = event.request_context.authorizer.jwt_claim["sub"]
    attempt = Attempt(
        id=heist_id_of(caller, idempotency_key, wiring.new_id),
        attacker_id=caller,
        victim_id=request.targetUserId,
        source_network=event.request_context.http.source_ip,
    )
    outcome = wiring.execute_heist()(
        attempt, app.lambda_context.get_remaining_time_in_millis() / 1000
    )
    heist = outcome.result
    if not isinstance(heist, Heist):
        raise TypeError
    for name, value in (("HeistAttempts", 1), ("HeistsSucceeded", 1), ("PointsStolen", 40)):
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)
    logger.info("request", extra={"heist": asdict(attempt), "status": 200})
    plan = heist.plan
    return Executed(
        success=True,
        heistId=attempt.id,
        pointsStolen=plan.points_stolen,
        message=f"Success! You stole {plan.points_stolen} points!",
        attackerPointsAfter=plan.attacker_points_after,
        tokensLeft=plan.tokens_left,
        cooldownEndsAt=to_iso(plan.cooldown_ends_at),
    )


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
@metrics.log_metrics
@tracer.capture_lambda_handler
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return app.resolve(event, context)
