"""`make run` as a person meets it: ready, refused twice, demo, and nothing left when it ends."""

import json
import os
import re
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from local.emulator import free_port, is_free
from local.players import POINTS
from local.stack import OUTPUTS, Answer, Outputs, Stack
from local.tools import ROOT
from tests.e2e.world import eventually

SECONDS_TO_START = 600
SECONDS_TO_STOP = 120


def environment(**variables: str) -> dict[str, str]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HEIST_", "LOCAL_", "MAKE", "MFLAGS"))
    }
    return inherited | variables


def make(target: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A make target that ends by itself."""
    return subprocess.run(
        ["make", "-s", target],
        cwd=ROOT,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=SECONDS_TO_START,
        check=False,
    )


def processes_of(home: Path) -> list[str]:
    """Command lines of all processes whose files lie under `home`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(home) in command:
            found.append(command)
    return found


@contextmanager
def make_run(output: Path, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """`make run` in a session of its own, ready."""
    with output.open("wb") as stream:
        process = subprocess.Popen(
            ["make", "run"],
            cwd=ROOT,
            env=environment(**variables),
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + SECONDS_TO_START
        while not OUTPUTS.exists():
            assert process.poll() is None, output.read_text()
            assert time.monotonic() < deadline, output.read_text()
            time.sleep(0.2)
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(SECONDS_TO_STOP)


@pytest.mark.slow
def test_make_run_from_start_to_end(tmp_path: Path) -> None:
    if OUTPUTS.exists():
        pytest.skip("`make run` is at work in this checkout")
    port = str(free_port())
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    variables = {
        "LOCAL_PORT": port,
        "HEIST_COOLDOWN_HOURS": "0",
        "TMPDIR": str(temporary),
    }
    with make_run(tmp_path / "output", **variables) as process:
        outputs = json.loads(OUTPUTS.read_text())
        assert outputs.keys() == Outputs.__annotations__.keys()
        assert outputs["Ready"] is True
        assert outputs["Players"].keys() == POINTS.keys()
        stack = Stack.running()

        # the players are there, and the pasted lines' header works
        header = ROOT / ".local" / "alice.header"
        assert stat.S_IMODE(header.stat().st_mode) == 0o600
        token = header.read_text().removeprefix("Authorization: Bearer ").strip()
        assert stack.call("GET", "/tokens", token=token).json["balance"] == 3
        asked = stack.call("GET", f"/can-rob/{outputs['Players']['bob']}", token=token).json
        assert (asked["eligible"], asked["targetPoints"]) == (True, 800)

        # the README's lines work as pasted, and answer as it says; alice robs bob
        for printed, answer in readme_lines_and_answers():
            assert json.loads(printed).keys() == answer.keys(), printed
            assert json.loads(printed).get("success") == answer.get("success"), printed
            assert json.loads(printed).get("code") == answer.get("code"), printed

        # the variable became a parameter: no cooldown
        assert execute(stack, token, outputs["Players"]["carol"]).status == 200

        # neither a second run nor a busy port harms the first
        second = make("run", LOCAL_PORT=str(free_port()))
        assert second.returncode != 0
        assert "already running in this checkout" in second.stderr
        assert json.loads(OUTPUTS.read_text()) == outputs

        assert "Complete" in make("demo").stdout
        assert "mails" in make("mails").stdout
        assert "alice→bob +40" in make("logs").stdout
        assert f"export AWS_ENDPOINT_URL='{outputs['Endpoint']}'" in make("env").stdout

        refused = make("clean")
        assert refused.returncode != 0
        assert "Something is at work here" in refused.stderr

        os.kill(process.pid, signal.SIGTERM)  # make alone, which passes it on
        while process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)  # again and again: nobody likes to wait
            time.sleep(0.05)
    # make itself gives up at the third signal, and leaves its child to end.
    end = "Stopped; nothing is left of it.\n"
    output = tmp_path / "output"
    printed = eventually(output.read_text, lambda text: end in text, within=SECONDS_TO_STOP)
    assert not OUTPUTS.exists()
    assert not list(OUTPUTS.parent.glob("*.header"))
    assert is_free(int(port))
    assert processes_of(ROOT / ".local" / "run") == []
    assert list(temporary.iterdir()) == []
    assert "Overrides: HEIST_COOLDOWN_HOURS=0 (default 24)" in printed
    assert "\x1b" not in printed
    assert "Traceback" not in printed
    assert [
        line for line in printed[printed.index(end) :].splitlines()[1:] if "make" not in line
    ] == []


def readme_lines_and_answers() -> list[tuple[str, dict[str, Any]]]:
    """What each block of "The API by example" prints last, and what the README shows."""
    section = (ROOT / "README.md").read_text().split("## The API by example")[1].split("\n## ")[0]
    pairs = re.findall(r"```sh\n(.*?)```\s+```json\n(.*?)```", section, re.DOTALL)
    assert len(pairs) == section.count("```sh")
    told = """until curl -s -H @.local/bob.header "$API/notifications" | grep -q HEIST_VICTIM
    do sleep 0.2; done\n"""  # a reader takes longer
    script = "set -euo pipefail\n" + "\necho; echo ----\n".join(
        (told if "notifications?" in lines else "") + lines for lines, _ in pairs
    )
    ran = subprocess.run(
        ["bash", "-c", script],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS_TO_START,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    printed = [block.strip().rpartition("}{") for block in ran.stdout.split("----")]
    last = ["{" * bool(before) + answer for before, _, answer in printed]
    return list(zip(last, [json.loads(shown) for _, shown in pairs], strict=True))


def execute(stack: Stack, token: str, target: str) -> Answer:
    return stack.call("POST", "/execute", token=token, body={"targetUserId": target})


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"HEIST_STEAL_PERCENTAGE": "abc"}, "HEIST_STEAL_PERCENTAGE must be"),
        ({"LOCAL_PORT": "many"}, "LOCAL_PORT must be"),
    ],
)
def test_make_run_refuses_what_it_cannot_use(variables: dict[str, Any], said: str) -> None:
    refused = make("run", **variables)
    assert refused.returncode != 0
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_busy_port_is_left_alone(stack: Stack) -> None:
    if OUTPUTS.exists():
        pytest.skip("`make run` is at work in this checkout")
    refused = make("run", LOCAL_PORT=stack.outputs.Endpoint.rsplit(":", 1)[1])
    assert refused.returncode != 0
    assert "is in use" in refused.stderr
    assert stack.call("GET", "/tokens").status == 401
