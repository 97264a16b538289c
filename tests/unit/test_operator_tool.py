"""The operator's program: its help, its exit codes, and what it lets through to a terminal."""

import argparse
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ProfileNotFound

from heist_core.domain.errors import Contention, Malformed, Misconfigured
from ops import __main__ as tool
from ops import target
from ops.command import agreed, reason_of
from ops.output import Output, plain
from ops.target import OperatorError


def test_every_command_says_in_one_line_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        tool.main(["--help"])

    assert ended.value.code == 0
    printed = capsys.readouterr().out
    for name, command in tool.COMMANDS.items():
        first_line, _, rest = (command.__doc__ or "").partition("\n")
        assert first_line.endswith("."), name
        assert len(first_line) < 65, name
        assert max(map(len, rest.splitlines()), default=0) <= 80, name
        assert name in printed.split()


@pytest.mark.parametrize("name", tool.COMMANDS)
def test_every_command_has_a_stage_and_a_json_form(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        tool.main([name, "--help"])

    printed = capsys.readouterr().out
    assert "--stage" in printed
    assert "--json" in printed


def test_whatever_changes_anything_only_says_so_unless_told_to(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """And no command has an option that would do it by another name."""
    changing = []
    for name in tool.COMMANDS:
        with pytest.raises(SystemExit):
            tool.main([name, "--help"])
        printed = capsys.readouterr().out
        assert ("--apply" in printed) == ("--ask" in printed)
        changing += [name] if "--apply" in printed else []

    reading = {"actions", "audit", "dead-letters", "export", "heist", "heists"}
    reading |= {"player", "population", "preflight", "report", "simulate"}
    assert set(tool.COMMANDS) - set(changing) == reading
    for name in changing:
        with pytest.raises(SystemExit):
            tool.main([name, "--apply", "--ask"])
        assert "not allowed with" in capsys.readouterr().err


def test_an_option_is_written_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        tool.main(["redrive", "--app"])

    assert ended.value.code == 2
    assert "unrecognized arguments: --app" in capsys.readouterr().err


def test_wrong_usage_is_a_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        tool.main(["steal"])

    assert ended.value.code == 2
    assert "invalid choice: 'steal'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("player alice --limit", "99999999999999999999"),
        ("player alice --limit", "-1"),
        ("audit --rounds", "0"),
        ("redrive --rate", "0"),
        ("redrive --rate", "1e400"),
        ("config --back", "٥"),
        ("heists --setting-version", "1_0"),
        ("audit --rounds", "\x1b[31m"),
    ],
)
def test_a_number_that_is_none_or_means_nothing_is_wrong_usage(
    line: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        tool.main([*line.split(), value])

    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "must be a whole number" in said
    assert "\x1b" not in said


@pytest.mark.usefixtures("outputs")
def test_nothing_to_work_on_is_a_1_and_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert tool.main(["audit"]) == 1
    assert "start it with `make run`" in capsys.readouterr().err


@pytest.fixture
def outputs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where a local stack says what it is."""
    path = tmp_path / "outputs.json"
    monkeypatch.setattr(target, "LOCAL_OUTPUTS", path)
    return path


class Answered:
    """What the address of a local stack answers."""

    def __init__(self, text: str) -> None:
        self.data = text.encode()


@pytest.mark.parametrize("answer", ['{"runId": "of another"}', '["ours"]', "ours", "<html>", ""])
def test_another_checkouts_stack_at_the_same_address_is_not_worked_on(
    answer: str,
    outputs: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outputs.write_text('{"Endpoint": "http://127.0.0.1:4566", "RunId": "ours"}', "utf-8")
    monkeypatch.setattr("urllib3.request", lambda *_, **__: Answered(answer))

    assert tool.main(["audit"]) == 1
    assert "is not the stack of this checkout" in capsys.readouterr().err


def test_outputs_that_cannot_be_read_say_what_to_do(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for content in ("", "{}", "[]", '{"Endpoint": "http://127.0.0.1:4566"}'):
        outputs.write_text(content, "utf-8")
        assert tool.main(["audit"]) == 1
        assert "start `make run` again" in capsys.readouterr().err


def test_this_machines_aws_settings_are_for_aws_and_not_for_the_local_stack(
    outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs.write_text(
        '{"Endpoint": "http://127.0.0.1:4566", "Region": "us-east-1", "RunId": "ours"}', "utf-8"
    )
    monkeypatch.setattr("urllib3.request", lambda *_, **__: Answered('{"runId": "ours"}'))
    ours = dict(os.environ)
    settings = {
        **ours,
        "AWS_PROFILE": "no-such-profile",
        "AWS_ENDPOINT_URL_DYNAMODB": "http://elsewhere",
        "HTTP_PROXY": "http://proxy.example:3128",
        "https_proxy": "http://proxy.example:3128",
    }
    monkeypatch.setattr("os.environ", settings)

    client = target.find_target("").dynamodb

    assert client.meta.endpoint_url == "http://127.0.0.1:4566"
    assert {name for name in set(settings) - set(ours) if "FILE" not in name} == set()


# Whatever the world outside does


def no_such_table() -> Exception:
    error = Misconfigured()
    error.__cause__ = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "Query")
    return error


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (EndpointConnectionError(endpoint_url="http://localhost:4566"), "did not answer"),
        (ProfileNotFound(profile="x"), "AWS says: The config profile (x)"),
        (no_such_table(), "when calling the Query operation: no. Are account and region those of"),
        (Contention(), "others kept changing the same items. The same command again is safe."),
        (IsADirectoryError(21, "Is a directory", "User.csv"), "Is a directory: 'User.csv'"),
        (Malformed("points is missing"), "points is missing. ./heist audit"),
        (OperatorError("no \x1b[2Jsuch file\x9b"), "no �[2Jsuch file�"),
        (KeyError("x"), "A defect of this program: KeyError: 'x'"),
    ],
)
def test_no_traceback_reaches_a_person(
    error: Exception,
    sentence: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> int:
        raise error

    monkeypatch.setattr(tool, "find_target", fail)

    assert tool.main(["report"]) == 1
    printed = capsys.readouterr()
    assert sentence in printed.err
    assert "Traceback" not in printed.err
    assert "\x1b" not in printed.err
    assert printed.out == ""


WHATEVER = """
import sys
from ops import __main__ as tool
from ops.command import agreed
from ops.output import Output

def run(target, options, out):
    out.line("about to")
    return 0 if agreed(options, out) else 3

tool.find_target = lambda stage: None
tool.COMMANDS["smoke"].run = run
sys.exit(tool.main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("redirected", "code", "told"),
    [
        (">/dev/full", 1, "No space left on device"),
        (">/dev/full 2>&1", 1, ""),
        (">&- 2>&-", 1, ""),
        ("<&-", 1, "nobody to ask: say --apply instead of --ask"),
    ],
)
def test_output_and_input_may_be_closed_or_full(redirected: str, code: int, told: str) -> None:
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" -c "$1" smoke --ask {redirected}', sys.executable, WHATEVER],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


# What is printed


def test_a_name_cannot_steer_the_terminal() -> None:
    assert plain("\x1b[2JAl\u202eice\r\n\x9b") == "�[2JAl�ice���"
    assert plain("Zoë 🦊 – ok") == "Zoë 🦊 – ok"


def test_a_name_is_shown_as_it_is_and_not_as_markup(capsys: pytest.CaptureFixture[str]) -> None:
    out = Output(as_json=False)
    out.table(("name", "points"), [("[bold red]Al[/]\x1b[31m", 7)])

    printed = capsys.readouterr().out
    assert "[bold red]Al[/]�[31m" in printed
    assert "\x1b" not in printed


def test_json_is_one_document_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    out = Output(as_json=True)
    out.line("for people")
    out.table(("a",), [("b",)])
    out.progress("1/2")
    out.document({"name": "\x1b\u202e", "owed": {"event"}})

    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"name": "\x1b\u202e", "owed": ["event"]}
    assert "\x1b" not in printed.out
    assert printed.err == ""


