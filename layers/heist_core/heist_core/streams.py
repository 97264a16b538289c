"""Turns records of the table's stream into calls; a bad record delays no other player's."""

import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypedDict

from . import telemetry
from .domain.errors import Malformed, Unavailable
from .domain.facts import Event, Fact, Uneventful
from .domain.notices import InboxItem
from .storage import inbox_items, items, wire
from .storage.keys import Kind, kind_of

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from .messaging.dead_letters import DeadLetters
    from .storage.keys import Key
    from .storage.store import Store

Record = Mapping[str, object]


class ItemFailure(TypedDict):
    itemIdentifier: str


class BatchAnswer(TypedDict):
    """Lambda's partial batch response; `parked` is for the operator's redrive."""

    batchItemFailures: list[ItemFailure]
    parked: int


@dataclass(frozen=True)
class Consumer:
    """A function that reads the stream, and where those of its records go that cannot be read."""

    name: str
    store: "Store"
    dead_letters: "DeadLetters"

    def park(self, record: object, malformed: Malformed) -> None:
        """Park a record with the reason, away from the sweeper."""
        self.keep(record, str(malformed))
        key = _key_in(record)
        if key is not None and kind_of(key) is not Kind.INBOX:
            self.store.set_aside(key)

    def keep(self, record: object, reason: str) -> None:
        """Keep a record as a dead letter: whole, or if it is too large for the queue, by the key of
        the item that it is."""
        about = {"kind": "record", "consumer": self.name, "reason": reason}
        self.dead_letters.put(
            {**about, "record": record},
            {**about, "key": _key_in(record), "cut": "The whole is the table's item with this key"},
        )


class Reading(NamedTuple):
    """A record, and its event or why it cannot be read."""

    record: object
    event: Event | Exception

    @property
    def players(self) -> Collection[str]:
        return () if isinstance(self.event, Exception) else self.event.parties

    @property
    def about(self) -> telemetry.Fields:
        return {} if isinstance(self.event, Exception) else _about(self.event)


Act = Callable[[Event, telemetry.Fields], None]


def handle_records(
    event: Mapping[str, object], consumer: Consumer, act: Act, executor: "Executor"
) -> BatchAnswer:
    """Call `act` for the event of every record; an award that is held is none yet.

    Records that name a player in common are done one after another as they came, others at the same
    time on `executor`, which must not be one that `act` waits for.
    What cannot be read is parked at once, whole and with the reason. What fails otherwise is
    reported together with what had to come after it: Lambda delivers all that again.
    """
    with telemetry.invocation("batch", consumer.name) as fields:
        records = _records(event)
        readings = _read(records)
        chains = chains_of([reading.players for reading in readings])
        work = [[readings[position] for position in chain] for chain in chains]
        done = list(executor.map(partial(_run, consumer, act), work))
        undone = [chain[len(did) :] for chain, did in zip(chains, done, strict=True)]
        failed = sorted(itertools.chain.from_iterable(undone))
        fields.update(records=len(records), parked=0)
        # Lambda goes on from the first that failed.
        again = len(readings) - failed[0] if failed else 0
        _report(fields, itertools.chain.from_iterable(done), len(failed), again)
    return {
        "batchItemFailures": [
            {"itemIdentifier": _sequence_number(readings[position].record)} for position in failed
        ],
        "parked": int(fields["parked"]),
    }


def _read(records: Sequence[object]) -> list[Reading]:
    """All but the awards that are held."""
    readings: list[Reading] = []
    for record in records:
        try:
            image = _image(record, "NewImage")
            if not items.is_held(image):
                readings.append(Reading(record, items.event_from(image)))
        except Exception as error:  # noqa: BLE001 - raised when its turn comes
            readings.append(Reading(record, error))
    return readings


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


def _run(consumer: Consumer, act: Act, chain: Sequence[Reading]) -> list[telemetry.Fields]:
    """What was done about each record of a chain, up to the first that failed."""
    done: list[telemetry.Fields] = []
    for reading in chain:
        try:
            done.append(_do(consumer, act, reading))
        except Exception:  # noqa: BLE001 - reported to Lambda, which delivers it again
            extra = {"function": consumer.name, **reading.about}
            telemetry.logger().exception("record failed", extra=extra)
            break
    return done


