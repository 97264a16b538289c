"""Begin a stack with a restored table, or one that was left.

Imports the table, and with --user-pool the players' accounts, into a new stack
of the stage. `make deploy` then makes the rest around them, and gives the table
what a restored one lacks: stream, expiry, backups, protection, tags.
"""

import argparse
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, WaiterError

from ops.command import add_change_arguments, agreed
from ops.output import Output
from ops.target import STACK_PREFIX, OperatorError, Target
from ops.template import load

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import ResourceToImportTypeDef
    from mypy_boto3_dynamodb import DynamoDBClient

CHANGE_SET = "adopt"
FIXED = ("KeySchema", "LocalSecondaryIndexes", "GlobalSecondaryIndexes")
"""What must be as the template has it: most of it can never be changed."""


def import_template(client: "DynamoDBClient", table: str, *, pool: bool) -> dict[str, Any]:
    """The part of the template that is imported, with what the table has and no more: whatever is
    missing then differs from the whole template, and the first deployment puts it there.

    Raises OperatorError for a table that is not one of this template's.
    """
    try:
        described = client.describe_table(TableName=table)["Table"]
    except client.exceptions.ResourceNotFoundException:
        raise OperatorError(f"There is no table {table} in {client.meta.region_name}.") from None
    if described["TableStatus"] != "ACTIVE":
        raise OperatorError(f"{table} is {described['TableStatus']}: try again when it is ACTIVE.")
    template = load()
    resources = {"Table": template["Resources"]["Table"]}
    if pool:
        resources["UserPool"] = template["Resources"]["UserPool"]
    properties = resources["Table"]["Properties"]
    for name in FIXED:
        if name == "GlobalSecondaryIndexes":
            _leave_out_later_indexes(properties, described)
        if _schema(properties[name]) != _schema(described.get(name, [])):
            raise OperatorError(f"{table} has another {name} than the template: it is not a copy.")
    expiry = client.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    backups = client.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    recovery = backups.get("PointInTimeRecoveryDescription", {})
    there = {
        "StreamSpecification": described.get("StreamSpecification", {}).get("StreamEnabled", False),
        "TimeToLiveSpecification": expiry["TimeToLiveStatus"] in ("ENABLED", "ENABLING"),
        "PointInTimeRecoverySpecification": recovery.get("PointInTimeRecoveryStatus") == "ENABLED",
        "DeletionProtectionEnabled": described.get("DeletionProtectionEnabled", False),
        "SSESpecification": "SSEDescription" in described,
    }
    resources["Table"]["Properties"] = {
        name: value for name, value in properties.items() if there.get(name, True)
    }
    kept = ("AWSTemplateFormatVersion", "Description", "Parameters", "Conditions")
    return {**{name: template[name] for name in kept}, "Resources": resources}


def _leave_out_later_indexes(properties: dict[str, Any], described: Mapping[str, Any]) -> None:
    """A copy of an older table lacks what came since; the deployment makes it, if it is one."""
    there = {each["IndexName"] for each in described.get("GlobalSecondaryIndexes", [])}
    wanted = {each["IndexName"]: each for each in properties["GlobalSecondaryIndexes"]}
    later = sorted(wanted.keys() - there)
    if len(later) > 1:
        raise OperatorError(
            f"The table lacks the indexes {', '.join(later)}, and DynamoDB makes one a deployment: "
            "make all but one of them before, with aws dynamodb update-table."
        )
    properties["GlobalSecondaryIndexes"] = [
        each for name, each in wanted.items() if name not in later
    ]
    defined = {each["AttributeName"] for each in described["AttributeDefinitions"]}
    properties["AttributeDefinitions"] = [
        each for each in properties["AttributeDefinitions"] if each["AttributeName"] in defined
    ]


def _schema(node: Any) -> Any:
    """Keys and indexes without what DynamoDB adds to a description, in no order of indexes."""
    if isinstance(node, list) and node and "IndexName" in node[0]:
        return {
            one["IndexName"]: (_schema(one["KeySchema"]), one["Projection"]["ProjectionType"])
            for one in node
        }
    return [(one["AttributeName"], one["KeyType"]) for one in node]


def adopt(
    client: "CloudFormationClient", stage: str, template: Mapping[str, Any], **physical: str
) -> None:
    """Makes the stage's stack of what is there. Raises OperatorError if AWS does not."""
    stack = STACK_PREFIX + stage
    imported: list[ResourceToImportTypeDef] = [
        {
            "ResourceType": template["Resources"][logical]["Type"],
            "LogicalResourceId": logical,
            "ResourceIdentifier": {"TableName" if logical == "Table" else "UserPoolId": name},
        }
        for logical, name in physical.items()
    ]
    client.create_change_set(
        StackName=stack,
        ChangeSetName=CHANGE_SET,
        ChangeSetType="IMPORT",
        TemplateBody=json.dumps(template),
        Parameters=[{"ParameterKey": "Stage", "ParameterValue": stage}],
        ResourcesToImport=imported,
    )
    try:
        client.get_waiter("change_set_create_complete").wait(
            StackName=stack, ChangeSetName=CHANGE_SET
        )
        client.execute_change_set(StackName=stack, ChangeSetName=CHANGE_SET)
        client.get_waiter("stack_import_complete").wait(StackName=stack)
    except WaiterError as error:
        answer: Any = error.last_response
        found = answer.get("StatusReason") or answer["Stacks"][0].get("StackStatusReason")
        raise OperatorError(f"CloudFormation did not import it: {found}") from error


def status(client: "CloudFormationClient", stage: str) -> str | None:
    """What state the stage's stack is in; None if there is none."""
    try:
        (found,) = client.describe_stacks(StackName=STACK_PREFIX + stage)["Stacks"]
    except ClientError as error:
        if "does not exist" not in str(error):
            raise
        return None
    return found["StackStatus"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", metavar="TABLE", help="the table's name")
    parser.add_argument("--user-pool", default="", metavar="ID", help="the user pool's id")
    add_change_arguments(parser, reason=False)


def run(target: Target, options: argparse.Namespace, out: Output) -> int:
    stack = STACK_PREFIX + target.stage
    found = status(target.cloudformation, target.stage)
    if found not in (None, "REVIEW_IN_PROGRESS"):
        raise OperatorError(
            f"{stack} is there already ({found}). Name another stage: two stacks may stand beside "
            "each other, and the old one loses nothing."
        )
    template = import_template(target.dynamodb, options.table, pool=bool(options.user_pool))
    physical = {"Table": options.table}
    if options.user_pool:
        physical["UserPool"] = options.user_pool
    for logical, name in physical.items():
        out.line(f"{stack} would begin with {name} as its {logical}.")
    done = agreed(options, out)
    if done:
        adopt(target.cloudformation, target.stage, template, **physical)
        out.line(f"It has. Now make the rest around it: make deploy STAGE={target.stage}")
    out.document({"stack": stack, "adopted": done, **physical})
    return 0