class Options(argparse.Namespace):
    def __init__(self, *, apply: bool = False, ask: bool = False, reason: str = "") -> None:
        self.apply, self.ask, self.reason = apply, ask, reason


def answering(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))


@pytest.mark.parametrize(
    ("answer", "agrees"),
    [("y\n", True), ("Yes \n", True), ("\n", False), ("n\n", False), ("yo\n", False)],
)
def test_whoever_is_asked_has_to_say_yes(
    answer: str, agrees: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, answer)
    assert agreed(Options(ask=True), Output(as_json=False)) is agrees


def test_without_apply_nothing_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    assert not agreed(Options(), Output(as_json=False))
    assert "--apply" in capsys.readouterr().out
    assert agreed(Options(apply=True), Output(as_json=False))


def test_with_nobody_to_ask_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, "")
    with pytest.raises(OperatorError, match="--apply instead of --ask"):
        agreed(Options(ask=True), Output(as_json=False))


def test_a_question_is_no_part_of_a_document(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answering(monkeypatch, "y\n")
    agreed(Options(ask=True), Output(as_json=True))
    assert capsys.readouterr() == ("", "Do it? [y/N] ")


@pytest.mark.parametrize("reason", ["", "   ", "no", "x" * 501, "abc\x1b[2J", "two\nlines"])
def test_a_reason_is_one_short_line(reason: str) -> None:
    with pytest.raises(OperatorError, match="--reason"):
        reason_of(Options(reason=reason, apply=True))


def test_a_reason_is_needed_only_to_do_it() -> None:
    assert reason_of(Options()) == ""


def test_a_reason_is_asked_for_if_asking_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, " a customer's wish \n")
    assert reason_of(Options(ask=True)) == "a customer's wish"
