"""The runbook's way out of a failed first deployment, and tables put into service: ./heist adopt.

On the embedded AWS as far as it goes: without the deployment of all the rest around them.
"""

import argparse
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import WaiterError

from ops import adopt
from ops.output import Output
from ops.target import OperatorError, Target
from ops.template import load
from tests.e2e.world import World, unique
from tests.template.processed import decided, expanded

OUT = Output(as_json=False)
KEPT = ("Table", "UserPool")
UNKNOWN_HERE = "NothingDeliveredAlarm"
"""A resource that the embedded AWS refuses to make."""


@pytest.fixture
def rehearsal(world: World) -> Iterator[Target]:
    """A stage without a stack."""
    session = boto3.Session("test", "test", region_name=world.outputs["Region"])
    target = Target(unique("again")[:20].rstrip("-"), {}, session, world.outputs["Endpoint"])
    yield target
    target.cloudformation.delete_stack(StackName=f"heist-core-{target.stage}")


@pytest.fixture
def left(rehearsal: Target) -> Iterator[dict[str, str]]:
    """What outlives the deletion of a stack: its table and its pool."""
    client, stack = rehearsal.cloudformation, f"heist-core-{rehearsal.stage}"
    client.create_stack(StackName=stack, TemplateBody=as_deployed(rehearsal.stage, *KEPT))
    client.get_waiter("stack_create_complete").wait(StackName=stack)
    made = physical(rehearsal)
    client.delete_stack(StackName=stack)
    client.get_waiter("stack_delete_complete").wait(StackName=stack)
    yield made
    rehearsal.dynamodb.update_table(TableName=made["Table"], DeletionProtectionEnabled=False)
    rehearsal.dynamodb.delete_table(TableName=made["Table"])


@pytest.fixture
def restored(left: dict[str, str], rehearsal: Target, world: World) -> str:
    """A copy of the played table, as point-in-time recovery makes it, under the name that the
    emulator takes for the generated one: it would replace a table of any other."""
    client, name = rehearsal.dynamodb, left["Table"]
    client.update_table(TableName=name, DeletionProtectionEnabled=False)
    client.delete_table(TableName=name)
    robber, victim = world.robber(name="Robin"), world.victim(points=500)
    robber.rob(victim)
    client.restore_table_to_point_in_time(
        SourceTableName=world.outputs["TableName"],
        TargetTableName=name,
        UseLatestRestorableTime=True,
    )
    client.get_waiter("table_exists").wait(TableName=name)
    return name


def physical(target: Target) -> dict[str, str]:
    """The stack's resources: logical id and physical."""
    stack = f"heist-core-{target.stage}"
    found = target.cloudformation.describe_stack_resources(StackName=stack)["StackResources"]
    return {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in found}


def options(table: str, pool: str = "") -> argparse.Namespace:
    return argparse.Namespace(table=table, user_pool=pool, apply=True, ask=False)


def as_deployed(stage: str, *names: str) -> str:
    """Some resources of the whole template, as the first deployment after it would have them."""
    template = expanded(load())
    values = {name: str(each["Default"]) for name, each in template["Parameters"].items()}
    whole = decided(template, {**values, "Stage": stage, "AWS::StackName": f"heist-core-{stage}"})
    return json.dumps({"Resources": {name: whole.resources[name] for name in names}})


def update(target: Target, body: str) -> None:
    stack = f"heist-core-{target.stage}"
    tags: Any = [{"Key": "application", "Value": "heist-core"}]
    target.cloudformation.update_stack(StackName=stack, TemplateBody=body, Tags=tags)
    target.cloudformation.get_waiter("stack_update_complete").wait(StackName=stack)


