"""Requests that only an operator sends. No function's role permits the changes that they make."""

from heist_core.domain.action import Action
from heist_core.domain.times import to_iso

from . import keys
from .items import Item
from .transactions import Step, put_new


def action_item(action: Action) -> Item:
    return {
        **keys.action(action.at, action.id),
        "id": action.id,
        "at": to_iso(action.at),
        "who": action.who,
        "what": action.what,
        "subject": action.subject,
        "why": action.why,
        "before": dict(action.before),
        "after": dict(action.after),
    }


def record_action(table: str, action: Action) -> Step:
    """The log's entry, to go into the transaction of the change itself. Nothing ever updates it."""
    return Step("action", {"Put": put_new(table, action_item(action))})
