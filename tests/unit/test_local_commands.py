"""The local commands' own logic: variables, ports, log lines, the template's functions."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import urllib3
from botocore.exceptions import ClientError

from local import commands, emulator, environment, players, tools
from local import run as run_module
from local.console import ProblemError, say, show
from local.deployment import chosen_parameters, forget_settings_of_aws, source_hash
from local.logs import PREFIX, Follower, readable
from local.routes import Template
from local.run import chosen_bridge, chosen_port, only_one_per_checkout, variable
from local.stack import Outputs, Stack

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


def test_a_second_run_in_one_checkout_learns_who_runs(
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


@contextmanager
def holding(lock: Path) -> Iterator[None]:
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def test_clean_refuses_while_something_is_at_work_and_not_after_a_crash(tmp_path: Path) -> None:
    (tmp_path / "local").mkdir()
    program = shutil.copy(tools.ROOT / "local" / "clean.py", tmp_path / "local")
    outputs = tmp_path / ".local" / "outputs.json"
    outputs.parent.mkdir()
    outputs.touch()  # left behind by a `make run` that was killed

    def clean() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, program]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    for lock in ("run.lock", "env/.lock", "build/.lock"):
        with holding(tmp_path / ".local" / lock):
            refused = clean()
            assert refused.returncode == 1
            assert "Something is at work here" in refused.stderr
            assert outputs.exists()
    assert clean().returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["local"]


# Which stack it is


def stack(**outputs: Any) -> Stack:
    missing: dict[str, Any] = dict.fromkeys(Outputs.__annotations__, "")
    known = {"Endpoint": "http://127.0.0.1:1", "RunId": "ours", "Players": {}, "Ready": True}
    return Stack(Outputs(**(missing | known | outputs)))


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What the address of the stack answers, or how asking it fails."""
    answers: list[object] = ['{"runId": "ours"}']

    def request(*_: object, **__: object) -> urllib3.HTTPResponse:
        if isinstance(answers[0], Exception):
            raise answers[0]
        return urllib3.HTTPResponse(str(answers[0]).encode())

    monkeypatch.setattr(urllib3, "request", request)
    return answers


REFUSED = urllib3.exceptions.NewConnectionError(urllib3.connection.HTTPConnection("x"), "refused")


@pytest.mark.parametrize(
    ("answer", "gone"),
    [
        ('{"runId": "ours"}', False),
        (urllib3.exceptions.ReadTimeoutError(None, "", "slow"), False),  # type: ignore[arg-type]
        ('{"runId": "of another checkout"}', True),
        ("<html>", True),
        ("[]", True),
        (REFUSED, True),
    ],
)
def test_a_stack_is_known_by_its_run_and_not_by_its_address(
    told: list[object], tmp_path: Path, answer: object, *, gone: bool
) -> None:
    told[0] = answer
    path = tmp_path / "outputs.json"
    path.write_text(json.dumps(vars(stack().outputs)))
    if gone:
        with pytest.raises(ProblemError, match="has ended"):
            Stack.running(path)
    else:
        assert Stack.running(path) == stack()


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"ApiUrl": ""'])
def test_outputs_that_nobody_wrote_say_what_to_do(tmp_path: Path, content: str) -> None:
    path = tmp_path / "outputs.json"
    path.write_text(content)
    with pytest.raises(ProblemError, match="start it with `make run`"):
        Stack.running(path)


def test_a_busy_port_is_seen_on_both_loopback_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    for taken in ("127.0.0.1", "::1"):
        monkeypatch.setattr(
            emulator,
            "bind_error",
            lambda address, _, taken=taken: 98 if address == taken else None,
        )
        monkeypatch.setattr("errno.EADDRINUSE", 98)
        assert not emulator.is_free(4566)
    monkeypatch.setattr(emulator, "bind_error", lambda *_: None)
    assert emulator.is_free(4566)


# What goes wrong while it runs


def failure(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "sorry"}}, "Something")


class Logs:
    """CloudWatch Logs with a line in each group, of which some fail."""

    def __init__(self, failing: Mapping[str, Exception]) -> None:
        self.failing = failing

    def describe_log_groups(self, **_: object) -> object:
        if "all" in self.failing:
            raise self.failing["all"]
        names = ("get-tokens", "add-points")
        return {"logGroups": [{"logGroupName": PREFIX + name} for name in names]}

    def get_paginator(self, _: str) -> "Logs":
        return self

    def paginate(self, *, logGroupName: str, **_: object) -> object:  # noqa: N803
        name = logGroupName.removeprefix(PREFIX)
        if name in self.failing:
            raise self.failing[name]
        return [{"events": [{"timestamp": 1000, "message": f"line of {name}"}]}]


