"""Turns records of the table's stream into calls, one by one: a bad record stops no other."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypedDict

from . import telemetry
from .domain.errors import Malformed
from .domain.heist import RefusedHeist
from .domain.inbox import Event, Fact
from .storage import items

if TYPE_CHECKING:
    from .messaging.dead_letters import DeadLetters
    from .storage.store import Store

Record = Mapping[str, object]


class ItemFailure(TypedDict):
    itemIdentifier: str


class BatchAnswer(TypedDict):
    """Lambda's partial batch response; `parked` is for the operator's redrive."""

    batchItemFailures: list[ItemFailure]
    parked: int


def handle_records(
    event: Mapping[str, object],
    consumer: str,
    act: Callable[[Event, telemetry.Fields], None],
    store: "Store",
    dead_letters: "DeadLetters",
) -> BatchAnswer:
    """Call `act` for the event of every record; an award that is held is none yet.

    What cannot be read is parked at once, whole and with the reason. What fails otherwise is
    reported, and Lambda delivers it and what follows it again.
    """
    failures: list[ItemFailure] = []
    parked = 0
    with telemetry.invocation("batch", consumer) as fields:
        records = event.get("Records")
        for record in records if isinstance(records, list) else []:
            about: telemetry.Fields = {}
            try:
                try:
                    image = _image(record, "NewImage")
                    if items.is_held(image):
                        continue
                    event_out = items.owed_event_from(image)
                    subject = items.subject_key(event_out)["pk"]
                    about = telemetry.about(subject, event_out.correlation_id)
                    did: telemetry.Fields = {}
                    act(event_out, did)
                    telemetry.record(consumer, {**about, **did})
                    for name, number in did.items():
                        telemetry.add(fields, name, int(number))
                except Malformed as malformed:
                    _park(record, consumer, malformed, store, dead_letters)
                    parked += 1
            except Exception:  # noqa: BLE001 - reported to Lambda, which delivers it again
                telemetry.logger().exception("record failed", extra={"function": consumer, **about})
                failures.append({"itemIdentifier": _sequence_number(record)})
        fields.update(records=len(records) if isinstance(records, list) else 0)
        fields.update(failed=len(failures), parked=parked)
        telemetry.count("RecordsParked", parked)
        telemetry.count("RecordsFailed", len(failures))
    return {"batchItemFailures": failures, "parked": parked}


def handle_batch(
    event: Mapping[str, object],
    consumer: str,
    act: Callable[[Sequence[Fact], telemetry.Fields], Sequence[telemetry.Fields]],
    store: "Store",
    dead_letters: "DeadLetters",
) -> BatchAnswer:
    """Call `act` once, with the facts of all records that can be read; the others are parked.

    It returns what it did about each. If `act` fails, or a record cannot be parked, all are delivered again.
    """
    with telemetry.invocation("batch", consumer) as fields:
        records = event.get("Records")
        records = records if isinstance(records, list) else []
        facts: list[Fact] = []
        unreadable: list[tuple[object, Malformed]] = []
        for record in records:
            try:
                image = _image(record, "NewImage")
                if not items.is_held(image):
                    facts.append(items.fact_from(image))
            except Malformed as malformed:
                unreadable.append((record, malformed))
        for fact, did in zip(facts, act(facts, fields), strict=True):
            if not isinstance(fact, RefusedHeist):
                about = telemetry.about(items.subject_key(fact)["pk"], fact.correlation_id)
                telemetry.record(consumer, {**about, **did})
        for record, reason in unreadable:
            _park(record, consumer, reason, store, dead_letters)
        fields.update(records=len(records), parked=len(unreadable))
        telemetry.count("RecordsParked", len(unreadable))
    return {"batchItemFailures": [], "parked": len(unreadable)}


def _park(
    record: object,
    consumer: str,
    malformed: Malformed,
    store: "Store",
    dead_letters: "DeadLetters",
) -> None:
    """Keep a record that cannot be read, whole and with the reason, out of the sweeper's way."""
    dead_letters.put(
        {"kind": "record", "consumer": consumer, "record": record, "reason": str(malformed)}
    )
    _set_aside(record, store)


def _stream_part(record: object) -> Record:
    part = record.get("dynamodb") if isinstance(record, Mapping) else None
    if not isinstance(part, Mapping):
        raise Malformed("the record has no dynamodb part")
    return part


def _image(record: object, name: str) -> dict[str, object]:
    image = _stream_part(record).get(name)
    if not isinstance(image, Mapping):
        raise Malformed(f"the record has no {name}")
    return items.from_wire(image)


def _set_aside(record: object, store: "Store") -> None:
    try:
        key = _image(record, "Keys")
    except Malformed:
        return
    if isinstance(key.get("pk"), str) and isinstance(key.get("sk"), str):
        store.set_aside({"pk": str(key["pk"]), "sk": str(key["sk"])})


def _sequence_number(record: object) -> str:
    return str(_stream_part(record).get("SequenceNumber", ""))
