"""`./heist smoke` on the deployed stack: good where all is well, and wrong where it is not."""

import argparse
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from ops import smoke
from ops.output import Output
from ops.target import Target
from tests.e2e.world import World


def run(target: Target, *, apply: bool) -> int:
    return smoke.run(target, argparse.Namespace(apply=apply, ask=False), Output(as_json=True))


def notes(capsys: pytest.CaptureFixture[str]) -> dict[str, tuple[bool, str]]:
    checks = json.loads(capsys.readouterr().out)["checks"]
    return {one["check"]: (one["ok"], one["note"]) for one in checks}


def accounts(world: World) -> list[str]:
    pool = world.outputs["UserPoolId"]
    pages = world.client("cognito-idp").get_paginator("list_users").paginate(UserPoolId=pool)
    names = [user["Username"] for page in pages for user in page["Users"]]
    return [name for name in names if name.startswith("smoke-")]


def test_a_sound_stack_passes_and_keeps_no_account(
    target: Target, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(target, apply=True) == 0
    seen = notes(capsys)
    assert len(seen) == 7
    assert all(good for good, _ in seen.values())
    assert seen["a refused heist costs nothing"][1] == "SELF_TARGET"
    assert accounts(world) == []


def test_without_apply_it_only_asks(target: Target, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(target, apply=False) == 0
    asked = ["401 without a token", "401 with a made-up token", "404 elsewhere"]
    assert [*notes(capsys)] == asked


@pytest.fixture
def open_door() -> Iterator[str]:
    """An API that lets everybody in."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        do_POST = do_GET  # noqa: N815 - the name that http.server calls

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_route_that_lets_strangers_in_is_wrong(
    target: Target, open_door: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(replace(target, outputs={**target.outputs, "ApiUrl": open_door}), apply=False) == 1
    good, note = notes(capsys)["401 without a token"]
    assert not good
    assert "GET /tokens answered 200 instead of 401" in note


def test_an_event_that_never_becomes_a_token_is_wrong_and_the_account_goes_all_the_same(
    target: Target,
    world: World,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(smoke, "SECONDS_TO_ARRIVE", 1)
    elsewhere = replace(target, outputs={**target.outputs, "EventBusName": "default"})
    assert run(elsewhere, apply=True) == 1
    assert notes(capsys)["an event becomes a token"] == (False, "no token arrived within 1 s")
    assert accounts(world) == []
