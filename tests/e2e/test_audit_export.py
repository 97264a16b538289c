"""The state machine of the audit as it was deployed, on the emulator's Step Functions and S3.

The emulator takes orders for exports and writes none: the tests do, in the form that AWS documents.
"""

import json
from typing import Any

from heist_core.storage import keys
from heist_core.storage.wire import Item
from tests.e2e.world import World, eventually
from tests.exports import export


def audited(world: World, exports: list[list[Item]]) -> Any:
    """How a run ends whose exports hold these items, and how many exports it asked for."""
    machine, bucket = world.resource("AuditMachine"), world.resource("AuditBucket")
    table, steps = world.client("dynamodb"), world.client("stepfunctions")

    def asked_for() -> set[str]:
        return {one["ExportArn"] for one in table.list_exports()["ExportSummaries"]}

    before = asked_for()
    run = steps.start_execution(stateMachineArn=machine)["executionArn"]
    for items in exports:
        (arn,) = eventually(lambda: asked_for() - before, bool)
        before.add(arn)
        export(world.client("s3"), items, arn=arn, bucket=bucket)

    def state() -> Any:
        return steps.describe_execution(executionArn=run)

    ended = eventually(state, lambda told: told["status"] != "RUNNING", within=120)
    assert ended["status"] == "SUCCEEDED", steps.get_execution_history(executionArn=run)["events"]
    return json.loads(ended["output"])["decided"]


def test_what_is_whole_is_settled_by_one_export(world: World) -> None:
    victim = world.victim(points=100)
    whole = [item for item in world.table.scan() if victim in str(item)]

    assert audited(world, [whole]) == {"settled": True, "items": len(whole), "violations": 0}


def test_what_two_exports_say_alike_is_told(world: World) -> None:
    robber, victim = world.robber(), world.victim()
    heist_id = robber.execute(victim).body["heistId"]
    lacking = [item for item in world.table.scan() if keys.key_of(item) != keys.heist(heist_id)]

    decided = audited(world, [lacking, lacking])

    assert decided["violations"] >= 1
    found = world.table.get(keys.AUDIT)
    assert found is not None
    violations: Any = found["violations"]
    told = {(one["subject"], one["invariant"]) for one in violations}
    assert (f"heist {heist_id}", "a ledger entry has its heist") in told
