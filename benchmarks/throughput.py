"""Budget 9: how fast an instance of the notifier is, as it is and with one record at a time.

The only figures here that are times: a ratio of two, on one machine, in one run.
"""

import json
from pathlib import Path
from typing import NamedTuple

from local.tools import ROOT

from . import canned, cases
from .artifact import Artifact
from .cases import Case
from .stub import Call, running_stub, sequential

RECORDS = 40
_BATCHES = 3  # after the first, which makes the clients
_DATABASE_SECONDS = 0.008
_MAIL_SECONDS = 0.05


class Throughput(NamedTuple):
    """Of one instance: heists a second in its best batch, and sequential calls in a batch."""

    records_per_second: float
    sequential: int


def measure(artifact: Artifact, scratch: Path) -> tuple[Throughput, Throughput]:
    """As it is, and one at a time."""
    event = scratch / "heists.json"
    event.write_text(_heists(), "utf-8")
    as_it_is = cases.function(artifact, "notify_players")
    one = Case("notify_one_at_a_time.handler", event, (cases.HERE / "stacks", *as_it_is.folders))
    return _throughput(Case(as_it_is.handler, event, as_it_is.folders)), _throughput(one)


def _throughput(case: Case) -> Throughput:
    with running_stub(canned.answer, _latency) as stub:
        case.run(1 + _BATCHES, stub.url)
        of_batches = [call for call in stub.calls if call.operation != "GetSecretValue"]
        calls = sorted(of_batches, key=lambda call: call.came)
    size = len(calls) // (1 + _BATCHES)
    batches = [calls[start : start + size] for start in range(size, len(calls), size)]
    return Throughput(
        records_per_second=RECORDS / min(map(_seconds, batches)),
        sequential=min(map(sequential, batches)),
    )


def _latency(operation: str) -> float:
    return _MAIL_SECONDS if operation.startswith("/v2/email") else _DATABASE_SECONDS


def _seconds(calls: list[Call]) -> float:
    return max(call.answered for call in calls) - calls[0].came


def _heists() -> str:
    """A batch of heists, each between two players of its own."""
    sample = json.loads((ROOT / "events" / "notify_players.json").read_text("utf-8"))
    text = json.dumps(sample["Records"][0])
    image = sample["Records"][0]["dynamodb"]["NewImage"]
    ids = [image[name]["S"] for name in ("heistId", "attackerId", "victimId")]
    records = []
    for number in range(RECORDS):
        record = text
        for known in ids:
            record = record.replace(known, f"{known[:-4]}{number:04x}")
        records.append(json.loads(record))
    return json.dumps({"Records": records})
