"""The operator's program on the table of a test."""

from dataclasses import dataclass

import boto3
import pytest

from ops.target import Target
from tests import desk
from tests.integration.game import Game


@dataclass
class Desk(desk.Desk):
    """Where a deployed function's variables can be changed, too."""

    variables: dict[str, str]


class FakeLambda:
    """A deployed function's configuration."""

    def __init__(self) -> None:
        self.variables = {"TABLE_NAME": "heist-core", "UNSUBSCRIBE_KEY_ID": "${UnsubscribeKey.Id}"}

    def get_function_configuration(self, *, FunctionName: str) -> dict[str, object]:  # noqa: N803
        assert FunctionName in ("heist-core-local-execute-heist", "heist-core-local-unsubscribe")
        return {"Environment": {"Variables": self.variables}}


def desk_of(game: Game, capsys: pytest.CaptureFixture[str]) -> Desk:
    session = boto3.Session("test", "test", region_name="us-east-1")
    target = Target("local", {"TableName": game.table}, session, "http://localhost")
    # What tests can interfere with, and the game's clock.
    functions = FakeLambda()
    target.__dict__.update(
        dynamodb=game.client,
        table=game.gateway,
        store=game.store,
        now=game.time,
        lambdas=functions,
        secrets=game.secrets,
        clock=game.time.clock,
    )
    return Desk(target, capsys, functions.variables)
