"""The application on an embedded AWS: a new one, or the one that `make run` started."""

import json
import re
import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import urllib3

from local import deployment, emulator
from local.console import ProblemError, step
from local.gate import MAILS, RUN
from local.routes import import_routes
from local.tools import ROOT

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_sesv2 import SESV2Client
    from mypy_boto3_sqs import SQSClient

STATE = ROOT / ".local"
OUTPUTS = STATE / "outputs.json"
SAM_LOCAL = STATE / "sam-local-env.json"
PASSWORD = "Heist-demo-1"
OPERATOR = "olga"
"""Who may operate the game on /ops, beside the demo players."""


@dataclass(frozen=True)
class Outputs:
    """What `.local/outputs.json` holds: the template's outputs, and what is only known locally."""

    ApiUrl: str
    TableName: str
    EventBusName: str
    NotifierDeadLetterQueueUrl: str
    EventsDeadLetterQueueUrl: str
    DashboardUrl: str
    Endpoint: str
    Region: str
    RunId: str
    UserPoolId: str = ""  # empty with an issuer of another's
    UserPoolClientId: str = ""
    Players: dict[str, str] = field(default_factory=dict)
    Ready: bool = True


@dataclass(frozen=True)
class Answer:
    """What the API answered."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        """The body; raises ValueError if it is not JSON."""
        return json.loads(self.text)


@dataclass
class Stack:
    """The deployed application and the ways into it: its API, its bus, and AWS's own APIs."""

    outputs: Outputs

    @classmethod
    def running(cls, path: Path = OUTPUTS) -> "Stack":
        """The stack that `make run` started in this checkout; raises ProblemError if none is."""
        start = "start it with `make run`"
        try:
            stack = cls(Outputs(**json.loads(path.read_text("utf-8"))))
        except FileNotFoundError:
            raise ProblemError(f"Nothing is running in this checkout: {start}.") from None
        except (OSError, ValueError, TypeError):
            raise ProblemError(f"{path} is not what `make run` writes: {start} again.") from None
        if stack.is_gone():
            raise ProblemError(
                f"What ran in this checkout, at {stack.outputs.Endpoint}, has ended: {start} again."
            )
        return stack

    def is_gone(self) -> bool:
        """Whether nothing answers at its address any more, or another run does."""
        try:
            told = urllib3.request(
                "GET", self.outputs.Endpoint + RUN, timeout=5, retries=False
            ).json()
        except urllib3.exceptions.NewConnectionError:
            return True
        except urllib3.exceptions.TimeoutError:
            return False  # it is there, but busy
        except (urllib3.exceptions.HTTPError, ValueError):
            return True
        return not isinstance(told, dict) or told.get("runId") != self.outputs.RunId

    # --- AWS ---

    @cached_property
    def cloudformation(self) -> "CloudFormationClient":
        return deployment.session().client("cloudformation", endpoint_url=self.outputs.Endpoint)

    @cached_property
    def cognito(self) -> "CognitoIdentityProviderClient":
        return deployment.session().client("cognito-idp", endpoint_url=self.outputs.Endpoint)

    @cached_property
    def dynamodb(self) -> "DynamoDBClient":
        return deployment.session().client("dynamodb", endpoint_url=self.outputs.Endpoint)

    @cached_property
    def events(self) -> "EventBridgeClient":
        return deployment.session().client("events", endpoint_url=self.outputs.Endpoint)

    @cached_property
    def iam(self) -> "IAMClient":
        return deployment.session().client("iam", endpoint_url=self.outputs.Endpoint)

    @cached_property
    def lambdas(self) -> "LambdaClient":
        return deployment.session().client("lambda", endpoint_url=self.outputs.Endpoint)

    @cached_property
    def logs(self) -> "CloudWatchLogsClient":
        return deployment.session().client("logs", endpoint_url=self.outputs.Endpoint)

    @cached_property
    def ses(self) -> "SESV2Client":
        return deployment.session().client("sesv2", endpoint_url=self.outputs.Endpoint)

    @cached_property
    def sqs(self) -> "SQSClient":
        return deployment.session().client("sqs", endpoint_url=self.outputs.Endpoint)

    # --- Players ---

    def sign_up(self, user: str, password: str = PASSWORD) -> str:
        """Makes a user of the pool who can sign in; the player id, which is the pool's `sub`."""
        pool = self.outputs.UserPoolId
        made = self.cognito.admin_create_user(
            UserPoolId=pool, Username=user, MessageAction="SUPPRESS"
        )
        self.cognito.admin_set_user_password(
            UserPoolId=pool, Username=user, Password=password, Permanent=True
        )
        attributes = {each["Name"]: each.get("Value", "") for each in made["User"]["Attributes"]}
        return attributes["sub"]

    def sign_up_operator(self, user: str = OPERATOR, group: str = "operators") -> str:
        """Makes a user who may operate the game, or with the group `support` look at it."""
        player_id = self.sign_up(user)
        self.cognito.admin_add_user_to_group(
            UserPoolId=self.outputs.UserPoolId, Username=user, GroupName=group
        )
        return player_id

    def token(self, user: str, password: str = PASSWORD) -> str:
        """An access token of a user, by USER_PASSWORD_AUTH as the clients do."""
        return self._sign_in(user, password)["AccessToken"]

    def id_token(self, user: str, password: str = PASSWORD) -> str:
        """An ID token of a user."""
        return self._sign_in(user, password)["IdToken"]

    def _sign_in(self, user: str, password: str) -> dict[str, str]:
        answer = self.cognito.initiate_auth(
            AuthFlow="USER_PASSWORD_AUTH",
            ClientId=self.outputs.UserPoolClientId,
            AuthParameters={"USERNAME": user, "PASSWORD": password},
        )
        if "AuthenticationResult" not in answer:
            raise ProblemError(f"Cognito asks {user} for {answer.get('ChallengeName')} first.")
        result = answer["AuthenticationResult"]
        return {"AccessToken": result["AccessToken"], "IdToken": result["IdToken"]}

    # --- The API, the bus, the mailbox ---

    def call(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Calls the API: `path` follows /api/heist, `body` is sent as JSON, bytes as they are."""
        sent = dict(headers or {})
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        if content is not None:
            sent.setdefault("Content-Type", "application/json")
        url = f"{self.outputs.ApiUrl}/api/heist{path}"
        answer = urllib3.request(method, url, body=content, headers=sent, timeout=60, retries=False)
        return Answer(answer.status, answer.headers, answer.data.decode())

    def send(self, source: str, detail_type: str, *details: Mapping[str, object]) -> None:
        """Puts events onto the stack's bus; raises ProblemError if the bus refuses one."""
        entries: list[PutEventsRequestEntryTypeDef] = [
            {
                "EventBusName": self.outputs.EventBusName,
                "Source": source,
                "DetailType": detail_type,
                "Detail": json.dumps(detail),
            }
            for detail in details
        ]
        for first in range(0, len(entries), 10):
            answer = self.events.put_events(Entries=entries[first : first + 10])
            if answer["FailedEntryCount"]:
                raise ProblemError(f"The bus refused {detail_type}: {answer['Entries']}")

    def mails(self) -> list[dict[str, Any]]:
        """Every mail so far, oldest first: Source, To, Subject, BodyText, BodyHtml, Timestamp."""
        answer = urllib3.request(
            "GET", f"{self.outputs.Endpoint}/_ministack/ses/messages", timeout=30
        )
        boxes: dict[str, list[dict[str, Any]]] = answer.json()["messages"]
        return [mail for box in boxes.values() for mail in box]

    def mail_requests(self) -> list[dict[str, Any]]:
        """Every request to SES that was accepted, oldest first: `sentAt` (seconds), `request`."""
        answer = urllib3.request("GET", f"{self.outputs.Endpoint}{MAILS}", timeout=30)
        requests: list[dict[str, Any]] = answer.json()
        return requests

    def item(self, pk: str, sk: str) -> dict[str, Any] | None:
        """An item of the table in DynamoDB's typed form, read consistently, or None."""
        return self.dynamodb.get_item(
            TableName=self.outputs.TableName,
            Key={"pk": {"S": pk}, "sk": {"S": sk}},
            ConsistentRead=True,
        ).get("Item")


@contextmanager
def running_stack(
    home: Path,
    port: int | None = None,
    parameters: Mapping[str, str] | None = None,
    *,
    bridge: str = "",
    demo_players: Collection[str] = (),
) -> Iterator[Stack]:
    """The application on an embedded AWS of its own, with an empty table, for this block.

    `home` holds the emulator's files and log; `port` None takes a free one; `parameters` are the
    template's; `bridge` is an address to listen on besides the loopback ones; `demo_players` are
    users whom the pages offer to sign in as. Steps go to stderr. Raises ProblemError when something
    is in the way.
    """
    home.mkdir(parents=True, exist_ok=True)
    values = deployment.LOCAL_PARAMETERS | dict(parameters or {})
    run_id = uuid.uuid4().hex
    with ExitStack() as cleanup:
        with step("emulator") as done:
            machine = cleanup.enter_context(
                emulator.running_emulator(
                    home,
                    port or emulator.free_port(),
                    run_id=run_id,
                    origins=values["AllowedOrigins"],
                    bridge=bridge,
                    demo={
                        "names": [*demo_players],
                        "operators": [OPERATOR],
                        "password": PASSWORD,
                    },
                )
            )
            done.note = f"MiniStack {emulator.version()}"
        with step("build") as done:
            template, built = deployment.build()
            done.note = count_built(template) + ("" if built else ", reused")
        with step("deploy") as done:
            resources = deployment.deploy(template, machine.endpoint, values)
            done.note = f"{resources} resources"
        with step("routes") as done:
            api_id, routes, open_ones = import_routes(machine.endpoint)
            done.note = f"{routes}, JWT on all but {open_ones}"
        stack = Stack(read_outputs(machine.endpoint, api_id, run_id))
        stack.ses.create_email_identity(EmailIdentity=deployment.SENDER)
        yield stack


def count_built(template: Path) -> str:
    """How many functions and layers a built template has, in words."""
    text = template.read_text("utf-8")
    functions, layers = (
        len(re.findall(f'Type"?: "?AWS::Serverless::{kind}', text))
        for kind in ("Function", "LayerVersion")
    )
    return f"{functions} functions, {layers} layer{'s' if layers != 1 else ''}"


def read_outputs(endpoint: str, api_id: str, run_id: str) -> Outputs:
    """The stack's outputs, with the API's address in the form that works from this machine."""
    cloudformation = deployment.session().client("cloudformation", endpoint_url=endpoint)
    stack = cloudformation.describe_stacks(StackName=deployment.STACK)["Stacks"][0]
    outputs: dict[str, Any] = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
    outputs["ApiUrl"] = f"{endpoint}/_aws/execute-api/{api_id}/$default"
    return Outputs(**outputs, Endpoint=endpoint, Region=emulator.REGION, RunId=run_id)
