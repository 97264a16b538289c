"""The operator's program on the table of a test."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from ops import __main__ as tool
from ops.output import Output
from ops.target import Target
from tests.integration.game import Game


@dataclass
class Desk:
    """Runs commands as `./heist COMMAND --json` would, but for the process."""

    target: Target
    capsys: pytest.CaptureFixture[str]
    variables: dict[str, str]

    def __call__(self, *arguments: str) -> Any:
        """The document that a command prints, which has to succeed."""
        options = tool.parser().parse_args([*arguments, "--json"])
        self.capsys.readouterr()
        assert tool.COMMANDS[options.command].run(self.target, options, Output(as_json=True)) == 0
        return json.loads(self.capsys.readouterr().out)

    def shown(self, *arguments: str) -> str:
        """What a command prints for people."""
        options = tool.parser().parse_args(arguments)
        self.capsys.readouterr()
        assert tool.COMMANDS[options.command].run(self.target, options, Output(as_json=False)) == 0
        return self.capsys.readouterr().out

    def code(self, *arguments: str) -> int:
        """The exit code."""
        options = tool.parser().parse_args(arguments)
        return tool.COMMANDS[options.command].run(self.target, options, Output(as_json=False))

    def actions(self) -> list[Mapping[str, Any]]:
        """The log of operator actions, of this month."""
        found: list[Mapping[str, Any]] = self("actions")["actions"]
        return found


class FakeLambda:
    """A deployed function's configuration."""

    def __init__(self) -> None:
        self.variables: dict[str, str] = {"TABLE_NAME": "heist-core"}

    def get_function_configuration(self, *, FunctionName: str) -> dict[str, object]:  # noqa: N803
        assert FunctionName == "heist-core-local-execute-heist"
        return {"Environment": {"Variables": self.variables}}


def desk_of(game: Game, capsys: pytest.CaptureFixture[str]) -> Desk:
    session = boto3.Session("test", "test", region_name="us-east-1")
    target = Target("local", {"TableName": game.table}, session, "http://localhost")
    # The engine itself, the store that tests can interfere with, and the game's clock.
    functions = FakeLambda()
    target.__dict__.update(
        dynamodb=game.client,
        store=game.store,
        now=game.time,
        lambdas=functions,
        clock=game.time.clock,
    )
    return Desk(target, capsys, functions.variables)