def _do(consumer: Consumer, act: Act, reading: Reading) -> telemetry.Fields:
    did: telemetry.Fields = {}
    try:
        if isinstance(reading.event, Exception):
            raise reading.event
        act(reading.event, did)
        telemetry.record(consumer.name, {**reading.about, **did})
    except Malformed as malformed:
        consumer.park(reading.record, malformed)
        return {"parked": 1}
    return did


def _report(
    fields: telemetry.Fields, done: Iterable[telemetry.Fields], failed: int, again: int
) -> None:
    """Sums of what was done, in the invocation's line and as metrics; of words, the last."""
    for did in done:
        for name, value in did.items():
            if isinstance(value, int):
                telemetry.add(fields, name, value)
            else:
                fields[name] = value
    fields["failed"] = failed
    telemetry.count("RecordsParked", int(fields["parked"]))
    telemetry.count("RecordsRedelivered", again)


def handle_batch(
    event: Mapping[str, object],
    consumer: Consumer,
    act: Callable[[Sequence[Fact], telemetry.Fields], Sequence[telemetry.Fields]],
    tell: Callable[[Sequence[InboxItem]], None],
) -> BatchAnswer:
    """Call `act` once, with the facts of all records that can be read; the others are parked.

    It returns what it did about each. If `act` fails, or a record cannot be parked, all are
    delivered again. `tell` is called for the items that came into inboxes; on those there is no
    marker, so what it cannot tell is kept as dead letters.
    """
    with telemetry.invocation("batch", consumer.name) as fields, _counted_if_it_fails(event):
        records = _records(event)
        facts: list[Fact] = []
        arrived: list[tuple[object, InboxItem]] = []
        unreadable: list[tuple[object, Malformed]] = []
        for record in records:
            try:
                image = _image(record, "NewImage")
                if kind_of(image) is Kind.INBOX:
                    arrived.append((record, inbox_items.inbox_item_from(image)))
                elif not items.is_held(image):
                    facts.append(items.fact_from(image))
            except Malformed as malformed:
                unreadable.append((record, malformed))
        for fact, did in zip(facts, act(facts, fields), strict=True):
            if not isinstance(fact, Uneventful):
                telemetry.record(consumer.name, {**_about(fact), **did})
        for record, reason in unreadable:
            consumer.park(record, reason)
        parked = len(unreadable) + _told(consumer, arrived, tell)
        fields.update(records=len(records), parked=parked)
        telemetry.count("RecordsParked", parked)
    return {"batchItemFailures": [], "parked": parked}


def _told(
    consumer: Consumer,
    arrived: Sequence[tuple[object, InboxItem]],
    tell: Callable[[Sequence[InboxItem]], None],
) -> int:
    """How many failures could not be reported, and were kept."""
    try:
        tell([item for _, item in arrived])
    except Unavailable:
        for record, _ in arrived:
            consumer.keep(record, "the bus did not take it")
        return len(arrived)
    return 0


@contextmanager
def _counted_if_it_fails(event: Mapping[str, object]) -> Iterator[None]:
    try:
        yield
    except Exception:
        telemetry.count("RecordsRedelivered", len(_records(event)))
        raise


# Records


def _about(event: Event) -> telemetry.Fields:
    return telemetry.about(items.subject_key(event)["pk"], event.correlation_id)


def _records(event: Mapping[str, object]) -> list[object]:
    records = event.get("Records")
    return records if isinstance(records, list) else []


def _stream_part(record: object) -> Record:
    part = record.get("dynamodb") if isinstance(record, Mapping) else None
    if not isinstance(part, Mapping):
        raise Malformed("the record has no dynamodb part")
    return part


def _image(record: object, name: str) -> dict[str, object]:
    image = _stream_part(record).get(name)
    if not isinstance(image, Mapping):
        raise Malformed(f"the record has no {name}")
    return wire.from_wire(image)


def _key_in(record: object) -> "Key | None":
    try:
        key = _image(record, "Keys")
    except Malformed:
        return None
    pk, sk = key.get("pk"), key.get("sk")
    return {"pk": pk, "sk": sk} if isinstance(pk, str) and isinstance(sk, str) else None


def _sequence_number(record: object) -> str:
    return str(_stream_part(record).get("SequenceNumber", ""))
