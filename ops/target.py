"""Which deployment a command works on: the embedded AWS of `make run`, or a stage on AWS."""

import getpass
import json
import os
import secrets
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import boto3
import urllib3

from heist_core.domain.action import Action
from heist_core.domain.times import to_milliseconds
from heist_core.mail.links import SecretsClient
from heist_core.storage.operator_store import OperatorStore
from heist_core.storage.statistics import StatisticsStore
from heist_core.storage.store import Store
from heist_core.storage.table import Table
from heist_core.storage.timelines import Timelines
from heist_core.use_cases.clock import Clock

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient

LOCAL_OUTPUTS = Path(__file__).parent.parent / ".local" / "outputs.json"
STACK_PREFIX = "heist-core-"
_THREADS = 8


class OperatorError(Exception):
    """Something the operator can do something about; the message says what."""


class Secrets(SecretsClient, Protocol):
    """What is called of Secrets Manager."""

    def put_secret_value(self, *, SecretId: str, SecretString: str) -> object: ...  # noqa: N803


@dataclass(frozen=True)
class Target:
    """A deployment: its outputs (SPEC section 8) and the way to AWS's APIs."""

    stage: str
    outputs: dict[str, str]
    session: boto3.Session
    endpoint: str | None

    def function(self, folder: str) -> str:
        """The deployed name of a function, by its folder."""
        return f"{STACK_PREFIX}{self.stage}-{folder.replace('_', '-')}"

    def resource(self, logical_id: str) -> str | None:
        """The name or address of a resource of the stack; None if it was deployed without."""
        client, stack = self.cloudformation, STACK_PREFIX + self.stage
        try:
            found = client.describe_stack_resource(StackName=stack, LogicalResourceId=logical_id)
        except client.exceptions.ClientError as error:
            if error.response["Error"]["Code"] != "ValidationError":
                raise
            return None
        return found["StackResourceDetail"].get("PhysicalResourceId")

    @cached_property
    def table(self) -> Table:
        return Table(self.dynamodb, self.outputs["TableName"])

    @cached_property
    def dynamodb(self) -> "DynamoDBClient":
        return self.session.client("dynamodb", endpoint_url=self.endpoint)

    @cached_property
    def lambdas(self) -> "LambdaClient":
        return self.session.client("lambda", endpoint_url=self.endpoint)

    @cached_property
    def cloudformation(self) -> "CloudFormationClient":
        return self.session.client("cloudformation", endpoint_url=self.endpoint)

    @cached_property
    def sqs(self) -> "SQSClient":
        return self.session.client("sqs", endpoint_url=self.endpoint)

    @cached_property
    def s3(self) -> "S3Client":
        return self.session.client("s3", endpoint_url=self.endpoint)

    @cached_property
    def steps(self) -> "SFNClient":
        return self.session.client("stepfunctions", endpoint_url=self.endpoint)

    @cached_property
    def secrets(self) -> "Secrets":
        client: Secrets = self.session.client("secretsmanager", endpoint_url=self.endpoint)
        return client

    @cached_property
    def cognito(self) -> "CognitoIdentityProviderClient":
        return self.session.client("cognito-idp", endpoint_url=self.endpoint)

    @cached_property
    def user_id_claim(self) -> str:
        """The claim of a token that holds the player's id, as deployed."""
        configured = self.lambdas.get_function_configuration(
            FunctionName=self.function("get_tokens")
        )
        return configured["Environment"]["Variables"]["USER_ID_CLAIM"]

    @cached_property
    def store(self) -> Store:
        """The table, by the functions' own code."""
        return Store(self.table, ThreadPoolExecutor(_THREADS))

    @cached_property
    def timelines(self) -> Timelines:
        return Timelines(self.table, ThreadPoolExecutor(_THREADS))

    @cached_property
    def operations(self) -> OperatorStore:
        return OperatorStore(self.table)

    @cached_property
    def statistics(self) -> StatisticsStore:
        return StatisticsStore(self.table)

    @cached_property
    def operator(self) -> str:
        """Who is at work: the caller's ARN, or `local:<user>` on the embedded AWS."""
        if self.endpoint is not None:
            try:
                return f"local:{getpass.getuser()}"
            except (KeyError, OSError):  # a container's user often has no name
                return f"local:{os.getuid()}"
        return str(self.session.client("sts").get_caller_identity()["Arn"])

    @cached_property
    def clock(self) -> Clock:
        return Clock(self.now, time.monotonic, time.sleep)

    def now(self) -> datetime:
        return to_milliseconds(datetime.now(UTC))

    def action(
        self,
        what: str,
        subject: str,
        why: str,
        *,
        before: Mapping[str, object] | None = None,
        after: Mapping[str, object] | None = None,
    ) -> Action:
        """An entry for the log of operator actions, by the present operator, now."""
        who, action_id = self.operator, secrets.token_hex(8)
        return Action(action_id, self.now(), who, what, subject, why, before or {}, after or {})


def find_target(stage: str) -> Target:
    """The deployment of a stage, or the running local one. Raises OperatorError without one."""
    return _deployed(stage) if stage and stage != "local" else _local()


def find_stage(stage: str) -> Target:
    """The same, without outputs: the stage's stack need not be there."""
    return Target(stage, {}, boto3.Session(), None) if stage and stage != "local" else _local()


def find_if_named(stage: str) -> Target:
    """The deployment of a stage; without a name, nothing that could be asked anything."""
    return find_target(stage) if stage else Target("", {}, boto3.Session(), None)


def _local() -> Target:
    try:
        outputs = json.loads(LOCAL_OUTPUTS.read_text("utf-8"))
        run_id = outputs["RunId"]
        answer = urllib3.request(
            "GET", f"{outputs['Endpoint']}/_heist/run", timeout=5, retries=False
        )
    except (FileNotFoundError, urllib3.exceptions.HTTPError):
        raise OperatorError(
            "No local stack is running: start it with `make run`, or name a deployed one: "
            "--stage dev."
        ) from None
    except (ValueError, KeyError, TypeError):
        raise OperatorError(f"{LOCAL_OUTPUTS} cannot be read: start `make run` again.") from None
    if _run_of(answer.data) != run_id:
        raise OperatorError(
            f"What answers at {outputs['Endpoint']} is not the stack of this checkout, "
            "which has ended: start `make run` again."
        )
    _forget_aws_settings()
    session = boto3.Session(
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 - the embedded AWS's root, on this machine only
        region_name=outputs["Region"],
    )
    return Target("local", outputs, session, outputs["Endpoint"])


def _run_of(answer: bytes) -> object:
    """What a local stack says that it is; None for whatever else answers."""
    try:
        told = json.loads(answer)
    except ValueError:
        return None
    return told.get("runId") if isinstance(told, dict) else None


def _forget_aws_settings() -> None:
    """This machine's profiles, endpoints and proxies are for AWS, not for the embedded one."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower() in ("http_proxy", "https_proxy", "all_proxy"):
            del os.environ[name]
    os.environ |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}


def _deployed(stage: str) -> Target:
    session = boto3.Session()
    stack = STACK_PREFIX + stage
    client = session.client("cloudformation")
    try:
        [described] = client.describe_stacks(StackName=stack)["Stacks"]
    except client.exceptions.ClientError as error:
        raise OperatorError(
            f"Cannot read the stack {stack} in {session.region_name}: {error}"
        ) from error
    outputs = {
        output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])
    }
    return Target(stage, outputs, session, None)
