"""What no linter checks in template.yaml: least privilege, bounded retries, refused values.

The tests read what it deploys, not how it is written: see processed.py.
"""

import ast
import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks.assumptions import ALARMS
from build_layer import OPERATIONS
from heist_core.domain.mails import MailState
from heist_core.event_contracts import MailFeedback, PointsEarned, ReferralCompleted, UserUpserted
from heist_core.messaging.bus import SOURCE
from heist_core.settings import DECLARED, InvalidSettings, parse_settings
from heist_core.storage import keys
from heist_core.telemetry import NAMESPACE
from heist_core.use_cases.execute_heist import BEGIN_ROUNDS_FOR_SECONDS, LONGEST_ROUND_SECONDS
from heist_core.use_cases.notify_players import LEASE
from local.tools import ENVIRONMENTS
from ops.erase import SETTLING
from ops.template import load
from tests.template.processed import (
    Processed,
    as_list,
    decided,
    every_combination,
    expanded,
    translated,
)

ROOT = Path(__file__).parents[2]
TEMPLATE: dict[str, Any] = load()
PARAMETERS: dict[str, dict[str, str]] = TEMPLATE["Parameters"]
RESOURCES: dict[str, dict[str, Any]] = expanded(TEMPLATE)["Resources"]
SENDERS = {"NotifyPlayersFunction", "SweepNotificationsFunction", "SendDigestsFunction"}
"""Of mails."""
FUNCTIONS = {
    name for name, each in RESOURCES.items() if each["Type"] == "AWS::Serverless::Function"
}
OPEN_ROUTES = {
    ("GET", "/api/heist/unsubscribe/{token}"),
    ("POST", "/api/heist/unsubscribe/{token}"),
}
"""The link in a mail is for whoever has it; its token is signed."""
OWN_DOMAIN = {"PublicUrl": "https://play.example.com"}
UNKNOWN_EVENTS = "UnknownEventsRule"
MAIL_EVENTS = "RecordMailFeedbackFunctionRule"
EVENT_FUNCTIONS = tuple(
    f"{name}Function" for name in ("AwardToken", "UpsertPlayer", "AddPoints", "RecordMailFeedback")
)
RUNBOOK = (ROOT / "docs" / "operations.md").read_text("utf-8")


def folder(function: str) -> str:
    """`execute_heist` for ExecuteHeistFunction."""
    return re.sub(r"(?<!^)([A-Z])", r"_\1", function.removesuffix("Function")).lower()


def role_of(function: str) -> str:
    return function.removesuffix("Function") + "Role"


@pytest.fixture(scope="module")
def combinations() -> list[Processed]:
    """What is deployed with every combination of the parameters that decide something."""
    if not (ENVIRONMENTS / "sam" / "bin" / "python").exists():
        pytest.skip("SAM CLI is not installed: run this through `make test`")
    return every_combination()


@pytest.fixture(scope="module")
def on_aws(combinations: list[Processed]) -> Processed:
    """With everything that is optional, on AWS."""
    (found,) = (
        each
        for each in combinations
        if each.parameters["Stage"] != "local"
        and not each.parameters["JwtIssuer"]
        and each.parameters["Tracing"] == "on"
        and each.parameters["SenderEmail"]
        and each.parameters["AlarmEmail"]
        and each.parameters["AllowedOrigins"]
        and each.parameters["Pages"] == "both"
    )
    return found


# --- The form, as far as it matters --------------------------------------------------------------


def test_nothing_that_is_deployed_refers_to_what_is_not(combinations: list[Processed]) -> None:
    """Nothing unconditional depends on a conditional resource."""
    for processed in combinations:
        text = json.dumps([*processed.resources.values(), processed.outputs])
        named = {name.partition(".")[0] for name in re.findall(r"\$\{(\w[\w.]*)\}", text)}
        assert named <= processed.resources.keys() | processed.parameters.keys(), (
            processed.parameters
        )


def test_no_loop_leaves_its_identifier_behind() -> None:
    """AWS replaces it in keys, Fn::Sub and Ref only; SAM CLI, in every text."""
    identifiers = re.findall(
        r"Fn::ForEach::\w+:\n +- (\w+)\n", (ROOT / "template.yaml").read_text("utf-8")
    )
    assert identifiers
    text = json.dumps(RESOURCES)
    assert [each for each in identifiers if f"${{{each}}}" in text] == []


# --- Functions -----------------------------------------------------------------------------------


def test_every_folder_under_functions_is_deployed_and_nothing_else() -> None:
    folders = {path.parent.name for path in (ROOT / "functions").glob("*/app.py")}
    assert {folder(name) for name in FUNCTIONS} == folders


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_each_function_has_its_own_code_role_and_log_group(name: str, on_aws: Processed) -> None:
    function = on_aws.resources[name]["Properties"]
    assert RESOURCES[name]["Properties"]["CodeUri"].endswith(f"functions/{folder(name)}/")
    assert function["Role"] == f"${{{role_of(name)}.Arn}}"
    assert function["FunctionName"] == "${AWS::StackName}-" + folder(name).replace("_", "-")
    logs = on_aws.resources[name.removesuffix("Function") + "Logs"]["Properties"]
    assert logs["RetentionInDays"] == 30
    assert logs["LogGroupName"] == f"/aws/lambda/{function['FunctionName']}"


