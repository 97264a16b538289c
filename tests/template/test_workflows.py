"""The CI workflows: actions pinned by commit, few permissions, and main alone is deployed."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).parents[2] / ".github" / "workflows"
WORKFLOWS = sorted(FOLDER.glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_by_its_commit_beside_its_version(path: Path) -> None:
    used = [line.strip() for line in path.read_text().splitlines() if "uses:" in line]
    assert used
    for line in used:
        local = re.fullmatch(r"(- )?uses: \./\.github/workflows/[a-z]+\.yml", line)
        pinned = re.fullmatch(r"(- )?uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)
        assert local or pinned, line


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_only_the_deployment_may_ask_for_an_identity(path: Path) -> None:
    workflow: dict[str, Any] = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in workflow["jobs"].items():
        allowed = job.get("permissions", workflow["permissions"])
        writing = {scope for scope, access in allowed.items() if access == "write"}
        assert writing == ({"id-token"} if name == "deploy" else set()), name


def test_only_main_is_deployed_by_a_push_or_by_hand() -> None:
    workflow: dict[Any, Any] = yaml.safe_load((FOLDER / "deploy.yml").read_text())
    assert workflow[True]["push"] == {"branches": ["main"]}  # YAML 1.1 reads `on` as true
    deploying = [job for job in workflow["jobs"].values() if "uses" not in job]
    assert deploying
    for job in deploying:
        assert job["if"] == "github.ref == 'refs/heads/main'"