def lines(failing: Mapping[str, Exception]) -> list[str]:
    watched = stack()
    vars(watched)["logs"] = Logs(failing)
    return [each.split(maxsplit=1)[1] for each in Follower(watched).new_lines()]


@pytest.mark.usefixtures("told")
def test_a_look_at_the_logs_that_fails_is_a_line_and_not_the_end() -> None:
    [only] = lines({"all": failure("InternalError")})
    assert only.startswith("Could not read the logs this time")
    assert "InternalError" in only


@pytest.mark.usefixtures("told")
def test_a_log_that_was_deleted_hides_no_other() -> None:
    missed, read = lines({"get-tokens": failure("ResourceNotFoundException")})
    assert missed.startswith("Could not read the log of get_tokens this time")
    assert read.endswith("line of add-points")


def test_the_end_of_the_stack_is_the_end(told: list[object]) -> None:
    told[0] = REFUSED
    with pytest.raises(ProblemError, match="has ended"):
        lines({"all": failure("InternalError")})


@pytest.mark.parametrize("why", [failure("NotAuthorizedException"), ProblemError("a challenge")])
def test_a_player_who_cannot_sign_in_any_more_keeps_no_other_from_a_token(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    why: Exception,
) -> None:
    def sign_in(self: Stack, user: str) -> str:
        if user == "alice":
            raise why
        return f"token of {user}"

    monkeypatch.setattr(Stack, "token", sign_in)
    monkeypatch.setattr(players, "STATE", tmp_path)
    monkeypatch.setattr(players, "ROOT", tmp_path)
    players.write_headers(stack())
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {f"{name}.header" for name in players.POINTS} - {"alice.header"}
    assert "alice cannot sign in" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error",
    [
        failure("InternalError"),
        urllib3.exceptions.ProtocolError("gone in the middle"),
        json.JSONDecodeError("Expecting value", "<html>", 0),
        OSError(28, "No space left on device"),
        PermissionError(13, "Permission denied", "/a/file"),
    ],
)
def test_what_the_world_outside_does_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    def fails() -> None:
        raise error

    monkeypatch.setattr(commands, "demo", fails)
    monkeypatch.setattr(commands, "forget_stdout", lambda: None)
    monkeypatch.setattr(commands, "forget_settings_of_aws", lambda _: None)
    monkeypatch.setattr(sys, "argv", ["local", "demo"])
    assert commands.main() == 1
    said = capsys.readouterr().err
    assert said.startswith("✘ ")
    assert said.count("\n") == 1


# make env


class Deployed:
    """CloudFormation and Lambda with one function."""

    def describe_stack_resources(self, **_: object) -> object:
        function = {
            "ResourceType": "AWS::Lambda::Function",
            "LogicalResourceId": "GetTokensFunction",
            "PhysicalResourceId": "heist-core-local-get-tokens",
        }
        table = {"ResourceType": "AWS::DynamoDB::Table"}
        return {"StackResources": [table, function]}

    def get_function_configuration(self, **_: object) -> object:
        variables = {
            "AWS_ENDPOINT_URL": "http://127.0.0.1:4600",
            "QUEUE": "http://localhost:4600/0/letters",
            "SENDER_EMAIL": "heist@example.com",
        }
        return {"Environment": {"Variables": variables}}


@pytest.fixture
def exported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> tuple[list[str], Any]:
    """The lines of `make env`, and what the file for `sam local` holds."""
    file = tmp_path / "sam-local-env.json"
    monkeypatch.setattr(environment, "SAM_LOCAL", file)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    shown = stack(
        Endpoint="http://127.0.0.1:4600", ApiUrl="http://127.0.0.1:4600/it's", UserPoolId="p"
    )
    vars(shown).update(cloudformation=Deployed(), lambdas=Deployed())
    environment.show_environment(shown, ["AWS_PROFILE", "AWS_REGION"])
    return capsys.readouterr().out.splitlines(), json.loads(file.read_text())


def test_every_output_is_exported_and_what_leads_elsewhere_unset(
    exported: tuple[list[str], Any],
) -> None:
    lines, _ = exported
    assert lines[0] == "unset AWS_PROFILE"
    names = {line.split()[1].split("=")[0] for line in lines[1:]}
    outputs = set(Outputs.__annotations__) - {"Players", "Ready"}
    assert {variable(output) for output in outputs} | {"API", "LAMBDA_ARCH"} <= names
    assert "export API_URL='http://127.0.0.1:4600/it'\\''s'" in lines
    assert "export SAM_CLI_TELEMETRY='0'" in lines


