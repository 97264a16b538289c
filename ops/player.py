"""Show all about a player: points, ledger, heists, inbox, mails.

Reads by key and by an index, so it is quick on a table of any size. Attempts
that were refused and referrals from before that index are found by `export
--scan`, which reads the whole table.
"""

import argparse
from collections.abc import Callable, Mapping
from typing import cast

from heist_core.domain.heist import plural
from ops.actions import action_entry
from ops.command import whole
from ops.lookup import nobody, player_id_of
from ops.output import Entry, Output, moment, short
from ops.target import Target

Fields = Mapping[str, object]
EVERYTHING = 1_000_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("player", help="id, login or e-mail address")
    parser.add_argument(
        "--limit",
        type=whole(0),
        default=10,
        help="at most so many of each, newest first; 0 for all",
    )


def run(target: Target, options: argparse.Namespace, out: Output) -> int:
    player_id = player_id_of(target, options.player, out)
    timeline = target.timelines.player(player_id, target.now(), before=None, limit=EVERYTHING)
    if timeline is None:
        raise nobody(target, player_id)
    _print_state(out, timeline.player)
    limit = options.limit or None
    for title, (kind, columns, entry) in SECTIONS.items():
        found = [one for one in timeline.page.entries if one["kind"] == kind]
        _title(out, title, len(found), limit)
        out.entries(columns, map(entry, found[:limit]))
    out.document({"player": timeline.player, "timeline": timeline.page.entries})
    return 0


def _print_state(out: Output, player: Fields) -> None:
    opted_out = " (opted out)" if player["emailOptOut"] else ""
    out.line(f"{player['userId']}  {short(str(player['name'] or 'without a name'), 40)}")
    for flag in ("blockedAt", "erasedAt"):
        if player[flag]:
            out.line(f"{flag.removesuffix('At').upper()} since {moment(player[flag])}")
    points = cast("Mapping[str, int]", player["points"])
    facts = {
        "mail": f"{player['email'] or 'none'}{opted_out}{_suppressed(player['suppressed'])}",
        "language": player["locale"] or "unknown",
        "tokens": f"{player['tokens']} ({player['totalEarned']} earned, "
        f"{player['totalSpent']} spent, {player['tokensGranted']} granted)",
        "points": ", ".join(f"{season}: {number}" for season, number in points.items()) or "none",
        "last heist": moment(player["lastHeistAt"]),
        "last robbed": moment(player["lastRobbedAt"]),
        "last token": moment(player["lastEarnedAt"]),
        "first seen": moment(player["firstSeenAt"]),
        "robbed": _robbed(cast("Mapping[str, Mapping[str, int]]", player["losses"])),
        "chosen": _chosen(player),
        "brought by": player["broughtBy"] or "nobody",
    }
    for name, fact in facts.items():
        out.line(f"{name:<11}  {fact}")


def _suppressed(suppressed: object) -> str:
    if not isinstance(suppressed, Mapping):
        return ""
    return f" (suppressed: {suppressed['reason']}, {moment(suppressed['at'])})"


def _robbed(losses: Mapping[str, Mapping[str, int]]) -> str:
    """In the last seasons in which they were."""
    return (
        ", ".join(
            f"{season}: {plural(each['robberies'], 'time')}, {plural(each['points'], 'point')}"
            for season, each in losses.items()
        )
        or "never"
    )


def _chosen(player: Fields) -> str:
    chosen = [flag for flag in ("passive", "hidden") if player[flag]]
    mails = cast("Mapping[str, str]", player["emailChoices"])
    chosen += [f"mail {kind}: {how}" for kind, how in sorted(mails.items())]
    return ", ".join(chosen) or "nothing"


def _title(out: Output, title: str, total: int, limit: int | None) -> None:
    cut = limit is not None and limit < total
    out.line()
    out.line(f"{title}: {total}" + (f", the newest {limit}; --limit 0 for all" if cut else ""))


def _ledger(entry: Fields) -> Entry:
    reference = str(entry["heistId"] or entry["eventId"] or "")
    return (moment(entry["at"]), entry["points"], entry["pointEventType"]), reference


def _heist(entry: Fields) -> Entry:
    name = short(str(entry["otherName"] or "a player without a name"))
    what = f"{'robbed' if entry['role'] == 'attacker' else 'robbed by'} {name}"
    if entry["status"] == "FAILED":
        what = f"refused: {entry['code']}"
    elif entry["status"] == "REVERSED":
        what += ", reversed"
    reference = f"{entry['heistId']} {entry['otherUserId']}"
    return (moment(entry["at"]), entry["points"], what), reference


def _mail(entry: Fields) -> Entry:
    cells = (moment(entry["at"]), entry["state"], entry["type"])
    tried = plural(cast("int", entry["attempts"]), "time")
    return cells, f"{entry['heistId'] or 'a referral'}, tried {tried}"


def _inbox(entry: Fields) -> Entry:
    return (moment(entry["at"]), "yes" if entry["read"] else "no"), str(entry["message"])


def _award(entry: Fields) -> Entry:
    who = "brought by" if entry["role"] == "referred" else "brought"
    held = "held" if entry["held"] else "given"
    other = entry["referrerUserId" if entry["role"] == "referred" else "referredUserId"]
    return (moment(entry["at"]), held, who), str(other)


def _grant(entry: Fields) -> Entry:
    return (moment(entry["at"]), entry["tokens"]), f"action {entry['actionId']}"


Section = tuple[str, tuple[str, ...], Callable[[Fields], Entry]]
SECTIONS: Mapping[str, Section] = {
    "Ledger": ("ledger", ("when", "points", "what"), _ledger),
    "Heists": ("heist", ("when", "points", "what"), _heist),
    "Mails": ("mail", ("when", "state", "about"), _mail),
    "Inbox": ("inbox", ("when", "read"), _inbox),
    "Referrals": ("award", ("when", "token", "who"), _award),
    "Granted": ("grant", ("when", "tokens"), _grant),
    "Operators": ("action", ("when", "what", "subject"), action_entry),
}
