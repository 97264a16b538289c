"""Delete dead letters, which ends their alarm.

For events that were rightly refused, once their sender knows. Before a dead
letter is deleted, an entry in the log of operator actions records the player,
the event and the cause.
"""

import argparse
from collections.abc import Sequence

from heist_core.domain.action import Action
from heist_core.domain.player import canonical_player_id
from heist_core.messaging.dead_letter_queues import DeadLetter, DeadLetterQueues
from heist_core.storage.operator import record_action
from ops.command import add_change_arguments, agreed, reason_of
from ops.dead_letters import add_selection, queues_of, selected, show, show_causes
from ops.output import Output
from ops.target import OperatorError, Target

ENTRIES_AT_ONCE = 25


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_selection(parser)
    add_change_arguments(parser)


def run(target: Target, options: argparse.Namespace, out: Output) -> int:
    reason = reason_of(options)
    if not options.letters and options.cause is None:
        raise OperatorError("Name the dead letters: their ids, or a --cause ('' is any)")
    queues = queues_of(target)
    with queues.received() as found:
        chosen = selected(found, options)
        show(chosen, target.now(), out)
        out.line()
        show_causes(chosen, out)
        applied = bool(chosen) and agreed(options, out)
        if applied:
            _discard(target, queues, chosen, reason)
    if applied:
        out.line(f"{len(chosen)} discarded")
    out.document(
        {"applied": applied, "letters": [letter.document(target.now()) for letter in chosen]}
    )
    return 0


def _discard(
    target: Target, queues: DeadLetterQueues, chosen: Sequence[DeadLetter], reason: str
) -> None:
    for start in range(0, len(chosen), ENTRIES_AT_ONCE):
        some = chosen[start : start + ENTRIES_AT_ONCE]
        entries = [_action(target, letter, reason) for letter in some]
        target.table.transact([record_action(entry) for entry in entries])
        for letter in some:
            queues.delete(letter)


def _action(target: Target, letter: DeadLetter, reason: str) -> Action:
    """Without the sender's text: the log is permanent, and holds no names or addresses."""
    facts = {"letter": letter.id, "kind": letter.kind, "cause": letter.cause}
    facts |= {"event": str(letter.event["id"])} if "id" in letter.event else {}
    try:
        subject = f"player {canonical_player_id(letter.player)}"
    except ValueError:
        subject = f"letter {letter.id}"
    return target.action("discard", subject, reason, before=facts, after={})
