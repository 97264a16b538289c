"""No change of the template replaces the table or the pool, or meets what AWS refuses to change.

Compared with the commit that this one came from: TEMPLATE_BASE, else where main was left, else the
commit before. `./heist preflight` compares with what is deployed.
"""

import copy
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ops.fixed import changed
from ops.template import TEMPLATE, load
from tests.template.processed import Processed, combinations, decided, expanded

ROOT = TEMPLATE.parent
KEPT = ("AWS::DynamoDB::Table", "AWS::Cognito::UserPool")


def git(*arguments: str) -> str:
    """What git says; nothing where it knows no answer."""
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout if done.returncode == 0 else ""


def base() -> str:
    """The commit to compare with; empty if this is no checkout with a history."""
    head = git("rev-parse", "HEAD").strip()
    named = os.environ.get("TEMPLATE_BASE", "")
    left = [git("merge-base", "HEAD", main).strip() for main in ("origin/main", "main")]
    found = (
        git("rev-parse", "--verify", "--quiet", f"{one}^{{commit}}").strip()
        for one in (named, *left, "HEAD^")
        if one
    )
    return next((one for one in found if one and one != head), "")


def deployed(template: dict[str, Any]) -> Iterator[Processed]:
    """Table and pool, on AWS and locally, with the stack's pool and without."""
    kept = {
        name: each
        for name, each in template["Resources"].items()
        if isinstance(each, dict) and each["Type"] in KEPT
    }
    loops = expanded({**template, "Resources": kept})
    chosen = {(each["Stage"], each["JwtIssuer"]): each for each in combinations(template)}
    for parameters in chosen.values():
        yield decided(loops, parameters)


def replaced(old: dict[str, Any], new: dict[str, Any]) -> set[str]:
    """What any combination of parameters would lose."""
    pairs = zip(deployed(old), deployed(new), strict=True)
    return {line for before, after in pairs for line in changed(before.resources, after.resources)}


def test_the_table_and_the_pool_stay_the_ones_that_are_deployed(tmp_path: Path) -> None:
    commit = base()
    if not commit:
        pytest.skip("there is no earlier commit to compare with")
    before = tmp_path / "template.yaml"
    before.write_text(git("show", f"{commit}:template.yaml"), "utf-8")

    assert replaced(load(before), load()) == set(), f"compared with {commit}"


def rename(resources: dict[str, Any]) -> None:
    resources["GameTable"] = resources.pop("Table")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda it: it["Table"]["Properties"]["KeySchema"].pop(), "Table: KeySchema"),
        (lambda it: it["Table"]["Properties"].pop("LocalSecondaryIndexes"), "LocalSecondary"),
        (lambda it: it["Table"]["Properties"].update(TableName="heists"), "Table: TableName"),
        (lambda it: it["Table"]["Properties"]["AttributeDefinitions"][0].update(AttributeType="N"),
         "types of its keys"),
        (lambda it: it["Table"].pop("UpdateReplacePolicy"), "not be retained"),
        (rename, "Table would go"),
        (lambda it: it["UserPool"]["Properties"].update(UsernameAttributes=["email"]),
         "UsernameAttributes"),
        (lambda it: it["UserPool"]["Properties"].pop("UsernameConfiguration"), "UsernameConfig"),
        (lambda it: it["UserPool"]["Properties"].update(
            Schema=[{"Name": "email", "Required": True}]), "required attributes"),
    ],
)  # fmt: skip
def test_each_change_that_would_lose_players_is_found(
    change: Callable[[dict[str, Any]], object], told: str
) -> None:
    new = load()
    change(new["Resources"])
    assert any(told in line for line in replaced(load(), new))


def test_what_can_be_changed_in_place_is_no_replacement() -> None:
    new = copy.deepcopy(load())
    table = new["Resources"]["Table"]["Properties"]
    table["GlobalSecondaryIndexes"].pop()
    table["TimeToLiveSpecification"]["AttributeName"] = "endsAt"
    new["Resources"]["UserPool"]["Properties"]["Policies"]["PasswordPolicy"]["MinimumLength"] = 8
    assert replaced(load(), new) == set()
