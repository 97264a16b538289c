"""What template.yaml promises that no linter checks: least privilege, bounded retries, refused values."""

import ast
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from build_layer import OPERATIONS
from heist_core.domain.inbox import MailState
from heist_core.settings import HeistSettings, InvalidSettings, parse_settings
from heist_core.storage import keys
from heist_core.telemetry import NAMESPACE
from heist_core.use_cases.execute_heist import BEGIN_ROUNDS_FOR_SECONDS, LONGEST_ROUND_SECONDS
from heist_core.use_cases.notify_players import LEASE
from ops.erase import SETTLING

ROOT = Path(__file__).parents[2]


class Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms as their long ones: `!Ref x` as {"Ref": "x"}."""


def _long_form(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    if isinstance(node, yaml.MappingNode):
        return {name: loader.construct_mapping(node, deep=True)}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    assert isinstance(node, yaml.ScalarNode)
    return {name: loader.construct_scalar(node)}


Loader.add_multi_constructor("!", _long_form)
TEMPLATE: dict[str, Any] = yaml.load((ROOT / "template.yaml").read_text("utf-8"), Loader)
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]
PARAMETERS: dict[str, dict[str, str]] = TEMPLATE["Parameters"]


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    return {name: each["Properties"] for name, each in RESOURCES.items() if each["Type"] == kind}


FUNCTIONS = of_type("AWS::Serverless::Function")
EVENT_FUNCTIONS = ("AwardTokenFunction", "UpsertPlayerFunction", "AddPointsFunction")


def folder(function: str) -> str:
    """`execute_heist` for ExecuteHeistFunction."""
    return re.sub(r"(?<!^)([A-Z])", r"_\1", function.removesuffix("Function")).lower()


def events(function: str, kind: str) -> list[dict[str, Any]]:
    declared = FUNCTIONS[function].get("Events", {}).values()
    return [event["Properties"] for event in declared if event["Type"] == kind]


def statements(node: Any) -> Iterator[dict[str, Any]]:
    """Every policy statement in a part of the template, in whichever branch of an !If."""
    if isinstance(node, dict):
        if "Effect" in node:
            yield node
        else:
            for value in node.values():
                yield from statements(value)
    elif isinstance(node, list):
        for value in node:
            yield from statements(value)


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# Functions


def test_every_folder_under_functions_is_deployed_and_nothing_else() -> None:
    folders = {path.parent.name for path in (ROOT / "functions").glob("*/app.py")}
    assert {folder(name) for name in FUNCTIONS} == folders


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_function_has_its_own_code_role_and_log_group(name: str) -> None:
    function, stem = FUNCTIONS[name], name.removesuffix("Function")
    assert function["CodeUri"] == f"functions/{folder(name)}/"
    assert function["Role"] == {"Fn::GetAtt": f"{stem}Role.Arn"}
    assert function["LoggingConfig"] == {"LogGroup": {"Ref": f"{stem}Logs"}}
    logs = RESOURCES[f"{stem}Logs"]["Properties"]
    assert logs["RetentionInDays"] == 30
    assert function["FunctionName"]["Fn::Sub"].endswith("-" + folder(name).replace("_", "-"))
    assert logs["LogGroupName"]["Fn::Sub"] == f"/aws/lambda/{function['FunctionName']['Fn::Sub']}"


def test_the_nine_settings_are_on_every_function_that_uses_them() -> None:
    expected = {
        setting: {"Ref": setting.title().replace("_", "")} for setting in HeistSettings.model_fields
    }
    users = ("AwardToken", "ExecuteHeist", "CheckTarget", "NotifyPlayers", "SweepNotifications")
    for user in users:
        variables = FUNCTIONS[f"{user}Function"]["Environment"]["Variables"]
        assert {name: variables.get(name) for name in expected} == expected, user


def test_sam_local_sets_only_variables_that_the_template_declares() -> None:
    """SAM CLI ignores all others."""
    text = (ROOT / "local" / "sam-local-env.json").read_text("utf-8")
    declared = set(TEMPLATE["Globals"]["Function"]["Environment"]["Variables"])
    for function in FUNCTIONS.values():
        declared |= function.get("Environment", {}).get("Variables", {}).keys()
    assert json.loads(text)["Parameters"].keys() <= declared


# Permissions


def test_roles_allow_single_actions_on_single_resources() -> None:
    """No wildcard action; `*` as a resource only where the embedded AWS needs it."""
    for name, role in of_type("AWS::IAM::Role").items():
        assert "ManagedPolicyArns" not in role
        for statement in statements(role["Policies"]):
            assert not [action for action in as_list(statement["Action"]) if "*" in action], name
            resource = statement["Resource"]
            if isinstance(resource, dict) and "Fn::If" in resource:
                condition, _, resource = resource["Fn::If"]
                assert condition == "IsLocal"
                assert statement["Action"] == "ses:SendEmail"
            assert resource != "*", name


def test_nobody_may_delete_and_only_the_audit_may_scan() -> None:
    actions = {
        action
        for name, role in of_type("AWS::IAM::Role").items()
        if name != "AuditTableRole"
        for statement in statements(role["Policies"])
        for action in as_list(statement["Action"])
    }
    used = {"GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem"}
    streams = {"DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"}
    assert actions == {f"dynamodb:{name}" for name in used | streams} | {
        "events:PutEvents",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "ses:SendEmail",
        "sqs:SendMessage",
    }


def test_the_audit_may_read_and_nothing_else() -> None:
    role = of_type("AWS::IAM::Role")["AuditTableRole"]
    actions = {each for one in statements(role["Policies"]) for each in as_list(one["Action"])}
    assert actions == {
        "dynamodb:GetItem",
        "dynamodb:Query",
        "dynamodb:Scan",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
    }


def test_a_heist_has_time_for_its_rounds_and_answers_before_the_gateway_gives_up() -> None:
    timeout = FUNCTIONS["ExecuteHeistFunction"]["Timeout"]

    assert BEGIN_ROUNDS_FOR_SECONDS + LONGEST_ROUND_SECONDS < timeout < 29


@pytest.mark.parametrize("name", ["NotifyPlayersFunction", "SweepNotificationsFunction"])
def test_no_lease_on_a_mail_ends_while_its_owner_may_still_run(name: str) -> None:
    assert FUNCTIONS[name]["Timeout"] < LEASE.total_seconds()


def test_every_route_needs_a_token() -> None:
    api = RESOURCES["HeistApi"]["Properties"]
    assert api["Auth"]["DefaultAuthorizer"] in api["Auth"]["Authorizers"]
    for name in FUNCTIONS:
        for route in events(name, "HttpApi"):
            assert "Auth" not in route, name


# What must not get lost


def test_events_that_cannot_be_delivered_or_keep_failing_end_in_the_queue() -> None:
    queue = {"Fn::GetAtt": "EventsDeadLetterQueue.Arn"}
    for name in EVENT_FUNCTIONS:
        (rule,) = events(name, "EventBridgeRule")
        assert rule["DeadLetterConfig"] == {"Arn": queue}
        on_failure = FUNCTIONS[name]["EventInvokeConfig"]["DestinationConfig"]["OnFailure"]
        assert on_failure == {"Type": "SQS", "Destination": queue}


def test_only_the_three_sources_are_matched() -> None:
    matched = {}
    for name in FUNCTIONS:
        for rule in events(name, "EventBridgeRule"):
            assert rule["EventBusName"] == {"Ref": "EventBus"}
            matched[folder(name)] = (rule["Pattern"]["source"], rule["Pattern"]["detail-type"])
    assert matched == {
        "award_token": (["referrals"], ["ReferralCompleted"]),
        "upsert_player": (["users"], ["UserUpserted"]),
        "add_points": (["points"], ["PointsEarned"]),
    }


def test_the_two_stream_consumers_are_bounded_and_keep_what_fails() -> None:
    consumers = {name: found for name in FUNCTIONS if (found := events(name, "DynamoDB"))}
    assert consumers.keys() == {
        "NotifyPlayersFunction",
        "PublishAndCountFunction",
    }  # AWS allows two
    buckets = {}
    for name, (stream,) in consumers.items():
        assert stream["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert stream["BisectBatchOnFunctionError"] is True
        assert 1 <= stream["MaximumRetryAttempts"] <= 10
        assert stream["MaximumRecordAgeInSeconds"] < 86400
        assert stream["StartingPosition"] == "TRIM_HORIZON"
        destination = stream["DestinationConfig"]["OnFailure"]["Destination"]
        assert destination == {"Fn::GetAtt": "NotifierDeadLetterQueue.Arn"}
        (only,) = stream["FilterCriteria"]["Filters"]
        pattern = json.loads(only["Pattern"])
        assert pattern["eventName"] == ["INSERT"]
        buckets[name] = pattern["dynamodb"]["NewImage"]["owedBucket"]["S"]
    assert buckets == {
        "NotifyPlayersFunction": [{"anything-but": list(keys.REFUSED_BUCKETS)}],
        "PublishAndCountFunction": [{"exists": True}],
    }


def test_the_table_survives_mistakes() -> None:
    table = RESOURCES["Table"]
    assert table["DeletionPolicy"] == "RetainExceptOnCreate"
    assert table["UpdateReplacePolicy"] == "Retain"
    properties = table["Properties"]
    assert properties["DeletionProtectionEnabled"] == {"Fn::If": ["IsLocal", False, True]}
    assert properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
    assert properties["SSESpecification"]["SSEEnabled"] is True
    assert properties["TimeToLiveSpecification"] == {"AttributeName": "expiresAt", "Enabled": True}


ALARMS = of_type("AWS::CloudWatch::Alarm")
RUNBOOK = (ROOT / "docs" / "operations.md").read_text("utf-8")


@pytest.mark.parametrize("name", ALARMS)
def test_every_alarm_has_its_meaning_a_reason_for_its_threshold_an_address_and_a_runbook_line(
    name: str,
) -> None:
    alarm = ALARMS[name]
    text = (ROOT / "template.yaml").read_text("utf-8")
    lines = text.partition(f"\n  {name}:\n")[2].partition("\n\n")[0]
    assert len(alarm["AlarmDescription"]) > 40
    assert re.search(r"^      Threshold: \d+  # .{20,}$", lines, re.MULTILINE)
    told = {"Fn::If": ["HasAlarmEmail", [{"Ref": "AlarmTopic"}], {"Ref": "AWS::NoValue"}]}
    assert alarm["AlarmActions"] == alarm["OKActions"] == told
    (line,) = [line for line in RUNBOOK.splitlines() if line.startswith(f"| `{name}` |")]
    assert all(len(cell.strip()) > 5 for cell in line.strip("|").split("|"))


def test_every_alarm_line_of_the_runbook_is_of_an_alarm_there_is() -> None:
    named = re.findall(r"^\| `(\w+Alarm)` \|", RUNBOOK, re.MULTILINE)
    assert set(named) == set(ALARMS)


def test_the_runbook_holds_no_command_that_loses_data() -> None:
    blocks = re.findall(r"```console\n(.*?)```", RUNBOOK, re.DOTALL)
    commands = [
        line for block in blocks for line in block.splitlines() if line.startswith("$ ")
    ] + re.findall(r"`([^`\n]+)`", RUNBOOK)
    assert len(commands) > 40
    destroys = re.compile(
        r"delete-table|delete-item|delete-stack|sam delete|purge-queue|delete-user-pool|delete-log|"
        r"batch-write-item|disable-kinesis|delete-backup|\brm -|deletion-protection-disabled|"
        r"no-deletion-protection|PointInTimeRecoveryEnabled=false"
    )
    assert [command for command in commands if destroys.search(command)] == []


def test_metrics_behind_the_alarms_lie_in_the_places_where_they_are_written() -> None:
    for name, alarm in ALARMS.items():
        if alarm.get("Namespace") == NAMESPACE:
            (dimension,) = alarm["Dimensions"]
            assert dimension == {"Name": "service", "Value": {"Ref": "AWS::StackName"}}, name
    shared = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    assert shared["POWERTOOLS_SERVICE_NAME"] == {"Ref": "AWS::StackName"}


def test_tracing_is_off_unless_asked_for_and_its_permission_comes_with_it() -> None:
    assert PARAMETERS["Tracing"]["Default"] == "off"
    assert TEMPLATE["Globals"]["Function"]["Tracing"] == {
        "Fn::If": ["TracesCalls", "Active", "PassThrough"]
    }
    policy = RESOURCES["TracingPolicy"]
    assert policy["Condition"] == "TracesCalls"
    (statement,) = policy["Properties"]["PolicyDocument"]["Statement"]
    assert statement["Action"] == ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]
    roles = {role["Ref"] for role in policy["Properties"]["Roles"]}
    assert roles == {name.removesuffix("Function") + "Role" for name in FUNCTIONS}


def test_the_query_for_one_id_looks_into_every_log_that_carries_one() -> None:
    (groups,) = [
        {group["Ref"] for group in query["LogGroupNames"]}
        for query in of_type("AWS::Logs::QueryDefinition").values()
        if "correlation_id =" in query["QueryString"]
    ]
    without_one = {"AuditTableFunction", "SeedPointTypesFunction"}
    assert groups == {f.removesuffix("Function") + "Logs" for f in set(FUNCTIONS) - without_one}


def dashboard() -> list[dict[str, Any]]:
    body = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    widgets: list[dict[str, Any]] = json.loads(re.sub(r"\$\{[\w:.]+\}", "x", body))["widgets"]
    return widgets


def metrics_named_in_template() -> set[str]:
    """Those of our own namespace, in alarms and on the dashboard."""
    named = {each["MetricName"] for each in ALARMS.values() if each.get("Namespace") == NAMESPACE}
    for widget in dashboard():
        before: list[Any] = []
        for row in widget["properties"]["metrics"]:
            if isinstance(row[0], dict):
                named |= set(re.findall(r'MetricName="(\w+)"', row[0]["expression"]))
                continue
            cells = [cell for cell in row if not isinstance(cell, dict)]
            if cells[0] == "...":
                cells = [*before[: len(before) - len(cells) + 1], *cells[1:]]
            before = [before[at] if cell == "." else cell for at, cell in enumerate(cells)]
            if before[0] == NAMESPACE:
                named.add(before[1])
    return named


def metrics_written_by_the_code() -> set[str]:
    """The first argument of every call of telemetry's counters."""
    written = {f"Mails{state.value.title()}" for state in MailState if state.settled}
    sources = [*(ROOT / "functions").glob("*/app.py"), *(ROOT / "layers/heist_core").rglob("*.py")]
    for path in sources:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if (
                isinstance(node, ast.Call)
                and node.args
                and re.search(r"\b_?count(_by)?$", ast.unparse(node.func))
            ):
                names = [one for one in ast.walk(node.args[0]) if isinstance(one, ast.Constant)]
                written |= {str(one.value) for one in names if str(one.value)[:1].isupper()}
    return written - {"Mails"}


