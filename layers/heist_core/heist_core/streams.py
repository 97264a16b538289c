"""Turns records of the table's stream into calls; a bad record stops no other player's."""

import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, TypedDict

from . import telemetry
from .domain.errors import Malformed
from .domain.facts import Event, Fact
from .domain.heist import RefusedHeist
from .storage import items

if TYPE_CHECKING:
    from concurrent.futures import Executor

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
    executor: "Executor",
) -> BatchAnswer:
    """Call `act` for the event of every record; an award that is held is none yet.

    Records that name a player in common are done one after another as they came, others at the same
    time on `executor`, which must not be one that `act` waits for.
    What cannot be read is parked at once, whole and with the reason. What fails otherwise is
    reported together with what had to come after it: Lambda delivers all that again.
    """

    def done(record: object, reading: Event | Exception) -> telemetry.Fields | None:
        """What was done about a record; None: it failed."""
        about: telemetry.Fields = {}
        did: telemetry.Fields = {}
        try:
            try:
                if isinstance(reading, Exception):
                    raise reading
                subject = items.subject_key(reading)["pk"]
                about = telemetry.about(subject, reading.correlation_id)
                act(reading, did)
                telemetry.record(consumer, {**about, **did})
            except Malformed as malformed:
                _park(record, consumer, malformed, store, dead_letters)
                return {"parked": 1}
        except Exception:  # noqa: BLE001 - reported to Lambda, which delivers it again
            telemetry.logger().exception("record failed", extra={"function": consumer, **about})
            return None
        return did

    def in_order(chain: Sequence[int]) -> list[telemetry.Fields]:
        all_done: list[telemetry.Fields] = []
        for position in chain:
            did = done(*work[position])
            if did is None:
                break
            all_done.append(did)
        return all_done

    with telemetry.invocation("batch", consumer) as fields:
        records = _records(event)
        readings = [(record, _read(record)) for record in records]
        work = [(record, reading) for record, reading in readings if reading is not None]
        chains = chains_of([_players(reading) for _, reading in work])
        undone: list[int] = []
        fields.update(records=len(records), parked=0)
        for chain, all_done in zip(chains, executor.map(in_order, chains), strict=True):
            undone += chain[len(all_done) :]
            for did in all_done:
                for name, number in did.items():
                    telemetry.add(fields, name, int(number))
        fields["failed"] = len(undone)
        parked = int(fields["parked"])
        telemetry.count("RecordsParked", parked)
        telemetry.count("RecordsFailed", len(undone))
    failed = (work[position][0] for position in sorted(undone))
    return {
        "batchItemFailures": [{"itemIdentifier": _sequence_number(record)} for record in failed],
        "parked": parked,
    }


def chains_of(players: Sequence[Collection[str]]) -> list[list[int]]:
    """Positions that must not overtake one another, each chain in order.

    `players` are those that each position names. Two that have one in common are in one chain, also
    through others.
    """
    chain_of: dict[str, list[int]] = {}
    chains: list[list[int]] = []
    for position, names in enumerate(players):
        joined = [chain for chain in chains if any(chain_of.get(name) is chain for name in names)]
        chains = [chain for chain in chains if chain not in joined]
        chains.append(sorted([position, *itertools.chain.from_iterable(joined)]))
        for member in chains[-1]:
            chain_of.update(dict.fromkeys(players[member], chains[-1]))
    return chains


def handle_batch(
    event: Mapping[str, object],
    consumer: str,
    act: Callable[[Sequence[Fact], telemetry.Fields], Sequence[telemetry.Fields]],
    store: "Store",
    dead_letters: "DeadLetters",
) -> BatchAnswer:
    """Call `act` once, with the facts of all records that can be read; the others are parked.

    It returns what it did about each. If `act` fails, or a record cannot be parked, all are
    delivered again.
    """
    with telemetry.invocation("batch", consumer) as fields:
        records = _records(event)
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


def _records(event: Mapping[str, object]) -> list[object]:
    records = event.get("Records")
    return records if isinstance(records, list) else []


def _read(record: object) -> Event | Exception | None:
    """The event of a record, or why it cannot be read; None: an award that is held."""
    try:
        image = _image(record, "NewImage")
        return None if items.is_held(image) else items.event_from(image)
    except Exception as error:  # noqa: BLE001 - raised when its turn comes
        return error


def _players(reading: Event | Exception) -> Collection[str]:
    return () if isinstance(reading, Exception) else reading.parties


def _park(
    record: object,
    consumer: str,
    malformed: Malformed,
    store: "Store",
    dead_letters: "DeadLetters",
) -> None:
    """Park a record that cannot be read, whole and with the reason, away from the sweeper."""
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
