"""A consumer of the events out, to start from: keeps a leaderboard's cache fresh.

A Lambda function behind a rule on the stack's bus (README.md beside this). The cache is a DynamoDB
table of its own, keyed by `season` and `playerId`, named by the variable LEADERBOARD_TABLE. Events
come at least once and in any order; both are harmless, because a line is only replaced by one of a
higher version.
"""

import os
from collections.abc import Mapping
from typing import Any

import boto3


def handler(event: Mapping[str, Any], context: object) -> None:  # noqa: ARG001
    """Replace a player's line by what PointsChanged says, unless it has that version or a later.

    Raises what DynamoDB raises: Lambda then repeats the call.
    """
    if event["detail-type"] != "PointsChanged":
        return
    change = event["detail"]
    table = boto3.resource("dynamodb").Table(os.environ["LEADERBOARD_TABLE"])
    try:
        table.put_item(
            Item={
                "season": change["season"],
                "playerId": change["userId"],
                "points": change["points"],
                "version": change["version"],
            },
            ConditionExpression="attribute_not_exists(version) OR version < :version",
            ExpressionAttributeValues={":version": change["version"]},
        )
    except table.meta.client.exceptions.ConditionalCheckFailedException:
        return