def test_containers_get_what_is_deployed_by_the_name_that_they_know(
    exported: tuple[list[str], Any],
) -> None:
    _, variables = exported
    assert variables == {
        "GetTokensFunction": {
            "AWS_ENDPOINT_URL": "http://host.docker.internal:4600",
            "QUEUE": "http://host.docker.internal:4600/0/letters",
            "SENDER_EMAIL": "heist@example.com",
        }
    }


# This machine's settings


def test_settings_of_aws_and_proxies_do_not_reach_the_embedded_one() -> None:
    settings = {
        "AWS_PROFILE": "work",
        "AWS_ENDPOINT_URL_DYNAMODB": "http://elsewhere",
        "HTTPS_PROXY": "http://proxy",
        "NO_PROXY": "intranet",
        "HOME": "/root",
    }
    assert forget_settings_of_aws(settings) == ["AWS_PROFILE", "AWS_ENDPOINT_URL_DYNAMODB"]
    assert settings == {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "HTTPS_PROXY": "http://proxy",
        "NO_PROXY": "intranet,127.0.0.1,localhost,::1",
        "no_proxy": "127.0.0.1,localhost,::1",
        "HOME": "/root",
    }


def test_tools_are_installed_where_they_belong_whatever_pip_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {
        "PIP_USER": "1",
        "PIP_TARGET": "/elsewhere",
        "PYTHONPATH": "/elsewhere",
        "PIP_INDEX_URL": "https://index.example",
        "HTTPS_PROXY": "http://proxy",
    }.items():
        monkeypatch.setenv(name, value)
    given = tools.environment_of_tools()
    assert given["PIP_USER"] == "0"
    assert given["PIP_INDEX_URL"] == "https://index.example"
    assert given["HTTPS_PROXY"] == "http://proxy"
    assert not {"PIP_TARGET", "PYTHONPATH"} & given.keys()


@pytest.mark.parametrize(
    ("words", "blamed"),
    [
        ("Can not perform a '--user' install.", False),
        ("Connection to index.example timed out", True),
        ("HTTP Error 503", True),
    ],
)
def test_the_package_index_is_blamed_for_what_it_did_only(words: str, *, blamed: bool) -> None:
    failed = subprocess.CalledProcessError(1, ["pip"], stderr=words)
    assert ("within reach" in tools.advice("dev", failed)) == blamed


# Log lines


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        (
            {"function": "execute_heist", "status": 200, "ms": 23, "points": 40}
            | {"caller": "id-a", "target": "id-b"},
            "execute_heist 200 23 ms alice→bob +40",
        ),
        (
            {"function": "execute_heist", "status": 400, "ms": 5, "code": "NO_TOKENS"}
            | {"caller": "id-x", "target": "y"},
            "execute_heist 400 5 ms id-x→y NO_TOKENS",
        ),
        (
            {"function": "notify_players", "message": "batch", "ms": 9}
            | {"inbox": 2, "mails": 2, "parked": 0},
            "notify_players ok 9 ms 2 inbox, 2 mails",
        ),
        (
            {"function": "add_points", "level": "ERROR", "message": "event", "ms": 1}
            | {"exception_name": "KeyError"}
            | {"exception": "Traceback (most recent call last):\n  File ...\nKeyError: 'x'"},
            "add_points ERROR 1 ms KeyError KeyError: 'x'",
        ),
        (
            {"function": "audit_table", "level": "ERROR", "message": "violation"}
            | {"violation": "alice: 5, 6"},
            "audit_table ERROR alice: 5, 6 violation",
        ),
    ],
)
def test_a_line_is_what_was_done_to_whom_and_how_it_ended(
    fields: dict[str, object], shown: str
) -> None:
    told = line(**fields)
    assert told is not None
    assert " ".join(told.split()) == shown


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


def test_a_free_port_is_none_that_an_outgoing_connection_may_get(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(emulator, "bind_error", lambda *_: None)
    given = Path("/proc/sys/net/ipv4/ip_local_port_range")
    first = int(given.read_text().split()[0]) if given.exists() else 32_768
    assert all(1024 < emulator.free_port() < first for _ in range(20))


def test_what_anybody_wrote_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    for told in (show, say):
        told("A\x1b[2J\x9b\u202eb\tZoë 👩\u200d🚀\nnext\rline\u2028end")
    printed = "A�[2J��b\tZoë 👩\u200d🚀\nnext�line�end\n"
    assert capsys.readouterr() == (printed, printed)
