"""Look at an account before a deployment, the first above all.

Reads only: what the deployment would meet, one line each, and what to do about
it. The sender is the one that samconfig.toml names for the stage. The exit code
is 1 if anything is in the way; what could not be looked at is said, and is not.
"""

import argparse
import re
import tomllib
from collections.abc import Callable, Sequence
from typing import Any

import yaml
from botocore.exceptions import ClientError

from heist_core.texts import languages, texts_for
from ops.adopt import status
from ops.fixed import changed, indexes_at_once
from ops.output import Output
from ops.target import STACK_PREFIX, Target
from ops.template import TEMPLATE, load

ENOUGH_CONCURRENCY = 100
LOG_POLICY_CHARACTERS = 5120
ROOM_IN_LOG_POLICY = 500
DEPLOYABLE = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE")
DEPLOYABLE_ANEW = ("REVIEW_IN_PROGRESS", "DELETE_COMPLETE", "IMPORT_ROLLBACK_COMPLETE")
NEEDED = (
    *("cloudformation:CreateChangeSet", "cloudformation:ExecuteChangeSet", "s3:CreateBucket"),
    *("s3:PutObject", "lambda:CreateFunction", "lambda:PublishLayerVersion"),
    *("lambda:CreateEventSourceMapping", "iam:CreateRole", "iam:CreatePolicy", "iam:PassRole"),
    *("dynamodb:CreateTable", "dynamodb:UpdateTimeToLive", "cognito-idp:CreateUserPool"),
    *("apigateway:POST", "events:CreateEventBus", "events:PutRule", "sqs:CreateQueue"),
    *("logs:CreateLogGroup", "logs:CreateLogDelivery", "logs:PutQueryDefinition"),
    *("cloudwatch:PutMetricAlarm", "cloudwatch:PutDashboard", "sns:CreateTopic", "kms:CreateKey"),
)
"""A right of each kind that a deployment needs; not each single one."""


class InTheWayError(Exception):
    """What a deployment would stumble over, and what to do about it."""


Look = Callable[[Target], str]
"""What is good, in a few words; raises InTheWayError."""


def chosen(stage: str) -> dict[str, str]:
    """The parameters that samconfig.toml gives the stage; the template's defaults stand."""
    config = tomllib.loads((TEMPLATE.parent / "samconfig.toml").read_text("utf-8"))
    overrides = config.get(stage, {}).get("deploy", {}).get("parameters", {})
    return dict(each.split("=", 1) for each in overrides.get("parameter_overrides", []))


def stack(target: Target) -> str:
    """Whether it can be deployed as it stands."""
    state = status(target.cloudformation, target.stage)
    if state is None:
        return "not there yet: this will be the first deployment"
    if state in DEPLOYABLE or state in DEPLOYABLE_ANEW:
        return state
    if state.endswith("_IN_PROGRESS"):
        raise InTheWayError(f"{state}: wait until it has ended")
    raise InTheWayError(f"{state}: docs/operations.md, 'A deployment that failed'")


def kept(target: Target) -> str:
    """Whether table and pool of the deployed stack stay what they are."""
    name = STACK_PREFIX + target.stage
    if status(target.cloudformation, target.stage) in (None, *DEPLOYABLE_ANEW):
        return "there are none yet"
    answer = target.cloudformation.get_template(StackName=name, TemplateStage="Processed")
    body: Any = answer["TemplateBody"]
    deployed = yaml.safe_load(body) if isinstance(body, str) else body
    losses = list(changed(deployed["Resources"], load()["Resources"]))
    if losses:
        raise InTheWayError(f"{'; '.join(losses)}. Do not deploy this: players would be lost")
    indexes = indexes_at_once(deployed["Resources"], load()["Resources"])
    if len(indexes) > 1:
        raise InTheWayError(
            f"the indexes {', '.join(indexes)} would be made or dropped, and DynamoDB does one a "
            "deployment: deploy them one by one"
        )
    return "neither is replaced"


def concurrency(target: Target) -> str:
    """Whether functions may run beside one another."""
    limit = target.lambdas.get_account_settings()["AccountLimit"]["ConcurrentExecutions"]
    if limit < ENOUGH_CONCURRENCY:
        ask = "ask for 1000: Service Quotas, Lambda, concurrent executions"
        raise InTheWayError(f"{limit} executions at once in the account; {ask}")
    return f"{limit} executions at once in the account"


