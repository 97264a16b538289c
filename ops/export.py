"""Print everything that the table holds about one person, as JSON.

Reads by key, so it takes as long as there is of the person. Names of others are
those that the person was shown; from where others struck is left out, and so
are their refused attempts.
"""

import argparse

from ops.lookup import player_id_of
from ops.output import Output
from ops.people import add_arguments as add_arguments
from ops.people import collected, read
from ops.target import OperatorError, Target


def run(target: Target, options: argparse.Namespace, out: Output) -> int:
    player_id = player_id_of(target, options.player, out)
    found = collected(read(target, player_id, out, whole=options.whole), player_id)
    if not found:
        raise OperatorError(f"The table holds nothing about {player_id}.")
    Output(as_json=True).document(
        {"player": player_id, "at": target.now().isoformat(), **dict(sorted(found.items()))}
    )
    return 0
