"""Let an address that bounced or complained get mail again.

For an address that works after all, or a player who asked for it; a new address
needs no such thing. SES may keep the address on a list of its own, which stands
above this: docs/operations.md says how to take it off.
"""

import argparse
from collections.abc import Mapping

from heist_core.domain.player import Player, Suppression
from heist_core.domain.times import to_iso
from heist_core.storage import operator
from heist_core.use_cases.retry import until_uncontended
from ops.command import add_change_arguments, agreed, reason_of
from ops.lookup import nobody, player_id_of
from ops.output import Output, moment
from ops.target import Target


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("player", help="id, login or e-mail address")
    add_change_arguments(parser)


def run(target: Target, options: argparse.Namespace, out: Output) -> int:
    player_id = player_id_of(target, options.player, out)
    reason = reason_of(options)
    stands = _known(target, player_id).profile.suppressed
    done = False
    if stands is None:
        out.line(f"{player_id} has no address that is suppressed.")
    else:
        out.line(f"{player_id}: {stands.reason} since {moment(to_iso(stands.at))}")
        if agreed(options, out):
            done = until_uncontended(lambda: _change(target, player_id, reason), target.clock)
            out.line("Their address gets mail again.")
    found = None if stands is None else _shown(stands)
    out.document({"player": player_id, "suppressed": found, "done": done})
    return 0


def _change(target: Target, player_id: str, reason: str) -> bool:
    """False: somebody else did it meanwhile."""
    player = _known(target, player_id)
    stands = player.profile.suppressed
    if stands is None:
        return False
    action = target.action(
        "unsuppress",
        f"player {player_id}",
        reason,
        before={"suppressed": _shown(stands)},
        after={"suppressed": None},
    )
    target.table.transact(operator.unsuppress(player, action))
    return True


def _shown(suppression: Suppression) -> Mapping[str, str]:
    return {"reason": suppression.reason, "at": to_iso(suppression.at)}


def _known(target: Target, player_id: str) -> Player:
    player = target.store.player(player_id)
    if not player.exists:
        raise nobody(target, player_id)
    return player
