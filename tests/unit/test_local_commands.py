"""The local commands' own logic: variables, ports, log lines, the template's functions."""

import fcntl
import json
from pathlib import Path
from typing import Any

import pytest

from local import run as run_module
from local.console import ProblemError
from local.deployment import chosen_parameters, source_hash
from local.logs import readable
from local.routes import Template
from local.run import chosen_bridge, chosen_port, only_one_per_checkout, variable

NAMES = {"id-a": "alice", "id-b": "bob"}


def line(**fields: object) -> str | None:
    return readable(json.dumps({"level": "INFO", "message": "request", **fields}), "folder", NAMES)


# Variables and ports


def test_heist_variables_become_parameters_and_others_do_not() -> None:
    environment = {"HEIST_COOLDOWN_HOURS": "0", "HEIST_ENABLED": "False", "HOME": "/root"}
    assert chosen_parameters(environment) == {"HeistCooldownHours": "0", "HeistEnabled": "False"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HEIST_COOLDOWN_HOURS", "abc"),
        ("HEIST_COOLDOWN_HOURS", ""),
        ("HEIST_STEAL_PERCENTAGE", "101"),
        ("HEIST_EMAIL_ENABLED", "yes"),
    ],
)
def test_a_wrong_variable_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(ProblemError, match=rf"^{name} "):
        chosen_parameters({name: value})


def test_a_misspelt_variable_is_pointed_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert chosen_parameters({"HEIST_COOLDOWN_HOUR": "1"}) == {}
    assert "HEIST_COOLDOWN_HOUR is not one of" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["http", "-1", "0", "65536", "4566.0", " "])
def test_a_wrong_port_is_refused_by_name(value: str) -> None:
    with pytest.raises(ProblemError, match="LOCAL_PORT"):
        chosen_port({"LOCAL_PORT": value})


def test_the_port_is_4566_unless_chosen() -> None:
    assert chosen_port({}) == chosen_port({"LOCAL_PORT": ""}) == 4566
    assert chosen_port({"LOCAL_PORT": "4600"}) == 4600


def test_allowed_origins_become_a_parameter_and_a_wrong_one_is_refused_by_name() -> None:
    allowed = "http://localhost:5173,https://game.example"
    assert chosen_parameters({"ALLOWED_ORIGINS": allowed}) == {"AllowedOrigins": allowed}
    with pytest.raises(ProblemError, match=r"^ALLOWED_ORIGINS must be"):
        chosen_parameters({"ALLOWED_ORIGINS": "localhost:5173"})


@pytest.fixture
def bridges(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = {"docker0": "172.17.0.1", "br-1": "172.18.0.1"}
    monkeypatch.setattr(run_module, "bridge_addresses", lambda: addresses)


@pytest.mark.usefixtures("bridges")
@pytest.mark.parametrize(
    ("value", "bridge"),
    [
        ("", ""),
        ("127.0.0.1", ""),
        ("localhost", ""),
        ("docker", "172.17.0.1"),
        ("172.18.0.1", "172.18.0.1"),
    ],
)
def test_containers_come_in_by_the_address_of_a_bridge(value: str, bridge: str) -> None:
    assert chosen_bridge({"LOCAL_BIND": value}) == bridge


@pytest.mark.usefixtures("bridges")
@pytest.mark.parametrize("value", ["0.0.0.0", "::", "192.168.1.7", "*", "example.com"])
def test_an_address_that_others_can_reach_is_refused(value: str) -> None:
    with pytest.raises(ProblemError, match="LOCAL_BIND=docker"):
        chosen_bridge({"LOCAL_BIND": value})


def test_without_docker_there_is_no_bridge_to_listen_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "bridge_addresses", dict)
    with pytest.raises(ProblemError, match="no docker0"):
        chosen_bridge({"LOCAL_BIND": "docker"})


def test_parameters_are_named_as_variables_again() -> None:
    assert variable("HeistRateLimitPerMinute") == "HEIST_RATE_LIMIT_PER_MINUTE"


def test_a_second_run_in_one_checkout_is_told_who_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "STATE", tmp_path)
    with (tmp_path / "run.lock").open("w") as lock:
        lock.write("1234\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        with (
            pytest.raises(ProblemError, match=r"already running in this checkout \(process 1234\)"),
            only_one_per_checkout(),
        ):
            pass
    with only_one_per_checkout():
        pass


