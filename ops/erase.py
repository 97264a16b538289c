"""Erase what tells who a person is, for good.

First the player is frozen: from then on nobody robs, notifies or credits them,
and late events are ignored. When no function can still be at work
with what it read before, their name, address and network are taken out of every
record, their inbox is deleted, and a receipt goes into the log. Points, tokens
and ledger stay under the id: they are sums and histories of others, too. It may
be interrupted and run again; a second run finds nothing. It reads by key what
there is of the person, however large the table is, and says what that costs.
"""

import argparse
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta

from heist_core.storage import keys, operator
from heist_core.use_cases.retry import until_uncontended
from ops import people
from ops.capacity import Spent, spent_by
from ops.command import add_change_arguments, agreed, reason_of
from ops.lookup import player_id_of
from ops.output import Output
from ops.people import Item, part_of
from ops.target import OperatorError, Target

SETTLING = timedelta(seconds=90)
"""Longer than any function may run: one that read the player before the freeze has ended."""
_FREEZE_AND_RECEIPT = 8
"""Write units of two transactions, each of the player and an entry of the log."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    people.add_arguments(parser)
    parser.add_argument(
        "--unknown", action="store_true", help="also if nobody is known by this id yet"
    )
    add_change_arguments(parser)


def run(target: Target, options: argparse.Namespace, out: Output) -> int:
    with spent_by(target.dynamodb) as spent:
        return _erase(target, options, out, spent)


def _erase(target: Target, options: argparse.Namespace, out: Output, spent: Spent) -> int:
    player_id = player_id_of(target, options.player, out)
    reason = reason_of(options)
    if "@" in player_id:
        out.line("The id itself looks like an address, and it stays: see docs/operations.md.")
    about = [
        item
        for item in people.read(target, player_id, out, whole=options.whole)
        if part_of(item, player_id) or operator.forget(item, player_id)
    ]
    if not about and not options.unknown:
        raise OperatorError(
            f"Nobody is known by the id {player_id}, so there is nothing to erase. "
            "To have events of such a player ignored from now on: --unknown"
        )
    forgettings = _forgettings(about, player_id)
    found = Counter(one.kind for one in forgettings)
    _list(out, found)
    indexed = sum("unread" in item for item in about)
    cost = Spent(2 * spent.reads, _FREEZE_AND_RECEIPT + len(forgettings) + indexed)
    out.line(f"Costs about {cost}.")
    if not agreed(options, out):
        expected = {"found": dict(found), "cost": cost.document}
        out.document({"player": player_id, **expected, "done": False})
        return 0
    frozen_at = until_uncontended(lambda: _freeze(target, player_id, reason), target.clock)
    while (left := frozen_at + SETTLING - target.now()) > timedelta(0):
        out.progress(f"frozen; waiting {left.total_seconds():.0f} s for what is under way")
        target.clock.sleep(min(left.total_seconds(), 1.0))
    remaining = _forgettings(people.read(target, player_id, out, whole=options.whole), player_id)
    erased = Counter(one.kind for one in remaining if _forget(target, one, player_id))
    receipt = until_uncontended(lambda: _certify(target, player_id, reason, erased), target.clock)
    out.line(f"Erased. Receipt {receipt}: {_in_words(erased)}.")
    out.line(f"It cost {spent}.")
    done = {"erased": dict(erased), "receipt": receipt, "cost": spent.document}
    out.document({"player": player_id, **done, "done": True})
    return 0


def _forgettings(found: Iterable[Item], player_id: str) -> list[operator.Forgetting]:
    """A count of what was read goes before what it counts: without it, what is there is counted."""
    forgettings = (operator.forget(item, player_id) for item in found)
    listed = [one for one in forgettings if one is not None]
    return sorted(listed, key=lambda one: one.kind != operator.READ_COUNTS)


def _freeze(target: Target, player_id: str, reason: str) -> datetime:
    """When the player was frozen, now or before."""
    player = target.store.player(player_id)
    if player.erased_at is not None:
        return player.erased_at
    action = target.action(
        "erase", f"player {player_id}", reason, before={}, after={"frozen": True}
    )
    target.table.transact(operator.freeze(player, action.at, action))
    return action.at


def _forget(target: Target, forgetting: operator.Forgetting, player_id: str) -> bool:
    """False: the item is gone meanwhile, or tells nothing of them any more.

    One that changed since it was read, as a closed board does in another erasure, is read again.
    """
    while isinstance(forgetting, operator.Redaction):
        if target.table.update_if(forgetting.request):
            return True
        item = target.table.get(forgetting.key)
        again = None if item is None else operator.forget(item, player_id)
        if again is None:
            return False
        forgetting = again
    target.table.delete(forgetting.key)
    return True


def _certify(target: Target, player_id: str, reason: str, erased: Counter[str]) -> str:
    """The receipt's id: this run's, or that of the run that finished the erasure before."""
    state = target.table.get(keys.player(player_id))
    if state is not None and "erasureReceipt" in state:
        return str(state["erasureReceipt"])
    action = target.action(
        "erase",
        f"player {player_id}",
        reason,
        before={"frozen": True},
        after={"erased": dict(erased)},
    )
    target.table.transact(operator.certify(player_id, action.id, action))
    return action.id


def _list(out: Output, found: Counter[str]) -> None:
    out.table(("what", "items"), sorted(found.items()))
    if not found:
        out.line("Nothing of them is left but the id, the profile and the sums.")


def _in_words(erased: Counter[str]) -> str:
    return (
        ", ".join(f"{number} {kind}" for kind, number in sorted(erased.items())) or "nothing left"
    )