def test_every_metric_of_dashboard_and_alarms_is_written_and_every_one_written_is_shown() -> None:
    assert metrics_named_in_template() == metrics_written_by_the_code()


def test_the_widgets_of_the_dashboard_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for widget in dashboard():
        x, y = range(widget["x"], widget["x"] + widget["width"]), widget["y"]
        cells = {(across, y + down) for across in x for down in range(widget["height"])}
        assert not taken & cells, widget["properties"]["title"]
        taken |= cells
        assert max(x) < 24


def test_the_dashboard_shows_every_function_and_every_route() -> None:
    text = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    for name in FUNCTIONS:
        assert f"${{{name}}}" in text or name == "SeedPointTypesFunction"
        for route in events(name, "HttpApi"):
            assert f'"{route["Method"].upper()}", "Resource", "{route["Path"]}"' in text or (
                f'"{route["Method"].upper()}", ".", "{route["Path"]}"' in text
            )


def test_every_function_is_watched_for_errors() -> None:
    watched = {
        metric["MetricStat"]["Metric"]["Dimensions"][0]["Value"]["Ref"]
        for alarm in ("ApiFunctionErrorsAlarm", "BackgroundFunctionErrorsAlarm")
        for metric in ALARMS[alarm]["Metrics"]
        if "MetricStat" in metric
    }
    assert watched == set(FUNCTIONS) - {"SeedPointTypesFunction"}  # fails the deployment itself


