"""Turns events of the bus into calls. An event of a wrong shape is refused at once, for good."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal, TypedDict, TypeVar

from pydantic import BaseModel

from . import telemetry
from .contracts import parse
from .domain.errors import InvalidInput
from .event_contracts import Envelope

if TYPE_CHECKING:
    from .messaging.dead_letters import DeadLetters

M = TypeVar("M", bound=BaseModel)


class EventAnswer(TypedDict):
    """`ok` or `refused`; for the operator's redrive, the bus does not look at it."""

    status: Literal["ok", "refused"]


def handle_event(
    event: Mapping[str, object],
    function: str,
    model: type[M],
    act: Callable[[M, Envelope], Mapping[str, str | int]],
    dead_letters: "DeadLetters",
) -> EventAnswer:
    """Call `act` with the event's detail and envelope; it returns what is worth logging.

    An event of the wrong shape goes to the dead-letter queue as `{event, reason}`. Any other
    error passes through: Lambda repeats the call, and then keeps the event itself.
    """
    with telemetry.invocation("event", function, event.get("id")) as fields:
        try:
            envelope = parse(Envelope, event)
            detail = parse(model, event.get("detail"))
        except InvalidInput as error:
            dead_letters.put({"event": event, "reason": str(error)})
            fields["status"] = "refused"
            telemetry.count("EventsRefused")
            return {"status": "refused"}
        fields["status"] = "ok"
        fields.update(act(detail, envelope))
        return {"status": "ok"}
