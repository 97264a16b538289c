"""Print everything that the table holds about one person, as JSON.

Reads the whole table, since refused attempts and referrals have no index by
player. Names of others are those that the person was shown; from where others
struck is left out.
"""

import argparse

from ops.lookup import player_id_of
from ops.output import Output
from ops.people import collected
from ops.target import OperatorError, Target


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("player", help="id, login or e-mail address")


def run(target: Target, options: argparse.Namespace, out: Output) -> int:
    player_id = player_id_of(target, options.player, out)
    found = collected(target.table.scan(out.items_read), player_id)
    if not found:
        raise OperatorError(f"The table holds nothing about {player_id}.")
    Output(as_json=True).document(
        {"player": player_id, "at": target.now().isoformat(), **dict(sorted(found.items()))}
    )
    return 0
