"""The runbook runs when pasted: each of its commands, as far as the embedded AWS goes.

`aws` is a stand-in that takes the same words (tests/aws_words.py), so that the tests need no
command line of AWS's.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.deployment import STACK
from ops.importer.command import RUN
from tests.e2e.world import World, unique

ROOT = Path(__file__).parents[2]
RUNBOOK = (ROOT / "docs" / "operations.md").read_text("utf-8")
NOT_HERE = ("git ", "make ", "for ", "psql ", "mkdir ")
"""What does not belong to the stack: a checkout, a deployment, the old system's database."""

PROGRAM = f"""#!/bin/sh
PYTHONPATH='{ROOT}' exec '{sys.executable}' -P -c '
import pathlib, sys
from ops import erase, target
from ops.__main__ import main
target.LOCAL_OUTPUTS = pathlib.Path("outputs.json").absolute()
sys.exit(main(sys.argv[1:]))' "$@"
"""
AWS = f"""#!/bin/sh
PYTHONPATH='{ROOT}' exec '{sys.executable}' -P -m tests.aws_words "$@"
"""


def sections() -> dict[str, str]:
    """Headings, each with the text below it."""
    parts = re.split(r"(?m)^## (.+)\n", RUNBOOK)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def commands(text: str) -> list[str]:
    """What stands after `$ ` in console blocks, with the lines that it goes on over."""
    found: list[str] = []
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        going_on = False
        for line in map(str.strip, block.splitlines()):
            if line.startswith("$ "):
                found.append(line.removeprefix("$ "))
            elif going_on:
                found[-1] += f"\n{line}"
            going_on = line.endswith("\\") and (going_on or line.startswith("$ "))
    return [command for command in found if not command.startswith(NOT_HERE)]


def here(command: str) -> str:
    """For the local stack, which other tests use, too: what would change their game is only shown,
    and what they left behind may be found."""
    command = command.replace(" --stage prod", "").replace("heist-core-prod", STACK)
    if command.startswith(("./heist config --set", "./heist reverse")):
        command = command.replace(" --apply", "").replace(" --ask", "")
    if command.startswith(("./heist audit", "./heist drill", "./heist redrive")):
        command += " || [ $? = 1 ]"
    return command


EXAMPLE = "30a647a4d967d701f8d2af121f9069d3"


@pytest.fixture
def bench(world: World, tmp_path: Path) -> Iterator[Path]:
    """A folder with the program, `aws`, an export, and players as the runbook names them."""
    (tmp_path / "outputs.json").write_text(json.dumps(dict(world.outputs)), "utf-8")
    (tmp_path / "bin").mkdir()
    for path, content in ((tmp_path / "heist", PROGRAM), (tmp_path / "bin" / "aws", AWS)):
        path.write_text(content, "utf-8")
        path.chmod(0o755)
    shutil.copytree(ROOT / "tests" / "sample_export", tmp_path / "export")
    forget_import(world)
    yield tmp_path
    forget_import(world)


def forget_import(world: World) -> None:
    """A table takes one export: this one, or that of other tests."""
    world.client("dynamodb").delete_item(
        TableName=world.outputs["TableName"],
        Key={name: {"S": value} for name, value in RUN.items()},
    )


def paste(bench: Path, world: World, *lines: str) -> "subprocess.CompletedProcess[str]":
    """All lines into one shell, that ends at the first that fails."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return subprocess.run(
        ["bash", "-eu", "-c", "\n".join(lines)],
        cwd=bench,
        env=kept
        | {
            "PATH": f"{bench / 'bin'}:{os.environ['PATH']}",
            "AWS_ENDPOINT_URL": str(world.outputs["Endpoint"]),
            "AWS_REGION": str(world.outputs["Region"]),
            "AWS_DEFAULT_REGION": str(world.outputs["Region"]),
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


TITLES = [title for title, text in sections().items() if commands(text)]


@pytest.mark.parametrize("title", TITLES)
def test_a_sections_commands_run_as_pasted(title: str, bench: Path, world: World) -> None:
    login = unique("olga")
    robber = world.sign_up(login)
    world.profile(robber.id, name="Olga")
    world.award(robber.id)
    heist_id = robber.rob(world.victim(points=200))["heistId"]
    names = [here(line) for line in commands(sections()["The program"]) if "output" in line]
    lines = [
        here(line)
        .replace(EXAMPLE, heist_id)
        .replace("=alice", f"={login}")
        .replace("=olga", f"={login}")
        for line in commands(sections()[title])
    ]
    same_as_before = "./heist config --set HEIST_COOLDOWN_HOURS=24 --reason test --apply"

    done = paste(bench, world, *names, f"PLAYER={login}", same_as_before, *lines)

    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    assert "defect" not in done.stderr
    assert "AWS says" not in done.stderr


def test_every_command_of_the_runbook_is_found() -> None:
    every = re.findall(r"(?m)^\s*\$ ((?:\./heist|aws) .*)$", RUNBOOK)
    found = [command for text in sections().values() for command in commands(text)]
    assert len([each for each in found if each.startswith(("./heist", "aws"))]) == len(every)
    assert len(every) > 30
