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
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from heist_core.storage import keys
from local.deployment import STACK
from local.tools import ROOT
from tests.e2e.world import Player, World, bus_event, earned, unique

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
    if command.startswith(("./heist config --set", "./heist reverse", "./heist adopt")):
        command = command.replace(" --apply", "").replace(" --ask", "")
    if command.startswith(("./heist audit", "./heist drill", "./heist redrive")):
        command += " || [ $? = 1 ]"
    return command


EXAMPLE = "30a647a4d967d701f8d2af121f9069d3"


@dataclass(frozen=True)
class Bench:
    """A folder with the program, `aws` and an export, and what is there for the runbook's names."""

    folder: Path
    endpoint: str
    login: str
    player: Player

    def paste(self, *lines: str) -> str:
        """All lines into one shell, that ends at the first that fails; what it printed."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        aws = {"AWS_ENDPOINT_URL": self.endpoint, "AWS_DEFAULT_REGION": "us-east-1"}
        aws |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        done = subprocess.run(
            ["bash", "-eu", "-c", "\n".join(lines)],
            cwd=self.folder,
            env=kept | aws | {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        assert "defect" not in done.stderr
        assert "AWS says" not in done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def bench(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Where it is pasted."""
    folder = tmp_path_factory.mktemp("runbook")
    (folder / "outputs.json").write_text(json.dumps(dict(world.outputs)), "utf-8")
    (folder / "bin").mkdir()
    for path, content in ((folder / "heist", PROGRAM), (folder / "bin" / "aws", AWS)):
        path.write_text(content, "utf-8")
        path.chmod(0o755)
    shutil.copytree(ROOT / "tests" / "sample_export", folder / "export")
    forget(world)
    login = unique("olga")
    yield Bench(folder, world.outputs["Endpoint"], login, world.sign_up(login))
    forget(world)


def forget(world: World) -> None:
    """What is there once: a table takes one export, is restored to one name, has one version of
    the settings."""
    client = world.client("dynamodb")
    with suppress(client.exceptions.ResourceNotFoundException):
        client.delete_table(TableName="heist-restored")
    for once in (keys.IMPORT, keys.SETTINGS):
        world.table.delete(once)


TITLES = [title for title, text in sections().items() if commands(text)]


@pytest.fixture(scope="module")
def names(bench: Bench) -> str:
    """What "The program" finds out for the other sections, as lines for a shell."""
    found = [here(line) for line in commands(sections()["The program"]) if "output" in line]
    return bench.paste(*found, "declare -p TABLE USER_POOL_ID USER_POOL_CLIENT_ID")


@pytest.fixture(scope="module")
def version(bench: Bench) -> str:
    """A version of the settings that changes nothing, in effect from now on."""
    told = bench.paste("./heist config --set HEIST_COOLDOWN_HOURS=24 --reason test --apply --json")
    return str(json.loads(told)["version"])


@pytest.fixture(scope="module")
def heist_id(bench: Bench, world: World, version: str) -> str:
    """A heist by whoever the runbook names, under that version."""
    world.profile(bench.player.id, name="Olga")
    world.award(bench.player.id)
    return str(bench.player.rob(world.victim(points=200))["heistId"])


@pytest.fixture
def _dead_letters(world: World) -> None:
    """One to redo and one to discard, instead of all that other tests left."""
    sqs = world.client("sqs")
    for queue in ("EventsDeadLetterQueueUrl", "NotifierDeadLetterQueueUrl"):
        sqs.purge_queue(QueueUrl=world.outputs[queue])
    given_up, refused = (
        bus_event("points", "PointsEarned", earned(unique(), points)) for points in (5, "five")
    )
    world.invoke("add_points", refused)
    letter = {
        "requestContext": {"condition": "RetriesExhausted"},
        "requestPayload": given_up,
    }
    queue = world.outputs["EventsDeadLetterQueueUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(letter))


@pytest.mark.usefixtures("_dead_letters")
@pytest.mark.parametrize("title", TITLES)
def test_a_sections_commands_run_as_pasted(
    title: str, bench: Bench, names: str, version: str, heist_id: str
) -> None:
    lines = [here(line).replace(EXAMPLE, heist_id) for line in commands(sections()[title])]
    lines = [re.sub("=(alice|olga)$", f"={bench.login}", line) for line in lines]
    lines = [line.replace("VERSION=1", f"VERSION={version}") for line in lines]
    bench.paste(f"PLAYER={bench.login}", names, *lines)


def test_every_command_of_the_runbook_is_found() -> None:
    every = re.findall(r"(?m)^\s*\$ ((?:\./heist|aws) .*)$", RUNBOOK)
    found = [command for text in sections().values() for command in commands(text)]
    assert len([each for each in found if each.startswith(("./heist", "aws"))]) == len(every)
    assert len(every) > 30