def test_every_skipped_security_check_has_its_reason() -> None:
    for name, resource in RESOURCES.items():
        for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", []):
            assert len(skip["comment"]) > 20, name


# Parameters and outputs

VALUES = [
    *[
        "0",
        "1",
        "2",
        "5",
        "10",
        "24",
        "48",
        "99",
        "100",
        "101",
        "999",
        "1000",
        "7999",
        "8699",
        "8749",
        "8759",
        "8760",
        "8761",
        "8800",
        "9000",
        "10000",
    ],
    *[
        "87600",
        "999999",
        "1000000",
        "1000001",
        "9999999",
        "-1",
        "+1",
        "1.5",
        "24.0",
        "1e3",
        "0x1F",
        "24h",
        "abc",
        "١",
        "null",
    ],
    *["true", "false", "True", "FALSE", "tRuE", "yes", "on"],
    *("", " ", "1 ", " 1", "1\n"),
]


@pytest.mark.parametrize("setting", HeistSettings.model_fields)
@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_cloudformation_takes_exactly_the_settings_that_the_functions_take(
    setting: str, value: str
) -> None:
    parameter = PARAMETERS[setting.title().replace("_", "")]
    try:
        parse_settings({setting: value})
    except InvalidSettings:
        taken = False
    else:
        taken = True
    assert bool(re.fullmatch(parameter["AllowedPattern"], value)) == taken


