"""Keep a player out of heists: they rob nobody, nobody robs them.

Tokens and points that they earn are still credited, their inbox stays. An
attempt of theirs is refused with ATTACKER_BLOCKED; to others they are
TARGET_NOT_FOUND, like a player who does not exist. A heist that read the player
before this and commits after it does not happen.
"""

import argparse

from heist_core.domain.player import Player
from heist_core.storage import operator
from heist_core.use_cases.retry import until_uncontended
from ops.command import add_change_arguments, agreed, reason_of
from ops.lookup import nobody, player_id_of
from ops.output import Output
from ops.target import Target


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("player", help="id, login or e-mail address")
    add_change_arguments(parser)


def run(target: Target, options: argparse.Namespace, out: Output) -> int:
    return set_blocked(target, options, out, blocked=True)


def set_blocked(target: Target, options: argparse.Namespace, out: Output, *, blocked: bool) -> int:
    """Block or unblock the player of `options`; what is so already is left as it is."""
    player_id = player_id_of(target, options.player, out)
    reason = reason_of(options)
    what, already = ("block", "blocked") if blocked else ("unblock", "not blocked")
    changes = _known(target, player_id).blocked != blocked
    done = False
    if changes:
        out.line(f"{what} {player_id}: {reason}")
        if agreed(options, out):
            done = changes = until_uncontended(
                lambda: _change(target, player_id, reason, blocked=blocked), target.clock
            )
    if done:
        out.line(f"{player_id} is {what}ed.")
    elif not changes:
        out.line(f"{player_id} is {already} already.")
    out.document({"player": player_id, "blocked": blocked, "changes": changes, "done": done})
    return 0


def _change(target: Target, player_id: str, reason: str, *, blocked: bool) -> bool:
    """False: somebody else did it meanwhile."""
    player = _known(target, player_id)
    if player.blocked == blocked:
        return False
    action = target.action(
        "block" if blocked else "unblock",
        f"player {player_id}",
        reason,
        before={"blocked": player.blocked},
        after={"blocked": blocked},
    )
    if blocked:
        target.table.transact(operator.block(player, action.at, action))
    else:
        target.table.transact(operator.unblock(player, action))
    return True


def _known(target: Target, player_id: str) -> Player:
    player = target.store.player(player_id)
    if not player.exists:
        raise nobody(target, player_id)
    return player