def variables(function: str, processed: Processed) -> dict[str, Any]:
    found: dict[str, Any] = processed.resources[function]["Properties"]["Environment"]["Variables"]
    return found


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_the_settings_are_on_every_function(name: str, on_aws: Processed) -> None:
    for setting in DECLARED:
        expected = PARAMETERS[setting.title().replace("_", "")]["Default"]
        assert variables(name, on_aws)[setting] == expected


def test_sam_local_sets_only_variables_that_the_template_declares(on_aws: Processed) -> None:
    """SAM CLI ignores all others."""
    text = (ROOT / "local" / "sam-local-env.json").read_text("utf-8")
    declared = set(variables("GetTokensFunction", on_aws))
    assert json.loads(text)["Parameters"].keys() <= declared


def test_a_heist_has_time_for_its_rounds_and_answers_before_the_gateway_gives_up(
    on_aws: Processed,
) -> None:
    timeout = on_aws.resources["ExecuteHeistFunction"]["Properties"]["Timeout"]

    assert BEGIN_ROUNDS_FOR_SECONDS + LONGEST_ROUND_SECONDS < timeout < 29


@pytest.mark.parametrize("name", sorted(SENDERS))
def test_no_lease_on_a_mail_ends_while_its_owner_may_still_run(
    name: str, on_aws: Processed
) -> None:
    assert on_aws.resources[name]["Properties"]["Timeout"] < LEASE.total_seconds()


def test_no_function_that_writes_outlasts_what_an_erasure_waits_for(on_aws: Processed) -> None:
    looks_before_it_writes = {"KeepLeaderboardFunction"}
    knows_no_person = {"AuditTableFunction"}  # what it writes has no names
    comes_before = {"ImportPartFunction"}  # docs/operations.md: after an import erase again
    for name in FUNCTIONS - looks_before_it_writes - knows_no_person - comes_before:
        actions = {action for action, _, _ in on_aws.grants(role_of(name))}
        if actions & {"dynamodb:PutItem", "dynamodb:UpdateItem"}:
            timeout = on_aws.resources[name]["Properties"]["Timeout"]
            assert timeout < SETTLING.total_seconds(), name


# --- Permissions ---------------------------------------------------------------------------------

XRAY = {"xray:PutTelemetryRecords", "xray:PutTraceSegments"}
LOGS = {"logs:CreateLogStream", "logs:PutLogEvents"}


def test_roles_allow_single_actions_on_single_resources(combinations: list[Processed]) -> None:
    """No wildcard action; `*` as a resource only for X-Ray, and where the embedded AWS needs it."""
    for processed in combinations:
        for name in FUNCTIONS & processed.resources.keys():
            for statement in processed.statements(role_of(name)):
                actions = set(as_list(statement["Action"]))
                assert not [action for action in actions if "*" in action], name
                if "*" in as_list(statement["Resource"]):
                    local = processed.parameters["Stage"] == "local"
                    assert actions == XRAY or (local and actions == {"ses:SendEmail"}), name


def test_nobody_may_delete_and_only_the_audit_may_scan(on_aws: Processed) -> None:
    """Nor does anybody but the audit and an import use S3."""
    actions = {
        action
        for name in FUNCTIONS - {"AuditTableFunction", "ImportPartFunction"}
        for action, _, _ in on_aws.grants(role_of(name))
    }
    used = {"GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem"}
    streams = {"DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"}
    assert actions == {f"dynamodb:{name}" for name in used | streams} | LOGS | XRAY | {
        "events:PutEvents",
        "secretsmanager:GetSecretValue",
        "ses:SendEmail",
        "sqs:SendMessage",
        *("sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"),
    }


def test_the_audit_may_read_and_write_nothing_but_what_it_found(on_aws: Processed) -> None:
    actions = {action for action, _, _ in on_aws.grants("AuditTableRole")}
    reads = {"dynamodb:GetItem", "dynamodb:Query", "dynamodb:Scan"}
    exports = {"s3:GetObject", "s3:ListBucket", "s3:PutObject"}
    assert actions == reads | exports | {"dynamodb:PutItem"} | LOGS | XRAY
    written = {
        action: (resource, json.loads(condition))
        for action, resource, condition in on_aws.grants("AuditTableRole")
        if "Put" in action and action not in LOGS | XRAY
    }
    its_own_item = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["AUDIT"]}}
    assert written == {
        "dynamodb:PutItem": ("${Table.Arn}", its_own_item),
        "s3:PutObject": ("${AuditBucket.Arn}/audits/*", {}),
    }


def test_the_audit_runs_once_a_night_in_one_run_or_in_steps(combinations: list[Processed]) -> None:
    for processed in combinations:
        schedules = {
            target["Arn"]
            for rule in processed.of_type("AWS::Events::Rule").values()
            for target in rule["Targets"]
            if "17 3" in rule.get("ScheduleExpression", "") and rule.get("State") != "DISABLED"
        }
        in_steps = processed.parameters["NightlyAudit"] == "export"
        assert schedules == {"${AuditMachine}" if in_steps else "${AuditTableFunction.Arn}"}
        for name in ("AuditMachine", "AuditBucket", "AuditFailedAlarm"):
            assert (name in processed.resources) == in_steps


