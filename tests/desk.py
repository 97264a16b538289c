"""The operator's program on some deployment: `./heist COMMAND` without the process."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from ops import __main__ as program
from ops.output import Output
from ops.target import Target


@dataclass
class Desk:
    """Runs commands of the operator's program."""

    target: Target
    capsys: pytest.CaptureFixture[str]

    def run(self, *arguments: str) -> tuple[int, Any]:
        """The exit code and the document of a command."""
        self.capsys.readouterr()
        code = self.code(*arguments, "--json")
        return code, json.loads(self.capsys.readouterr().out)

    def __call__(self, *arguments: str) -> Any:
        """The document that a command prints, which has to succeed."""
        code, document = self.run(*arguments)
        assert code == 0, document
        return document

    def shown(self, *arguments: str) -> str:
        """What a command that has to succeed prints for people."""
        self.capsys.readouterr()
        assert self.code(*arguments) == 0
        return self.capsys.readouterr().out

    def code(self, *arguments: str) -> int:
        """The exit code. What the operator is told by raising passes through."""
        options = program.parser().parse_args(arguments)
        out = Output(as_json=options.json)
        return program.COMMANDS[options.command].run(self.target, options, out)

    def actions(self) -> list[Any]:
        """The log of operator actions, of this month."""
        found: list[Any] = self("actions")["actions"]
        return found
