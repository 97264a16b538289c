"""A heist as it is usually written: validating resolver, Tracer, Logger, Metrics, boto3's resource.

Written to be measured, not to be used: it has no idempotency, limits or retries of its own.
"""

import os
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import uuid4

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.event_handler.openapi.params import Body
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, Field

logger = Logger()
metrics = Metrics(namespace="Typical")
tracer = Tracer()
app = APIGatewayHttpResolver(enable_validation=True)
dynamodb = boto3.resource("dynamodb")
table_name = os.environ["TABLE_NAME"]
table = dynamodb.Table(table_name)


class Execute(BaseModel):
    targetUserId: Annotated[str, Field(min_length=1, max_length=64)]


class Executed(BaseModel):
    heistId: str
    pointsStolen: int


@app.post("/api/heist/execute")
@tracer.capture_method
def execute(request: Annotated[Execute, Body()]) -> Executed:
    caller = app.current_event.request_context.authorizer.jwt_claim["sub"]
    attacker, victim = _read(caller, request.targetUserId)
    season = f"points#{datetime.now(UTC):%Y-%m}"
    stolen = min(int(victim[season]) * 5 // 100, 100)
    heist_id = uuid4().hex
    _write(heist_id, attacker, victim, season, stolen)
    metrics.add_metric(name="HeistsSucceeded", unit=MetricUnit.Count, value=1)
    logger.info("heist", extra={"heist": heist_id, "points": stolen})
    return Executed(heistId=heist_id, pointsStolen=stolen)


@tracer.capture_method
def _read(attacker_id: str, victim_id: str) -> tuple[Any, Any]:
    keys = [{"pk": f"PLAYER#{player}", "sk": "STATE"} for player in (attacker_id, victim_id)]
    found = dynamodb.batch_get_item(
        RequestItems={table_name: {"Keys": keys, "ConsistentRead": True}}
    )
    by_key = {item["pk"]: item for item in found["Responses"][table_name]}
    return by_key[keys[0]["pk"]], by_key[keys[1]["pk"]]


@tracer.capture_method
def _write(heist_id: str, attacker: Any, victim: Any, season: str, stolen: int) -> None:
    at = datetime.now(UTC).isoformat()

    def moved(player: Any, points: int, time_attribute: str) -> dict[str, Any]:
        return {
            "Update": {
                "TableName": table_name,
                "Key": {"pk": player["pk"], "sk": player["sk"]},
                "UpdateExpression": "SET #season = :points, #time = :at ADD version :one",
                "ConditionExpression": "version = :seen",
                "ExpressionAttributeNames": {"#season": season, "#time": time_attribute},
                "ExpressionAttributeValues": {
                    ":points": int(player[season]) + points,
                    ":at": at,
                    ":one": 1,
                    ":seen": player["version"],
                },
            }
        }

    def put(pk: str, sk: str, points: int) -> dict[str, Any]:
        item = {
            "pk": pk,
            "sk": sk,
            "heistId": heist_id,
            "points": points,
            "createdAt": at,
            "attackerPointsBefore": int(attacker[season]),
            "victimPointsBefore": int(victim[season]),
        }
        return {"Put": {"TableName": table_name, "Item": item}}

    table.meta.client.transact_write_items(
        TransactItems=[
            put(f"HEIST#{heist_id}", "HEIST", stolen),
            moved(attacker, stolen, "lastHeistAt"),
            moved(victim, -stolen, "lastRobbedAt"),
            put(f"LEDGER#{attacker['pk']}", heist_id, stolen),
            put(f"LEDGER#{victim['pk']}", heist_id, -stolen),
        ]
    )


@logger.inject_lambda_context
@metrics.log_metrics
@tracer.capture_lambda_handler
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return app.resolve(event, context)
