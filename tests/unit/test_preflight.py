"""What is looked at before a deployment: answers are held against AWS's own service models."""

import argparse
import json
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from ops import preflight
from ops.output import Output
from ops.target import Target
from ops.template import load

ROLE = "arn:aws:sts::123456789012:assumed-role/deployer/session"
DEPLOYED = json.dumps({"Resources": {name: load()["Resources"][name] for name in
                                     ("Table", "UserPool")}})  # fmt: skip


class Account:
    """Stands in for a boto3 session: every client answers what was told, in that order."""

    def __init__(self) -> None:
        self.stubbers: dict[str, Stubber] = {}

    def client(self, service: str, endpoint_url: str | None = None) -> Any:
        return self._stubber(service).client

    def _stubber(self, service: str) -> Stubber:
        if service not in self.stubbers:
            make: Any = boto3.client
            made = make(service, "eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
            self.stubbers[service] = Stubber(made)
            self.stubbers[service].activate()
        return self.stubbers[service]

    def answers(self, service: str, operation: str, answer: Any) -> None:
        self._stubber(service).add_response(operation, answer)

    def refuses(self, service: str, operation: str, code: str, message: str = "") -> None:
        self._stubber(service).add_client_error(operation, code, message)

    def stack(self, state: str | None) -> None:
        if state is None:
            missing = "Stack with id heist-core-prod does not exist"
            self.refuses("cloudformation", "describe_stacks", "ValidationError", missing)
            return
        found = {"StackName": "x", "CreationTime": "2026-11-28", "StackStatus": state}
        self.answers("cloudformation", "describe_stacks", {"Stacks": [found]})


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    """With a sender for the stage."""
    monkeypatch.setattr(preflight, "chosen", lambda _stage: {"SenderEmail": "heist@example.com"})
    return Account()


def looked(account: Account, look: preflight.Look) -> tuple[bool | None, str]:
    session: Any = account
    return preflight.made(look, Target("prod", {}, session, None))


@pytest.mark.parametrize(
    ("state", "good", "told"),
    [
        (None, True, "this will be the first deployment"),
        ("UPDATE_COMPLETE", True, "UPDATE_COMPLETE"),
        ("IMPORT_COMPLETE", True, "IMPORT_COMPLETE"),
        ("ROLLBACK_COMPLETE", False, "'A deployment that failed'"),
        ("ROLLBACK_FAILED", False, "'A deployment that failed'"),
        ("UPDATE_ROLLBACK_FAILED", False, "'A deployment that failed'"),
        ("UPDATE_ROLLBACK_IN_PROGRESS", False, "wait until it has ended"),
    ],
)
def test_a_stack_that_cannot_be_deployed_as_it_stands_is_in_the_way(
    account: Account, state: str | None, good: bool, told: str
) -> None:
    account.stack(state)
    found, note = looked(account, preflight.stack)
    assert (found, told in note) == (good, True)


def test_a_template_that_would_replace_the_deployed_table_is_in_the_way(account: Account) -> None:
    account.stack("UPDATE_COMPLETE")
    account.answers("cloudformation", "get_template", {"TemplateBody": DEPLOYED})
    assert looked(account, preflight.kept) == (True, "neither is replaced")

    account.stack("UPDATE_COMPLETE")
    other = DEPLOYED.replace('"sk"', '"sort"')
    account.answers("cloudformation", "get_template", {"TemplateBody": other})
    good, note = looked(account, preflight.kept)
    assert good is False
    assert "Table: KeySchema would change" in note


def test_more_than_one_new_index_is_in_the_way(account: Account) -> None:
    """DynamoDB makes one index an update, and CloudFormation does not split them."""
    before = json.loads(DEPLOYED)
    del before["Resources"]["Table"]["Properties"]["GlobalSecondaryIndexes"][1:]
    account.stack("UPDATE_COMPLETE")
    account.answers("cloudformation", "get_template", {"TemplateBody": json.dumps(before)})
    good, note = looked(account, preflight.kept)
    assert good is False
    assert "one a deployment" in note


def test_a_new_accounts_ten_executions_are_in_the_way(account: Account) -> None:
    for limit, good in ((10, False), (1000, True)):
        answer = {"AccountLimit": {"ConcurrentExecutions": limit}}
        account.answers("lambda", "get_account_settings", answer)
        assert looked(account, preflight.concurrency)[0] is good


@pytest.mark.parametrize(
    ("answer", "good", "told"),
    [
        ({"SendingEnabled": True, "ProductionAccessEnabled": False}, False, "sandbox"),
        ({"SendingEnabled": False, "ProductionAccessEnabled": True}, False, "sends nothing"),
        ({"SendingEnabled": True, "ProductionAccessEnabled": True,
          "SendQuota": {"Max24HourSend": 50000.0}}, True,
         "50000 mails a day; no postal address below those in de, en"),
    ],
)  # fmt: skip
def test_an_account_that_may_not_mail_strangers_is_in_the_way(
    account: Account, answer: dict[str, Any], good: bool, told: str
) -> None:
    account.answers("sesv2", "get_account", answer)
    found, note = looked(account, preflight.mail)
    assert (found, told in note) == (good, True)


def test_the_sender_or_its_domain_has_to_be_verified(account: Account) -> None:
    account.refuses("sesv2", "get_email_identity", "NotFoundException")
    verified = {"VerifiedForSendingStatus": True, "ConfigurationSetName": "team"}
    account.answers("sesv2", "get_email_identity", verified)
    told = "example.com is verified, by its default configuration set team"
    assert looked(account, preflight.sender) == (True, told)

    for _ in range(2):
        account.answers("sesv2", "get_email_identity", {"VerifiedForSendingStatus": False})
    assert looked(account, preflight.sender)[0] is False


def test_a_full_log_policy_is_in_the_way(account: Account) -> None:
    for length, good in ((400, True), (5000, False)):
        policies = {"resourcePolicies": [{"policyName": "a", "policyDocument": "x" * length}]}
        account.answers("logs", "describe_resource_policies", policies)
        assert looked(account, preflight.log_policy)[0] is good


def test_rights_are_those_of_the_role_behind_the_session(account: Account) -> None:
    def simulated(decision: str) -> None:
        account.answers("sts", "get_caller_identity", {"Arn": ROLE})
        results = [{"EvalActionName": "iam:CreateRole", "EvalDecision": decision}]
        account.answers("iam", "simulate_principal_policy", {"EvaluationResults": results})

    simulated("allowed")
    role = "arn:aws:iam::123456789012:role/deployer"
    told = f"{role} may deploy, as far as IAM can tell"
    assert looked(account, preflight.rights) == (True, told)
    simulated("implicitDeny")
    assert looked(account, preflight.rights) == (False, f"{role} may not iam:CreateRole")


def test_what_may_not_be_looked_at_is_said_and_is_not_in_the_way(
    account: Account, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    account.answers("sts", "get_caller_identity", {"Arn": ROLE})
    account.refuses("iam", "simulate_principal_policy", "AccessDenied")
    monkeypatch.setattr(preflight, "LOOKS", [("deployer's rights", preflight.rights)])
    monkeypatch.setenv("COLUMNS", "80")
    session: Any = account

    code = preflight.run(
        Target("prod", {}, session, None), argparse.Namespace(), Output(as_json=False)
    )

    assert code == 0
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first.startswith("?     deployer's rights  could not be looked at: SimulatePrincipal")
    assert last == "Nothing is in the way: make deploy STAGE=prod"


def test_the_sender_is_the_one_that_samconfig_names() -> None:
    assert preflight.chosen("local")["SenderEmail"] == "heist@example.com"
    assert preflight.chosen("prod").get("SenderEmail") is None
    assert preflight.chosen("no-such-stage") == {}
