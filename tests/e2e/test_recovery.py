"""A restored copy of the played table holds every invariant, and damage to it is found."""

import boto3
import pytest

from heist_core.storage.audit import audit_table
from heist_core.storage.table import Table
from ops.drill import drill, restore
from ops.output import Output
from tests.e2e.world import World

OUT = Output(as_json=False)


@pytest.fixture
def played(world: World) -> World:
    """A table with a heist in it, whatever other tests did."""
    robber, victim = world.robber(name="Robin"), world.victim(points=500, name="Marian")
    robber.rob(victim)
    robber.inbox(2)
    return world


def test_a_restored_copy_has_no_violation_and_is_deleted(
    played: World, capsys: pytest.CaptureFixture[str]
) -> None:
    client = played.client("dynamodb")

    assert drill(client, played.outputs["TableName"], OUT, keep=False) == 0

    assert "0 violations" in capsys.readouterr().out
    assert not [name for name in client.list_tables()["TableNames"] if "-drill-" in name]


def test_a_stolen_point_is_found_in_the_copy(played: World) -> None:
    client = boto3.client(
        "dynamodb",
        endpoint_url=played.outputs["Endpoint"],
        region_name=played.outputs["Region"],
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    copy = restore(client, played.outputs["TableName"], OUT)
    victim = played.victim(points=100)
    key = {"pk": {"S": f"PLAYER#{victim}"}, "sk": {"S": "STATE"}}
    state = client.get_item(TableName=played.outputs["TableName"], Key=key)["Item"]
    client.put_item(TableName=copy, Item=state)

    _, violations = audit_table(Table(client, copy), rounds=1)

    found = {(violation.subject, violation.invariant) for violation in violations}
    assert (f"player {victim}", "the ledger adds up to the points") in found
    client.delete_table(TableName=copy)
