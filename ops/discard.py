"""Discard dead letters for good, which ends their alarm.

For events that were rightly refused, once their sender knows. Before a letter
is deleted, an entry in the log of operator actions says whose it was, which
event, and why it was there.
"""

import argparse
from collections.abc import Sequence

from heist_core.domain.action import Action
from heist_core.domain.player import canonical_player_id
from heist_core.messaging.letters import Letter, Letters
from heist_core.storage.operator import record_action
from ops.command import add_change_arguments, agreed, reason_of
from ops.dead_letters import show, show_causes
from ops.letters import add_selection, letters_of, selected
from ops.output import Output
from ops.target import OperatorError, Target

ENTRIES_AT_ONCE = 25


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_selection(parser)
    add_change_arguments(parser)


def run(target: Target, options: argparse.Namespace, out: Output) -> int:
    reason = reason_of(options)
    if not options.letters and options.cause is None:
        raise OperatorError("Name the letters: their ids, or a --cause ('' is any)")
    letters = letters_of(target)
    with letters.taken() as found:
        chosen = selected(found, options)
        show(chosen, target.now(), out)
        out.line()
        show_causes(chosen, out)
        applied = bool(chosen) and agreed(options, out)
        if applied:
            _discard(target, letters, chosen, reason)
    if applied:
        out.line(f"{len(chosen)} discarded")
    out.document(
        {"applied": applied, "letters": [letter.document(target.now()) for letter in chosen]}
    )
    return 0


def _discard(target: Target, letters: Letters, chosen: Sequence[Letter], reason: str) -> None:
    for start in range(0, len(chosen), ENTRIES_AT_ONCE):
        some = chosen[start : start + ENTRIES_AT_ONCE]
        entries = [_action(target, letter, reason) for letter in some]
        target.table.transact([record_action(entry) for entry in entries])
        for letter in some:
            letters.delete(letter)


def _action(target: Target, letter: Letter, reason: str) -> Action:
    """Without what a sender wrote: the log is for good, and holds no name and no address."""
    facts = {"letter": letter.id, "kind": letter.kind, "cause": letter.cause}
    facts |= {"event": str(letter.event["id"])} if "id" in letter.event else {}
    try:
        subject = f"player {canonical_player_id(letter.player)}"
    except ValueError:
        subject = f"letter {letter.id}"
    return target.action("discard", subject, reason, before=facts, after={})