@pytest.mark.parametrize("setting", HeistSettings.model_fields)
def test_defaults_agree_and_refusals_name_the_variable(setting: str) -> None:
    parameter = PARAMETERS[setting.title().replace("_", "")]
    default = HeistSettings.model_fields[setting].default
    assert parameter["Default"] == str(default).lower()
    assert parameter["ConstraintDescription"].startswith(f"{setting} must be ")


@pytest.mark.parametrize(
    ("parameter", "accepted", "refused"),
    [
        ("Stage", ["dev", "prod", "local", "pr-12"], ["", "Dev", "-x", "a b", "x" * 21]),
        ("SenderEmail", ["", "a@b.example"], ["a", "A <a@b.c>", "a@b.c,d@e.f", "a@b.c\r\nBcc: x"]),
        ("AllowedOrigins", ["", "https://a.example,http://localhost:3000"], ["*", "a.example"]),
        ("JwtIssuer", ["", "https://issuer.example/pool"], ["issuer.example", "https://a b"]),
        ("JwtAudience", ["", "one", "one,two"], ["one, two", ","]),
        ("UserIdClaim", ["sub", "custom:player_id", "https://a.example/id"], ["", "a b", "a\nb"]),
    ],
)
def test_other_parameters_refuse_what_would_break_later(
    parameter: str, accepted: list[str], refused: list[str]
) -> None:
    pattern = PARAMETERS[parameter]["AllowedPattern"]
    assert [value for value in accepted if not re.fullmatch(pattern, value)] == []
    assert [value for value in refused if re.fullmatch(pattern, value)] == []


