"""Keep a player out of heists: they rob nobody, nobody robs them.

Tokens and points that they earn are still credited, their inbox stays. An
attempt of theirs is refused with ATTACKER_BLOCKED; to others they are
TARGET_NOT_FOUND, like a player who does not exist. A heist that read the player
before this and commits after it does not happen.
"""

import argparse

from heist_core.domain.errors import NoSuchPlayer
from heist_core.use_cases.block_player import BlockPlayer
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
    use_case = BlockPlayer(target.operations, target.clock)
    done = False
    try:
        change = use_case.preview(player_id, blocked=blocked)
        if change.changed:
            out.line(f"{what} {player_id}: {reason}")
            if agreed(options, out):
                action = target.action(what, f"player {player_id}", reason)
                change = use_case(player_id, action, blocked=blocked)
                done = change.changed
    except NoSuchPlayer:
        raise nobody(target, player_id) from None
    if done:
        out.line(f"{player_id} is {what}ed.")
    elif not change.changed:
        out.line(f"{player_id} is {already} already.")
    out.document({"player": player_id, "blocked": blocked, "changes": change.changed, "done": done})
    return 0