def test_the_same_sources_have_the_same_hash() -> None:
    assert source_hash() == source_hash()


# Log lines


def test_a_heist_is_told_with_the_players_names() -> None:
    told = line(
        function="execute_heist", status=200, ms=23, caller="id-a", target="id-b", points=40
    )
    assert told is not None
    assert told.split() == ["execute_heist", "200", "23", "ms", "alice→bob", "+40"]


def test_a_refusal_is_told_with_its_code() -> None:
    told = line(
        function="execute_heist", status=400, ms=5, caller="id-x", target="y", code="NO_TOKENS"
    )
    assert told is not None
    assert told.split() == ["execute_heist", "400", "5", "ms", "id-x→y", "NO_TOKENS"]


def test_a_batch_is_told_with_what_it_did_and_without_zeros() -> None:
    told = line(function="notify_players", message="batch", ms=9, inbox=2, mails=2, parked=0)
    assert told is not None
    assert told.endswith("ok          9 ms 2 inbox, 2 mails")


def test_an_error_is_told_with_its_last_line() -> None:
    told = line(
        function="add_points",
        level="ERROR",
        message="event",
        ms=1,
        exception_name="KeyError",
        exception="Traceback (most recent call last):\n  File ...\nKeyError: 'x'",
    )
    assert told is not None
    assert told.split()[1] == "ERROR"
    assert told.endswith("KeyError: 'x'")


@pytest.mark.parametrize(
    "message", ["START RequestId: 1", "END RequestId: 1", "REPORT RequestId: 1", ""]
)
def test_what_lambda_writes_is_left_out(message: str) -> None:
    assert readable(message, "folder", {}) is None


def test_metrics_are_not_shown() -> None:
    message = json.dumps({"_aws": {}, "service": "heist-core", "HeistAttempts": [1.0]})
    assert readable(message, "execute_heist", {}) is None


def test_a_record_is_left_to_the_line_of_its_batch() -> None:
    assert line(function="notify_players", message="record", subject="HEIST#h1", inbox=2) is None


def test_a_violation_is_told_in_full() -> None:
    told = line(function="audit_table", level="ERROR", message="violation", violation="alice: 5, 6")
    assert told is not None
    assert told.split()[:2] == ["audit_table", "ERROR"]
    assert told.endswith("alice: 5, 6 violation")


def test_what_is_not_json_is_shown_as_it_is() -> None:
    told = readable("Runtime.ImportModuleError: no module", "get_tokens", {})
    assert told is not None
    assert told.split(maxsplit=1) == ["get_tokens", "Runtime.ImportModuleError: no module"]


# The template's functions, as far as the API uses them


def template(**references: Any) -> Template:
    made = Template.__new__(Template)
    made.processed = {"Conditions": {"Own": {"Fn::Equals": [{"Ref": "Issuer"}, ""]}}}
    made.original = {}
    made._references = {"AWS::NoValue": None, "AWS::Region": "eu-x-1", **references}
    return made


def test_functions_of_the_template_are_resolved() -> None:
    resolved = template(
        Issuer="", Audience="a,b", Pool="p", GetTokensFunction="get-tokens"
    ).resolve(
        {
            "issuer": {"Fn::If": ["Own", {"Fn::Sub": "https://${AWS::Region}/${Pool}"}, "other"]},
            "audience": {"Fn::Split": [",", {"Ref": "Audience"}]},
            "nothing": {"Fn::If": ["Own", {"Ref": "AWS::NoValue"}, "something"]},
            "uri": {"Fn::Sub": "${GetTokensFunction.Arn}/invocations"},
        }
    )
    assert resolved == {
        "issuer": "https://eu-x-1/p",
        "audience": ["a", "b"],
        "uri": "arn:aws:lambda:us-east-1:000000000000:function:get-tokens/invocations",
    }


@pytest.mark.parametrize(
    "node", [{"Ref": "Unknown"}, {"Fn::Sub": "${Pool.Name}"}, {"Fn::Cidr": []}]
)
def test_what_cannot_be_resolved_is_named_instead_of_guessed(node: object) -> None:
    with pytest.raises(ProblemError, match=r"local/routes\.py"):
        template(Pool="p").resolve(node)
