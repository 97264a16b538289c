"""The script for a real account, as far as it can be read without one."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from ops import __main__ as tool
from ops.template import load

SCRIPT = Path(__file__).parents[1] / "on_aws" / "rehearse.sh"
TEXT = SCRIPT.read_text("utf-8")


def test_it_is_shell() -> None:
    subprocess.run(["sh", "-n", SCRIPT], check=True)


@pytest.mark.parametrize("line", re.findall(r"^\./heist (.*?)(?: >.*)?$", TEXT, re.MULTILINE))
def test_its_commands_are_the_operators(line: str) -> None:
    tool.parser().parse_args(shlex.split(line))


def test_it_names_parameters_and_resources_that_there_are() -> None:
    template = load()
    given = set(re.findall(r"\b([A-Z]\w+)=(?=\S)", TEXT.partition("--parameter-overrides")[2]))
    assert given & template["Parameters"].keys() >= {"Stage", "SenderEmail", "HeistCooldownHours"}
    assert re.findall(r"--logical-resource-id (\w+)", TEXT) == ["NothingDeliveredAlarm"]
    assert "NothingDeliveredAlarm" in template["Resources"]