def test_the_audits_machine_may_do_what_its_states_do_and_no_more(on_aws: Processed) -> None:
    machine = json.loads(on_aws.resources["AuditMachine"]["Properties"]["DefinitionString"])
    split = machine["States"]["SplitFiles"]
    states = [
        *machine["States"].values(),
        *split["ItemProcessor"]["States"].values(),
        *machine["States"]["AuditShares"]["ItemProcessor"]["States"].values(),
    ]
    tasks = {state["Resource"] for state in states if state["Type"] == "Task"}
    calls = "arn:${AWS::Partition}:states:::"
    assert tasks == {
        "${AuditTableFunction.Arn}",
        f"{calls}aws-sdk:dynamodb:exportTableToPointInTime",
        f"{calls}aws-sdk:dynamodb:describeExport",
    }
    assert split["ItemReader"]["Resource"] == f"{calls}s3:getObject"
    here = "arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}"
    assert {(action, place) for action, place, _ in on_aws.grants("AuditMachineRole")} == {
        ("lambda:InvokeFunction", "${AuditTableFunction.Arn}"),
        ("dynamodb:ExportTableToPointInTime", "${Table.Arn}"),
        ("dynamodb:DescribeExport", "${Table.Arn}/export/*"),
        *(
            (f"s3:{action}", "${AuditBucket.Arn}/AWSDynamoDB/*")
            for action in ("GetObject", "PutObject", "PutObjectAcl", "AbortMultipartUpload")
        ),
        ("states:StartExecution", f"{here}:stateMachine:${{AWS::StackName}}-audit"),
        ("states:DescribeExecution", f"{here}:execution:${{AWS::StackName}}-audit*"),
        ("states:StopExecution", f"{here}:execution:${{AWS::StackName}}-audit*"),
    }


def test_an_import_in_parts_is_not_there_unless_asked_for(combinations: list[Processed]) -> None:
    assert PARAMETERS["ImportInParts"]["Default"] == "off"
    for processed in combinations:
        named = [name for name in processed.resources if name.startswith("Import")]
        assert bool(named) == (processed.parameters["ImportInParts"] == "on")


def test_an_import_in_parts_may_do_what_its_states_do_and_no_more(on_aws: Processed) -> None:
    """Its function reads parts and writes what it found; its machine reads no part."""
    machine = json.loads(on_aws.resources["ImportMachine"]["Properties"]["DefinitionString"])
    (task,) = machine["States"]["Parts"]["ItemProcessor"]["States"].values()
    assert task["Resource"] == "${ImportPartFunction.Arn}"
    here = "arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}"
    assert {(action, place) for action, place, _ in on_aws.grants("ImportMachineRole")} == {
        ("lambda:InvokeFunction", "${ImportPartFunction.Arn}"),
        ("s3:GetObject", "${ImportBucket.Arn}/*/manifests/*"),
        ("states:StartExecution", f"{here}:stateMachine:${{AWS::StackName}}-import"),
        ("states:DescribeExecution", f"{here}:execution:${{AWS::StackName}}-import*"),
        ("states:StopExecution", f"{here}:execution:${{AWS::StackName}}-import*"),
    }
    function = {(action, place) for action, place, _ in on_aws.grants("ImportPartRole")}
    assert {(action, place) for action, place in function if action.startswith("s3:")} == {
        ("s3:GetObject", "${ImportBucket.Arn}/*/parts/*"),
        ("s3:PutObject", "${ImportBucket.Arn}/*/found/*"),
    }