def test_the_outputs_are_those_of_the_contract() -> None:
    assert set(TEMPLATE["Outputs"]) == {
        "ApiUrl",
        "TableName",
        "EventBusName",
        "UserPoolId",
        "UserPoolClientId",
        "NotifierDeadLetterQueueUrl",
        "EventsDeadLetterQueueUrl",
        "DashboardUrl",
    }


def test_every_stage_of_samconfig_deploys_itself_with_parameters_that_exist() -> None:
    stages = tomllib.loads((ROOT / "samconfig.toml").read_text("utf-8"))
    stages.pop("version")
    assert stages.keys() == {"default", "dev", "prod", "local"}
    for stage, commands in stages.items():
        deploy = commands["deploy"]["parameters"]
        overrides = dict(each.split("=", 1) for each in deploy["parameter_overrides"])
        deployed = "dev" if stage == "default" else stage
        assert deploy["stack_name"] == f"heist-core-{deployed}"
        assert overrides["Stage"] == deployed
        assert overrides.keys() <= PARAMETERS.keys()
        for name, value in overrides.items():
            assert re.fullmatch(PARAMETERS[name]["AllowedPattern"], value), (stage, name)


def test_makefile_and_layer_build_for_what_the_template_deploys() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert f"LAMBDA_PYTHON ?= {PARAMETERS['PythonRuntime']['Default'][6:]}\n" in makefile
    assert f"LAMBDA_ARCH ?= {PARAMETERS['Architecture']['Default']}\n" in makefile


# The layer


def test_the_layer_keeps_every_aws_operation_that_the_code_calls() -> None:
    """build_layer.py drops all others from botocore's models."""
    kept = {
        re.sub(r"(?<!^)([A-Z])", r"_\1", operation).lower()
        for operations in OPERATIONS.values()
        for operation in operations
    }
    called = set()
    for path in (ROOT / "layers" / "heist_core" / "heist_core").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value).endswith("_client"):
                called.add(node.attr)
    assert called - {"exceptions", "meta"} <= kept
    assert called, "the clients are named otherwise now: mend this test"


@pytest.mark.parametrize(
    "path", [*(ROOT / "requirements").glob("*.txt"), ROOT / "layers/heist_core/requirements.txt"]
)
def test_locked_requirements_have_hashes_and_no_addresses(path: Path) -> None:
    text = path.read_text("utf-8")
    assert "://" not in text
    assert not re.findall(r"^-", text, re.MULTILINE)
    packages = re.findall(r"^\S+==\S+(?: ; .*)? \\\n    --hash=sha256:", text, re.MULTILINE)
    assert len(packages) == len(re.findall(r"^\S+==", text, re.MULTILINE)) > 0


def test_no_function_that_writes_outlasts_what_an_erasure_waits_for() -> None:
    for name, function in FUNCTIONS.items():
        policies = RESOURCES[name.removesuffix("Function") + "Role"]["Properties"]["Policies"]
        actions = {each for one in statements(policies) for each in as_list(one["Action"])}
        if actions & {"dynamodb:PutItem", "dynamodb:UpdateItem"}:
            assert function["Timeout"] < SETTLING.total_seconds(), name