def mail(target: Target) -> str:
    """Whether SES sends to anybody."""
    if not chosen(target.stage).get("SenderEmail"):
        return "no SenderEmail: no mail is sent"
    account = _client(target, "sesv2").get_account()
    if not account.get("SendingEnabled"):
        raise InTheWayError("SES sends nothing for this account: its console says why")
    if not account.get("ProductionAccessEnabled"):
        raise InTheWayError("SES is in its sandbox: request production access in its console")
    quota = account.get("SendQuota", {})
    without = [each for each in languages() if not texts_for(each).text("product.address")]
    bare = f"; no postal address below those in {', '.join(without)}" if without else ""
    return f"{quota.get('Max24HourSend', 0):.0f} mails a day{bare}"


def sender(target: Target) -> str:
    """Whether SES takes the sender, as an address or by its domain."""
    address = chosen(target.stage).get("SenderEmail", "")
    if not address:
        return "no SenderEmail: no mail is sent"
    client = _client(target, "sesv2")
    for identity in (address, address.rpartition("@")[2]):
        try:
            found = client.get_email_identity(EmailIdentity=identity)
        except client.exceptions.NotFoundException:
            continue
        if not found.get("VerifiedForSendingStatus"):
            continue
        default = found.get("ConfigurationSetName")
        by = f", by its default configuration set {default}" if default else ""
        return f"{identity} is verified{by}"
    raise InTheWayError(f"neither {address} nor its domain is verified: SES, identities")


def log_policy(target: Target) -> str:
    """Whether API Gateway may still be allowed to write access logs."""
    policies = _client(target, "logs").describe_resource_policies()["resourcePolicies"]
    longest = max((len(each["policyDocument"]) for each in policies), default=0)
    if longest > LOG_POLICY_CHARACTERS - ROOM_IN_LOG_POLICY:
        full = f"{longest} of {LOG_POLICY_CHARACTERS} characters are used"
        raise InTheWayError(f"{full}: shorten it, with /aws/vendedlogs/* for the rest")
    return f"{longest} of {LOG_POLICY_CHARACTERS} characters are used"


def rights(target: Target) -> str:
    """Whether the caller may deploy."""
    caller = _client(target, "sts").get_caller_identity()["Arn"]
    role = re.fullmatch(r"arn:([\w-]+):sts::(\d+):assumed-role/([^/]+)/.*", caller)
    source = f"arn:{role[1]}:iam::{role[2]}:role/{role[3]}" if role else caller
    if source.endswith(":root"):
        return "the account's root, who may do everything: use a role instead"
    answer = _client(target, "iam").simulate_principal_policy(
        PolicySourceArn=source, ActionNames=NEEDED
    )
    denied = [
        each["EvalActionName"]
        for each in answer["EvaluationResults"]
        if each["EvalDecision"] != "allowed"
    ]
    if denied:
        raise InTheWayError(f"{source} may not {', '.join(denied)}")
    return f"{source} may deploy, as far as IAM can tell"


LOOKS: Sequence[tuple[str, Look]] = (
    ("stack", stack),
    ("table and pool", kept),
    ("deployer's rights", rights),
    ("concurrency", concurrency),
    ("mail", mail),
    ("sender", sender),
    ("access logs", log_policy),
)


def _client(target: Target, service: str) -> Any:
    make: Any = target.session.client  # its stubs want the service as a literal
    return make(service, endpoint_url=target.endpoint)


def made(look: Look, target: Target) -> tuple[bool | None, str]:
    """Whether it is good, and the note; None where the caller may not look, or AWS did not say."""
    try:
        return True, look(target)
    except InTheWayError as problem:
        return False, str(problem)
    except ClientError as error:
        code = error.response["Error"].get("Code")
        return None, f"could not be looked at: {error.operation_name} answered {code}"


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """None of its own."""


def run(target: Target, _options: argparse.Namespace, out: Output) -> int:
    found = [(name, made(look, target)) for name, look in LOOKS]
    for name, (good, note) in found:
        out.line(f"{'?' if good is None else 'ok' if good else 'WRONG':<6}{name:<18} {note}")
    wrong = [name for name, (good, _) in found if good is False]
    if wrong:
        out.line(f"In the way: {', '.join(wrong)}.")
    else:
        out.line(f"Nothing is in the way: make deploy STAGE={target.stage}")
    out.document(
        {"looks": [{"look": name, "ok": good, "note": note} for name, (good, note) in found]}
    )
    return 1 if wrong else 0