def test_a_restored_table_becomes_a_stacks_and_gains_what_it_lacks(
    rehearsal: Target, restored: str
) -> None:
    dynamodb = rehearsal.dynamodb
    items = dynamodb.scan(TableName=restored, Select="COUNT")["Count"]
    imported = adopt.import_template(dynamodb, restored, pool=False)["Resources"]["Table"]
    whole = json.loads(as_deployed(rehearsal.stage, "Table"))["Resources"]["Table"]
    lacking = whole["Properties"].keys() - imported["Properties"].keys()
    assert lacking >= {"StreamSpecification", "TimeToLiveSpecification"}

    assert adopt.run(rehearsal, options(restored), OUT) == 0
    update(rehearsal, as_deployed(rehearsal.stage, "Table"))

    table = dynamodb.describe_table(TableName=restored)["Table"]
    assert table["StreamSpecification"]["StreamEnabled"]
    assert table["DeletionProtectionEnabled"]
    assert dynamodb.scan(TableName=restored, Select="COUNT")["Count"] == items
    assert physical(rehearsal) == {"Table": restored}


def test_a_copy_from_before_an_index_is_taken_and_the_deployment_makes_the_index(
    rehearsal: Target, left: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def newer(more: int) -> None:
        template = load()
        table = template["Resources"]["Table"]["Properties"]
        for number in range(more):
            key = f"later{number}"
            table["AttributeDefinitions"].append({"AttributeName": key, "AttributeType": "S"})
            table["GlobalSecondaryIndexes"].append(
                {
                    "IndexName": key,
                    "KeySchema": [{"AttributeName": key, "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
            )
        monkeypatch.setattr(adopt, "load", lambda: template)

    newer(1)
    imported = adopt.import_template(rehearsal.dynamodb, left["Table"], pool=False)
    assert "later0" not in json.dumps(imported)
    newer(2)
    with pytest.raises(OperatorError, match="lacks the indexes later0, later1"):
        adopt.import_template(rehearsal.dynamodb, left["Table"], pool=False)


def test_players_keep_their_ids_in_a_pool_that_outlived_its_stack(
    rehearsal: Target, left: dict[str, str], world: World
) -> None:
    """A new pool would give everybody another `sub`: nobody would find their points."""
    cognito, pool = world.client("cognito-idp"), left["UserPool"]
    cognito.admin_create_user(UserPoolId=pool, Username="alice")
    before = cognito.admin_get_user(UserPoolId=pool, Username="alice")["UserAttributes"]

    assert adopt.run(rehearsal, options(left["Table"], pool), OUT) == 0
    update(rehearsal, as_deployed(rehearsal.stage, *KEPT))

    assert physical(rehearsal) == left
    after = cognito.admin_get_user(UserPoolId=pool, Username="alice")["UserAttributes"]
    assert after == before
    assert "sub" in {each["Name"] for each in after}


def test_a_stage_that_has_a_stack_and_a_table_of_another_kind_are_refused(
    target: Target, rehearsal: Target
) -> None:
    with pytest.raises(OperatorError, match="is there already"):
        adopt.run(target, options("any"), OUT)
    with pytest.raises(OperatorError, match="There is no table missing"):
        adopt.run(rehearsal, options("missing"), OUT)
    other = unique("other")
    rehearsal.dynamodb.create_table(
        TableName=other,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    with pytest.raises(OperatorError, match="another KeySchema"):
        adopt.run(rehearsal, options(other), OUT)
    rehearsal.dynamodb.delete_table(TableName=other)


def test_a_first_deployment_that_failed_is_deleted_and_tried_again(
    rehearsal: Target,
) -> None:
    """Table and pool are protected: their deletion would fail, and is not tried."""
    client, stack = rehearsal.cloudformation, f"heist-core-{rehearsal.stage}"
    template = json.loads(as_deployed(rehearsal.stage, *KEPT, UNKNOWN_HERE))
    template["Resources"][UNKNOWN_HERE]["DependsOn"] = KEPT
    failing = json.dumps(template)
    del template["Resources"][UNKNOWN_HERE]
    client.create_stack(StackName=stack, TemplateBody=failing)
    with pytest.raises(WaiterError):
        client.get_waiter("stack_create_complete").wait(StackName=stack)
    (failed,) = client.describe_stacks(StackName=stack)["Stacks"]
    assert failed["StackStatus"] == "ROLLBACK_COMPLETE"

    client.delete_stack(StackName=failed["StackId"])
    client.get_waiter("stack_delete_complete").wait(StackName=failed["StackId"])
    client.create_stack(StackName=stack, TemplateBody=json.dumps(template))
    client.get_waiter("stack_create_complete").wait(StackName=stack)
