"""Give a player tokens, one to five at a time.

They count as earned, and stand on a record of their own, so that the audit
tells them from those of referrals. Neither inbox nor mail says so.
"""

import argparse

from heist_core.domain.action import MOST_TOKENS_GRANTED
from heist_core.domain.errors import Contention, NoSuchPlayer, Unavailable
from heist_core.domain.heist import plural
from heist_core.use_cases.grant_tokens import GrantTokens
from ops.command import add_change_arguments, agreed, reason_of, whole
from ops.lookup import nobody, player_id_of
from ops.output import Output
from ops.target import OperatorError, Target


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("player", help="id, login or e-mail address")
    parser.add_argument("tokens", type=whole(1), help=f"1 to {MOST_TOKENS_GRANTED}")
    add_change_arguments(parser)


def run(target: Target, options: argparse.Namespace, out: Output) -> int:
    if options.tokens > MOST_TOKENS_GRANTED:
        raise OperatorError(f"At most {MOST_TOKENS_GRANTED} tokens at a time.")
    player_id = player_id_of(target, options.player, out)
    reason = reason_of(options)
    use_case = GrantTokens(target.operations, target.clock)
    done = False
    try:
        change = use_case.preview(player_id, options.tokens)
        given = plural(options.tokens, "token")
        out.line(f"grant {given} to {player_id}, who has {change.before['tokens']}: {reason}")
        if agreed(options, out):
            action = target.action("grant", f"player {player_id}", reason)
            change = use_case(player_id, options.tokens, action)
            done = True
            out.line(f"{player_id} has {plural(int(str(change.after['tokens'])), 'token')} now.")
    except NoSuchPlayer:
        raise nobody(target, player_id) from None
    except Contention:
        raise
    except Unavailable as problem:
        raise OperatorError(
            "The table did not answer, and may have given them all the same: look at "
            f"./heist player {player_id} before you try again."
        ) from problem
    out.document({**change.about, "before": change.before, "after": change.after, "done": done})
    return 0
