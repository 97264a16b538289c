"""The example client of docs/clients.md: it compiles, strictly, and plays on the deployed stack."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from local.stack import PASSWORD
from local.tools import ROOT
from tests.e2e.world import World, unique

NO_NETWORK = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT")


def run(folder: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client beside its tools, compiled with types generated from docs/openapi.yaml."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("there is no node and npm here")
    folder = tmp_path_factory.mktemp("client")
    shutil.copytree(ROOT / "tests" / "client", folder, dirs_exist_ok=True)
    installed = run(folder, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    if any(code in installed.stderr for code in NO_NETWORK):
        pytest.skip("npm does not reach its registry")
    assert installed.returncode == 0, installed.stderr
    document = str(ROOT / "docs" / "openapi.yaml")
    tools = folder / "node_modules" / ".bin"
    made = run(folder, f"{tools / 'openapi-typescript'}", document, "-o", "heist-api.d.ts")
    assert made.returncode == 0, made.stderr
    compiled = run(folder, f"{tools / 'tsc'}")
    assert compiled.returncode == 0, compiled.stdout
    return folder


def test_the_client_compiles_and_plays_a_heist(client: Path, world: World) -> None:
    attacker, victim = unique("node"), unique("node")
    attacker_id, victim_id = world.stack.sign_up(attacker), world.stack.sign_up(victim)
    world.award(attacker_id)
    world.earn(victim_id, 400)
    played = run(
        client,
        "node",
        "out/play.js",
        API_URL=world.outputs["ApiUrl"],
        ENDPOINT=world.outputs["Endpoint"],
        CLIENT_ID=world.outputs["UserPoolClientId"],
        ATTACKER=attacker,
        VICTIM=victim,
        VICTIM_ID=victim_id,
        PASSWORD=PASSWORD,
    )
    assert played.returncode == 0, played.stdout + played.stderr
    assert f"+20 from {victim_id}" in played.stdout
