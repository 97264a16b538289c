"""A consumer of the events out, to start from: keeps a leaderboard's cache fresh.

A Lambda function behind a rule on the stack's bus (README.md beside this). The cache is a DynamoDB
table of its own, keyed by `season` and `playerId`, named by the variable LEADERBOARD_TABLE. Events
come at least once and in any order; both are harmless, because a line is only replaced by a later
one.
"""

import os
from collections.abc import Mapping
from typing import Any

import boto3


def handler(event: Mapping[str, Any], context: object) -> None:  # noqa: ARG001
    """Raises what DynamoDB raises: Lambda then repeats the call."""
    detail = event["detail"]
    match event["detail-type"]:
        case "HeistCommitted" | "HeistReversed":
            for player in ("attacker", "victim"):
                keep(detail, detail[f"{player}Id"], detail[f"{player}PointsAfter"])


def keep(detail: Mapping[str, Any], player_id: str, points: int) -> None:
    """Replace a player's line, unless it is of the same moment or a later one."""
    table = boto3.resource("dynamodb").Table(os.environ["LEADERBOARD_TABLE"])
    try:
        table.put_item(
            Item={
                "season": detail["season"],
                "playerId": player_id,
                "asOf": detail["createdAt"],
                "points": points,
            },
            ConditionExpression="attribute_not_exists(asOf) OR asOf < :asOf",
            ExpressionAttributeValues={":asOf": detail["createdAt"]},
        )
    except table.meta.client.exceptions.ConditionalCheckFailedException:
        return
