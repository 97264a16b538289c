"""Which deployment an operator's command works on: the embedded AWS of `make run`, or a stage on AWS."""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import boto3
import urllib3

LOCAL_OUTPUTS = Path(__file__).parent.parent / ".local" / "outputs.json"
STACK_PREFIX = "heist-core-"


class NoTargetError(Exception):
    """There is nothing to work on; the message says what to do."""


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


def add_stage_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--stage",
        default="",
        help="a deployed stage such as dev or prod; without it, the local stack of `make run`",
    )


def find_target(stage: str) -> Target:
    """The deployment of a stage, or the running local one. Raises NoTargetError."""
    return _deployed(stage) if stage and stage != "local" else _local()


def _local() -> Target:
    try:
        outputs = json.loads(LOCAL_OUTPUTS.read_text("utf-8"))
        ready = f"{outputs['Endpoint']}/_ministack/ready"
        urllib3.request("GET", ready, timeout=5, retries=False)
    except (FileNotFoundError, urllib3.exceptions.HTTPError):
        raise NoTargetError(
            "No local stack is running: start it with `make run`, or name a deployed one: STAGE=dev."
        ) from None
    session = boto3.Session(
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 - the embedded AWS's root, on this machine only
        region_name=outputs["Region"],
    )
    return Target("local", outputs, session, outputs["Endpoint"])


def _deployed(stage: str) -> Target:
    session = boto3.Session()
    stack = STACK_PREFIX + stage
    client = session.client("cloudformation")
    try:
        [described] = client.describe_stacks(StackName=stack)["Stacks"]
    except client.exceptions.ClientError as error:
        raise NoTargetError(
            f"Cannot read the stack {stack} in {session.region_name}: {error}"
        ) from error
    outputs = {
        output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])
    }
    return Target(stage, outputs, session, None)
