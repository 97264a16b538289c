"""Turns events of the bus into calls; an invalid event goes to the dead-letter queue at once."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Literal, TypedDict, TypeVar

from . import telemetry
from .contracts import parse
from .domain.errors import InvalidInput
from .event_contracts import Detail, Envelope

if TYPE_CHECKING:
    from .messaging.dead_letters import DeadLetters

M = TypeVar("M", bound=Detail)

_ENVELOPE = ("id", "source", "detail-type", "time")
_SHORT_MEMBER = 1000


class EventAnswer(TypedDict):
    """`ok` or `refused`; for the operator's redrive, the bus does not look at it."""

    status: Literal["ok", "refused"]


def handle_event(
    event: Mapping[str, object],
    function: str,
    model: type[M],
    act: Callable[[M, Envelope], Mapping[str, str | int]],
    dead_letters: "DeadLetters",
    now: datetime,
) -> EventAnswer:
    """Call `act` with the event's detail and envelope; it returns what is worth logging.

    What they or `act` raise InvalidInput for goes to the dead-letter queue as `{event, reason}`.
    Any other error passes through: Lambda repeats the call, and then keeps the event itself.
    """
    with telemetry.invocation("event", function, event.get("id")) as fields:
        try:
            envelope = parse(Envelope, event)
            envelope.check(model, now)
            did = act(parse(model, event.get("detail")), envelope)
        except InvalidInput as error:
            reason = str(error)
            dead_letters.put({"event": event, "reason": reason}, _short(event, model, reason))
            fields["status"] = "refused"
            telemetry.count("EventsRefused")
            return {"status": "refused"}
        fields["status"] = "ok"
        fields.update(did)
        return {"status": "ok"}


def _short(event: Mapping[str, object], model: type[Detail], reason: str) -> Mapping[str, object]:
    """The dead letter of an event too large for a queue: whose it is, and where the whole is."""
    detail = event.get("detail")
    known = detail if isinstance(detail, dict) else {}
    kept = {
        name: known[name]
        for name in model.model_fields
        if name in known and len(str(known[name])) <= _SHORT_MEMBER
    }
    return {
        "event": {name: event.get(name) for name in _ENVELOPE} | {"detail": kept},
        "reason": reason,
        "cut": "The detail is too large for this queue; the sender has the whole, under the "
        "event's id",
    }