@pytest.mark.parametrize("of", ["Audit", "Import"])
def test_exports_are_private_encrypted_and_gone_after_two_days(on_aws: Processed, of: str) -> None:
    bucket = on_aws.resources[f"{of}Bucket"]["Properties"]
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    (rule,) = bucket["LifecycleConfiguration"]["Rules"]
    assert (rule["Status"], rule["ExpirationInDays"]) == ("Enabled", 2)
    (encryption,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    policy = on_aws.resources[f"{of}BucketPolicy"]["Properties"]["PolicyDocument"]
    (refusal,) = policy["Statement"]
    assert refusal["Effect"] == "Deny"
    assert refusal["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_what_shows_operators_the_game_may_change_none_of_it(on_aws: Processed) -> None:
    """Nor may whoever shows the reports. A letter is only hidden while it is looked at."""
    for role in ("ReadAdminRole", "ShowStatisticsRole"):
        actions = {action for action, _, _ in on_aws.grants(role)}
        reads = {f"dynamodb:{name}" for name in ("GetItem", "BatchGetItem", "Query")}
        letters = {"GetQueueAttributes", "ReceiveMessage", "ChangeMessageVisibility"}
        assert actions <= reads | {f"sqs:{name}" for name in letters} | LOGS | XRAY


def test_a_function_may_write_to_its_own_log_group_and_no_other(on_aws: Processed) -> None:
    for name in FUNCTIONS:
        groups = {where for action, where, _ in on_aws.grants(role_of(name)) if action in LOGS}
        assert groups == {f"${{{name.removesuffix('Function')}Logs.Arn}}"}


def test_tracing_is_off_unless_asked_for_and_its_permission_is_in_each_role(
    combinations: list[Processed],
) -> None:
    """In the role itself: a policy beside it would come after the functions that need it."""
    assert PARAMETERS["Tracing"]["Default"] == "off"
    for processed in combinations:
        traced = processed.parameters["Tracing"] == "on"
        for name in FUNCTIONS & processed.resources.keys():
            function = processed.resources[name]["Properties"]
            assert function["TracingConfig"]["Mode"] == ("Active" if traced else "PassThrough")
            actions = {action for action, _, _ in processed.grants(role_of(name))}
            assert (actions >= XRAY) == traced, name
        assert not processed.of_type("AWS::IAM::Policy")


PAGES = {"/play", "/play/{proxy+}", "/ops", "/ops/{proxy+}"}


def test_every_route_but_the_open_ones_needs_a_token(combinations: list[Processed]) -> None:
    for processed in combinations:
        (api,) = processed.of_type("AWS::ApiGatewayV2::Api").values()
        open_ones = set()
        for path, methods in api["Body"]["paths"].items():
            for method, operation in methods.items():
                if operation["security"] == [{"NONE": []}]:
                    open_ones.add((method.upper(), path))
                else:
                    assert operation["security"] == [{"PlayerToken": []}], (method, path)
        assert {route for route in open_ones if route[1] not in PAGES} == OPEN_ROUTES


def test_the_open_routes_are_throttled_apart_from_the_players(on_aws: Processed) -> None:
    (stage,) = on_aws.of_type("AWS::ApiGatewayV2::Stage").values()
    of_players = stage["DefaultRouteSettings"]
    assert {tuple(route.split()) for route in stage["RouteSettings"]} == OPEN_ROUTES
    for settings in stage["RouteSettings"].values():
        assert settings["ThrottlingRateLimit"] <= of_players["ThrottlingRateLimit"] / 50
        assert settings["ThrottlingBurstLimit"] <= of_players["ThrottlingBurstLimit"] / 10


def test_the_key_of_links_is_made_by_the_deployment_and_read_by_who_needs_it(
    combinations: list[Processed],
) -> None:
    for processed in combinations:
        secret = processed.resources["UnsubscribeKey"]
        assert secret["DeletionPolicy"] == "RetainExceptOnCreate"
        made = secret["Properties"]["GenerateSecretString"]
        assert made["PasswordLength"] >= 43  # 256 bits of letters and digits
        assert json.loads(made["SecretStringTemplate"]) == {"old": []}
        assert made["GenerateStringKey"] == "key"
        readers = {
            name
            for name in FUNCTIONS & processed.resources.keys()
            if ("secretsmanager:GetSecretValue", "${UnsubscribeKey.Id}", "{}")
            in processed.grants(role_of(name))
        }
        mails = bool(processed.parameters["SenderEmail"])
        assert readers == {"UnsubscribeFunction"} | (SENDERS if mails else set())


def test_links_begin_with_the_address_that_players_reach_the_api_by(
    combinations: list[Processed],
) -> None:
    for processed in combinations:
        local = processed.parameters["Stage"] == "local"
        own = "https://${HeistApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}"
        expected = "/_aws/execute-api/${HeistApi}/$default" if local else own
        for name in SENDERS:
            assert variables(name, processed)["API_URL"] == expected
    with_domain = decided(translated(TEMPLATE), {**combinations[0].parameters, **OWN_DOMAIN})
    assert variables("NotifyPlayersFunction", with_domain)["API_URL"] == OWN_DOMAIN["PublicUrl"]


def test_pages_are_not_there_unless_asked_for(combinations: list[Processed]) -> None:
    assert PARAMETERS["Pages"]["Default"] == "none"
    for processed in combinations:
        (api,) = processed.of_type("AWS::ApiGatewayV2::Api").values()
        there = processed.parameters["Pages"] != "none"
        assert (api["Body"]["paths"].keys() & PAGES) == (PAGES if there else set())
        named = [name for name in processed.resources if name.startswith("ServePages")]
        assert bool(named) == there


def test_the_function_of_the_pages_may_do_nothing_but_log(on_aws: Processed) -> None:
    actions = {action for action, _, _ in on_aws.grants(role_of("ServePagesFunction"))}
    assert actions == LOGS | XRAY


def test_nobody_signs_up_alone_or_changes_what_names_them(combinations: list[Processed]) -> None:
    for processed in combinations:
        for pool in processed.of_type("AWS::Cognito::UserPool").values():
            assert pool["AdminCreateUserConfig"] == {"AllowAdminCreateUserOnly": True}
            assert pool["UserPoolTier"] == "LITE"
        for client in processed.of_type("AWS::Cognito::UserPoolClient").values():
            assert client["WriteAttributes"] == ["name"]
    rule = TEMPLATE["Rules"]["OwnPoolNamesPlayersBySub"]
    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "JwtIssuer"}, ""]}
    (only,) = rule["Assertions"]
    assert only["Assert"] == {"Fn::Equals": [{"Ref": "UserIdClaim"}, "sub"]}


def test_access_logs_need_no_room_in_the_accounts_log_policy(on_aws: Processed) -> None:
    assert on_aws.resources["HeistApiLogs"]["Properties"]["LogGroupName"].startswith(
        "/aws/vendedlogs/"
    )


# --- What must not get lost ----------------------------------------------------------------------


def test_events_that_cannot_be_delivered_or_keep_failing_end_in_the_queue(
    on_aws: Processed,
) -> None:
    queue = "${EventsDeadLetterQueue.Arn}"
    for name in EVENT_FUNCTIONS:
        (target,) = on_aws.resources[f"{name}Rule"]["Properties"]["Targets"]
        assert target["DeadLetterConfig"] == {"Arn": queue}
        config = on_aws.resources[f"{name}EventInvokeConfig"]["Properties"]
        assert config["DestinationConfig"]["OnFailure"] == {"Destination": queue}
        may = on_aws.grants(role_of(name))
        assert ("sqs:SendMessage", queue, "{}") in may


