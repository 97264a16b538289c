"""A restored copy of the played table holds every invariant, and damage to it is found."""

import pytest

from heist_core.storage import keys
from heist_core.storage.audit import audit_table
from heist_core.storage.table import Table
from heist_core.storage.wire import to_wire
from ops.drill import drill, restore
from ops.output import Output
from tests.e2e.world import World

OUT = Output(as_json=False)


def test_a_restored_copy_has_no_violation_and_is_deleted(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    robber = world.robber()
    robber.rob(world.victim())
    robber.inbox(2)
    client = world.client("dynamodb")

    assert drill(client, world.table.name, OUT, keep=False) == 0

    assert "0 violations" in capsys.readouterr().out
    assert not [name for name in client.list_tables()["TableNames"] if "-drill-" in name]


def test_a_stolen_point_is_found_in_the_copy(world: World) -> None:
    client = world.client("dynamodb")
    copy = Table(client, restore(client, world.table.name, OUT))
    victim = keys.player(world.victim(points=100))
    copy.put({"Item": to_wire(world.table.get(victim) or {})})

    _, violations = audit_table(copy, rounds=1)

    found = {(violation.subject, violation.invariant) for violation in violations}
    assert (f"player {keys.id_of(victim)}", "the ledger adds up to the points") in found
    client.delete_table(TableName=copy.name)