def test_what_no_rule_takes_and_nobody_here_sends_becomes_a_dead_letter(
    on_aws: Processed,
) -> None:
    rule = on_aws.of_type("AWS::Events::Rule")[UNKNOWN_EVENTS]
    (foreign, *known) = rule["EventPattern"]["$or"]
    takers = (ReferralCompleted, UserUpserted, PointsEarned)
    assert foreign == {"source": [{"anything-but": [*(one.source for one in takers), SOURCE]}]}
    assert known == [
        {"source": [one.source], "detail-type": [{"anything-but": one.__name__}]} for one in takers
    ]
    (target,) = rule["Targets"]
    assert target["Arn"] == "${EventsDeadLetterQueue.Arn}"
    template = target["InputTransformer"]["InputTemplate"]
    letter = json.loads(template.replace("<aws.events.event.json>", "{}"))
    assert letter == {"event": {}, "reason": "UNKNOWN_EVENT"}


def test_only_the_three_sources_are_matched(on_aws: Processed) -> None:
    matched = {}
    for name, rule in on_aws.of_type("AWS::Events::Rule").items():
        if "EventPattern" in rule and name not in (UNKNOWN_EVENTS, MAIL_EVENTS):
            assert rule["EventBusName"] == "${EventBus}"
            pattern = rule["EventPattern"]
            matched[folder(name.removesuffix("Rule"))] = (pattern["source"], pattern["detail-type"])
    assert matched == {
        "award_token": (["referrals"], ["ReferralCompleted"]),
        "upsert_player": (["users"], ["UserUpserted"]),
        "add_points": (["points"], ["PointsEarned"]),
    }


def test_what_ses_tells_of_this_stacks_mails_comes_by_the_default_bus(
    combinations: list[Processed],
) -> None:
    """SES knows no other. Its events wait in the queue if they cannot be delivered."""
    for processed in combinations:
        rule = processed.resources[MAIL_EVENTS]["Properties"]
        assert "EventBusName" not in rule
        pattern = rule["EventPattern"]
        assert (pattern["source"], tuple(pattern["detail-type"])) == (
            [MailFeedback.source],
            MailFeedback.types(),
        )
        stack = "${AWS::StackName}"
        assert pattern["detail"] == {"mail": {"tags": {"ses:configuration-set": [stack]}}}
        policy = processed.resources["EventsDeadLetterQueuePolicy"]["Properties"]["PolicyDocument"]
        allowed = policy["Statement"][0]["Condition"]["ArnLike"]["aws:SourceArn"]
        assert f"${{{MAIL_EVENTS}.Arn}}" in allowed
        sets = processed.of_type("AWS::SES::ConfigurationSet")
        tells = processed.of_type("AWS::SES::ConfigurationSetEventDestination")
        assert bool(sets) == bool(tells) == bool(processed.parameters["SenderEmail"])
        for configuration in sets.values():
            assert configuration["Name"] == stack
            listed = configuration["SuppressionOptions"]["SuppressedReasons"]
            assert listed == ["BOUNCE", "COMPLAINT"]
        for told in tells.values():
            assert told["ConfigurationSetName"] == "${MailConfiguration}"
            destination = told["EventDestination"]
            assert set(destination["MatchingEventTypes"]) == {
                *("bounce", "complaint", "deliveryDelay", "reject"),
            }
            bus = destination["EventBridgeDestination"]["EventBusArn"]
            assert bus.endswith(":event-bus/default")
        for name in SENDERS:
            expected = "${MailConfiguration}" if sets else ""
            assert variables(name, processed)["MAIL_CONFIGURATION"] == expected


def test_mail_goes_out_by_the_stacks_own_set_and_from_its_sender(on_aws: Processed) -> None:
    ses = "arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}"
    for name in SENDERS:
        mails = [one for one in on_aws.grants(role_of(name)) if one[0] == "ses:SendEmail"]
        assert {resource for _, resource, _ in mails} == {
            f"{ses}:identity/*",
            f"{ses}:configuration-set/${{MailConfiguration}}",
        }
        for _, _, condition in mails:
            sender = on_aws.parameters["SenderEmail"]
            assert json.loads(condition) == {"StringEquals": {"ses:FromAddress": sender}}


@pytest.mark.parametrize(("metric", "share"), [("MailsBounced", 0.05), ("MailsComplained", 0.001)])
def test_bounces_and_complaints_alarm_where_ses_begins_to_look(
    on_aws: Processed, metric: str, share: float
) -> None:
    told, mails, *metrics = alarms(on_aws)[f"{metric}Alarm"]["Metrics"]
    assert told["Expression"] == f"IF(mails >= 100 AND counted >= {share:g} * mails, 1, 0)"
    assert (mails["Id"], mails["Expression"]) == ("mails", "FILL(sent, 0) + FILL(digests, 0)")
    assert {each["Id"]: each["MetricStat"]["Metric"]["MetricName"] for each in metrics} == {
        "sent": "MailsSent",
        "digests": "DigestsSent",
        "counted": metric,
    }
    assert {each["MetricStat"]["Period"] for each in metrics} == {86400}


def test_the_two_stream_consumers_are_bounded_and_keep_what_fails(on_aws: Processed) -> None:
    consumers = on_aws.of_type("AWS::Lambda::EventSourceMapping")
    images = {}
    for stream in consumers.values():
        assert stream["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert stream["BisectBatchOnFunctionError"] is True
        assert 1 <= stream["MaximumRetryAttempts"] <= 10
        assert stream["MaximumRecordAgeInSeconds"] < 86400
        assert stream["StartingPosition"] == "TRIM_HORIZON"
        destination = stream["DestinationConfig"]["OnFailure"]["Destination"]
        assert destination == "${NotifierDeadLetterQueue.Arn}"
        patterns = [json.loads(one["Pattern"]) for one in stream["FilterCriteria"]["Filters"]]
        assert [pattern["eventName"] for pattern in patterns] == [["INSERT"]] * len(patterns)
        images[stream["FunctionName"]] = [pattern["dynamodb"]["NewImage"] for pattern in patterns]
    assert images == {  # AWS allows two functions
        "${NotifyPlayersFunction}": [
            {"owedBucket": {"S": [{"anything-but": [*keys.REFUSED_BUCKETS, *keys.DIGEST_BUCKETS]}]}}
        ],
        "${PublishAndCountFunction}": [
            {"owedBucket": {"S": [{"anything-but": list(keys.DIGEST_BUCKETS)}]}},
            {"unread": {"S": [{"exists": True}]}},
        ],
    }


def test_the_table_survives_mistakes(combinations: list[Processed]) -> None:
    for processed in combinations:
        table = processed.resources["Table"]
        assert table["DeletionPolicy"] == "Retain"  # a rollback cannot delete what is protected
        assert table["UpdateReplacePolicy"] == "Retain"
        properties = table["Properties"]
        local = processed.parameters["Stage"] == "local"
        assert properties["DeletionProtectionEnabled"] == (not local)
        assert properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
        assert properties["SSESpecification"]["SSEEnabled"] is True
        assert properties["TimeToLiveSpecification"] == {
            "AttributeName": "expiresAt",
            "Enabled": True,
        }


# --- Alarms, queries, dashboard ------------------------------------------------------------------


def alarms(processed: Processed) -> dict[str, Any]:
    return processed.of_type("AWS::CloudWatch::Alarm")


def metrics_of(alarm: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The one metric of an alarm, or those that its expression takes."""
    if "Metrics" not in alarm:
        return [alarm]
    return [one["MetricStat"]["Metric"] for one in alarm["Metrics"] if "MetricStat" in one]


def runbook_name(alarm: str) -> str:
    """Alarms that several functions have share a line."""
    for kind in ("ErrorsAlarm", "LetterLostAlarm"):
        if alarm.removesuffix(kind) + "Function" in FUNCTIONS:
            return kind
    return alarm


def test_every_alarm_has_its_meaning_and_a_runbook_line(on_aws: Processed) -> None:
    for name, alarm in alarms(on_aws).items():
        assert len(alarm["AlarmDescription"]) > 40
        (line,) = (
            line for line in RUNBOOK.splitlines() if line.startswith(f"| `{runbook_name(name)}` |")
        )
        assert all(len(cell.strip()) > 5 for cell in line.strip("|").split("|"))


def test_every_alarm_line_of_the_runbook_is_of_an_alarm_there_is(on_aws: Processed) -> None:
    named = re.findall(r"^\| `(\w*Alarm)` \|", RUNBOOK, re.MULTILINE)
    assert set(named) == {runbook_name(name) for name in alarms(on_aws)}


def test_every_alarm_reaches_the_address_it_was_given(combinations: list[Processed]) -> None:
    """Through a topic that CloudWatch may publish to, and a key that it may encrypt with."""
    cloudwatch = {"Service": "cloudwatch.amazonaws.com"}
    for processed in combinations:
        told = ["${AlarmTopic}"] if processed.parameters["AlarmEmail"] else None
        for name, alarm in alarms(processed).items():
            assert alarm.get("AlarmActions") == alarm.get("OKActions") == told, name
        if not told:
            continue
        topic = processed.resources["AlarmTopic"]["Properties"]
        assert topic["Subscription"] == [
            {"Protocol": "email", "Endpoint": processed.parameters["AlarmEmail"]}
        ]
        assert topic["KmsMasterKeyId"] == "${AlarmKey}"
        key = processed.resources["AlarmKey"]["Properties"]["KeyPolicy"]["Statement"]
        assert any(
            each["Principal"] == cloudwatch
            and each["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]
            for each in key
        )
        policy = processed.resources["AlarmTopicPolicy"]["Properties"]["PolicyDocument"]
        assert [each["Action"] for each in policy["Statement"]] == ["sns:Publish"]


def test_every_function_is_watched_for_errors_and_the_account_for_throttling(
    on_aws: Processed,
) -> None:
    watched = {
        alarm["Dimensions"][0]["Value"]
        for alarm in alarms(on_aws).values()
        if alarm.get("MetricName") == "Errors"
    }
    tried_again_while_its_operator_waits = {"ImportPartFunction"}
    expected = FUNCTIONS - tried_again_while_its_operator_waits
    assert watched == {f"${{{name}}}" for name in expected}
    (throttles,) = (a for a in alarms(on_aws).values() if a.get("MetricName") == "Throttles")
    assert "Dimensions" not in throttles


def test_the_runbook_holds_no_command_that_loses_data() -> None:
    """But for the stack of a first deployment that failed, whose table and pool are retained."""
    failed = re.search(r"^## A deployment that failed\n.*?^## ", RUNBOOK, re.DOTALL | re.MULTILINE)
    assert failed
    runbook = RUNBOOK.replace(failed[0], failed[0].replace("cloudformation delete-stack", ""))
    blocks = re.findall(r"```console\n(.*?)```", runbook, re.DOTALL)
    commands = [
        line for block in blocks for line in block.splitlines() if line.startswith("$ ")
    ] + re.findall(r"`([^`\n]+)`", runbook)
    assert len(commands) > 40
    destroys = re.compile(
        r"delete-table|delete-item|delete-stack|sam delete|purge-queue|delete-user-pool|delete-log|"
        r"batch-write-item|disable-kinesis|delete-backup|\brm -|deletion-protection-disabled|"
        r"no-deletion-protection|PointInTimeRecoveryEnabled=false"
    )
    assert [command for command in commands if destroys.search(command)] == []


def test_metrics_behind_the_alarms_lie_in_the_places_where_they_are_written(
    on_aws: Processed,
) -> None:
    for name, alarm in alarms(on_aws).items():
        for metric in metrics_of(alarm):
            if metric["Namespace"] == NAMESPACE:
                assert metric["Dimensions"] == [
                    {"Name": "service", "Value": "${AWS::StackName}"}
                ], name
    for name in FUNCTIONS:
        assert variables(name, on_aws)["POWERTOOLS_SERVICE_NAME"] == "${AWS::StackName}"


def test_every_query_looks_into_every_log(on_aws: Processed) -> None:
    queries = on_aws.of_type("AWS::Logs::QueryDefinition")
    assert len(queries) == 6
    for query in queries.values():
        expected = {f"${{{name.removesuffix('Function')}Logs}}" for name in FUNCTIONS}
        assert set(query["LogGroupNames"]) == expected


def dashboard(processed: Processed) -> list[dict[str, Any]]:
    body = processed.resources["Dashboard"]["Properties"]["DashboardBody"]
    widgets: list[dict[str, Any]] = json.loads(body)["widgets"]
    return widgets


def test_the_sums_of_cost_know_every_metric_that_an_alarm_looks_at(on_aws: Processed) -> None:
    """To some: each function has one more."""
    watched = sum(len(metrics_of(alarm)) for alarm in alarms(on_aws).values())
    assert abs(watched - ALARMS) <= 5


STREAM_TELLS = ("IteratorAge", "LeftToSweeper")
SWEEPER_TELLS = ("OwedSettledBySweeper", "OwedAfterSweep")


def test_no_alarm_on_the_stream_takes_silence_for_good_news(on_aws: Processed) -> None:
    """A mapping that is disabled or denied tells nothing: the alarm stays as it was, and what the
    sweeper has to do instead, which it always tells, raises another."""
    about = {alarm.get("MetricName"): alarm for alarm in alarms(on_aws).values()}
    for metric in (*STREAM_TELLS, *SWEEPER_TELLS):
        assert about[metric]["TreatMissingData"] == "ignore", metric
    (silent,) = (a for a in alarms(on_aws).values() if a.get("MetricName") == "Invocations")
    assert silent["TreatMissingData"] == "breaching"
    assert silent["Dimensions"][0]["Value"] == "${SweepNotificationsFunction}"


def test_missing_data_is_good_only_where_a_metric_is_told_when_it_happens(
    on_aws: Processed,
) -> None:
    good = {
        alarm.get("MetricName", name)
        for name, alarm in alarms(on_aws).items()
        if alarm["TreatMissingData"] == "notBreaching"
    }
    assert good == {
        *("InvariantViolations", "SettingsInvalid", "MailsUndelivered"),
        *("Errors", "Throttles", "5xx", "DestinationDeliveryFailures"),
        *("ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"),
        "NothingDeliveredAlarm",  # no heist
        "ExecutionsFailed",  # AuditMissing tells of silence
        *("MailsBouncedAlarm", "MailsComplainedAlarm"),  # no mail
    }


def test_heists_without_a_single_notice_from_the_stream_raise_an_alarm(on_aws: Processed) -> None:
    """Notices that are missing are zero; heists that are missing are no heists."""
    alarm = alarms(on_aws)["NothingDeliveredAlarm"]
    told, *metrics = alarm["Metrics"]
    assert told["Expression"] == "IF(heists > 0 AND FILL(inbox, 0) < 1, 1, 0)"
    assert {each["Id"]: each["MetricStat"]["Metric"]["MetricName"] for each in metrics} == {
        "heists": "HeistsSucceeded",
        "inbox": "InboxItems",
    }


def test_every_function_with_a_destination_is_watched_for_what_did_not_arrive_there(
    on_aws: Processed,
) -> None:
    with_destination = {
        each["FunctionName"]
        for kind in ("EventSourceMapping", "EventInvokeConfig")
        for each in on_aws.of_type(f"AWS::Lambda::{kind}").values()
        if each.get("DestinationConfig")
    }
    watched = {
        alarm["Dimensions"][0]["Value"]
        for alarm in alarms(on_aws).values()
        if alarm.get("MetricName") == "DestinationDeliveryFailures"
    }
    assert watched == with_destination
    assert len(watched) == 6


def metrics_named_in_template(processed: Processed) -> set[str]:
    """Those of our own namespace, in alarms and on the dashboard."""
    named = {
        watched["MetricName"]
        for alarm in alarms(processed).values()
        for watched in metrics_of(alarm)
        if watched["Namespace"] == NAMESPACE
    }
    for widget in dashboard(processed):
        before: list[Any] = []
        for row in widget["properties"]["metrics"]:
            if isinstance(row[0], dict):
                if NAMESPACE in row[0]["expression"]:
                    named |= set(re.findall(r'MetricName="(\w+)"', row[0]["expression"]))
                continue
            cells = [cell for cell in row if not isinstance(cell, dict)]
            if cells[0] == "...":
                cells = [*before[: len(before) - len(cells) + 1], *cells[1:]]
            before = [before[at] if cell == "." else cell for at, cell in enumerate(cells)]
            if before[0] == NAMESPACE:
                named.add(before[1])
    return named


def test_every_metric_of_the_page_is_on_dashboard_or_alarms_and_no_other(
    on_aws: Processed,
) -> None:
    """The page has those that the code writes: test_docs.py. Mails under way are on no graph."""
    page = (ROOT / "docs" / "metrics.md").read_text("utf-8")
    listed = "".join(re.findall(r"^\| (`.*?) \|", page, re.MULTILINE))
    under_way = {f"Mails{state.value.title()}" for state in MailState if not state.settled}
    assert metrics_named_in_template(on_aws) == (
        set(re.findall(r"`([A-Z]\w+)`", listed)) - under_way
    )


def test_the_dashboard_shows_every_function_and_the_seeding_by_its_deployment(
    on_aws: Processed,
) -> None:
    text = on_aws.resources["Dashboard"]["Properties"]["DashboardBody"]
    for name in FUNCTIONS:
        named = f"${{AWS::StackName}}-{folder(name).replace('_', '-')}"
        assert f"${{{name}}}" in text or named in text or name == "SeedPointTypesFunction"


def test_every_security_check_left_out_has_its_reason() -> None:
    lines = (ROOT / ".checkov.yaml").read_text("utf-8").splitlines()
    skipped = [line for line in lines if line.startswith("  - ")]
    assert skipped
    assert [line for line in skipped if not re.fullmatch(r"  - CKV_AWS_\d+ # .{20,}\.", line)] == []


# --- Parameters and outputs ----------------------------------------------------------------------

VALUES = [
    *("0", "1", "2", "5", "10", "24", "48", "99", "100", "101", "999", "1000", "7999"),
    *("8699", "8749", "8759", "8760", "8761", "8800", "9000", "10000", "87600", "999999"),
    *("1000000", "1000001", "9999999", "-1", "+1", "1.5", "24.0", "1e3", "0x1F", "24h", "abc"),
    *("١", "null", "true", "false", "True", "FALSE", "tRuE", "yes", "on"),
    *("instant", "daily", "off", "Daily", "instant daily", "", " ", "1 ", " 1", "1\n"),
]


@pytest.mark.parametrize("setting", list(DECLARED))
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


@pytest.mark.parametrize("setting", list(DECLARED))
def test_defaults_agree_and_refusals_name_the_variable(setting: str) -> None:
    parameter = PARAMETERS[setting.title().replace("_", "")]
    default = DECLARED[setting].default
    assert parameter["Default"] == str(default).lower()
    assert parameter["ConstraintDescription"].startswith(f"{setting} must be ")


@pytest.mark.parametrize(
    ("parameter", "accepted", "refused"),
    [
        ("Stage", ["dev", "prod", "local", "pr-12"], ["", "Dev", "-x", "a b", "x" * 21]),
        ("SenderEmail", ["", "a@b.example"], ["a", "A <a@b.c>", "a@b.c,d@e.f", "a@b.c\r\nBcc: x"]),
        (
            "AllowedOrigins",
            ["", "https://a.example,http://localhost:3000", "http://[::1]:5173"],
            ["*", "a.example", "https://A.example", "https://a.example/", "https://a\x1b", "null"],
        ),
        (
            "PublicUrl",
            ["", "https://play.example.com", "https://play.example.com:8443"],
            ["http://a.example", "https://a.example/", "a.example", "https://"],
        ),
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
        *("ApiUrl", "TableName", "EventBusName", "UserPoolId", "UserPoolClientId"),
        *("NotifierDeadLetterQueueUrl", "EventsDeadLetterQueueUrl", "DashboardUrl"),
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
            rule = PARAMETERS[name]
            pattern = rule.get("AllowedPattern") or "|".join(rule["AllowedValues"])
            assert re.fullmatch(pattern, value), (stage, name)


def test_makefile_and_layer_build_for_what_the_template_deploys() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert f"LAMBDA_PYTHON ?= {PARAMETERS['PythonRuntime']['Default'][6:]}\n" in makefile
    assert f"LAMBDA_ARCH ?= {PARAMETERS['Architecture']['Default']}\n" in makefile


# --- The layer -----------------------------------------------------------------------------------


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
    assert called, "the clients are named otherwise now: mend this test"
    missing = called - {"close", "exceptions", "meta"} - kept
    assert not missing, f"add them to OPERATIONS in layers/heist_core/build_layer.py: {missing}"


@pytest.mark.parametrize(
    "path", [*(ROOT / "requirements").glob("*.txt"), ROOT / "layers/heist_core/requirements.txt"]
)
def test_locked_requirements_have_hashes_and_no_addresses(path: Path) -> None:
    text = path.read_text("utf-8")
    assert "://" not in text
    assert not re.findall(r"^-", text, re.MULTILINE)
    packages = re.findall(r"^\S+==\S+(?: ; .*)? \\\n    --hash=sha256:", text, re.MULTILINE)
    assert len(packages) == len(re.findall(r"^\S+==", text, re.MULTILINE)) > 0
