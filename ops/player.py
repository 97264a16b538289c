"""Show all about a player: points, ledger, heists, inbox, mails.

Reads by key, so it is quick on a table of any size. Refused attempts and the
referrals that a player made have no index by player: `export` reads the whole
table for them.
"""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from heist_core.domain.notices import message_of
from heist_core.domain.times import to_iso
from heist_core.storage import keys
from heist_core.storage.items import inbox_item_from
from ops.actions import in_words
from ops.command import player_id_of
from ops.output import Output
from ops.people import of_person
from ops.target import OperatorError, Target

MONTHS_OF_ACTIONS = 13
Item = Mapping[str, object]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("player", help="the player's id")
    parser.add_argument(
        "--limit", type=int, default=10, help="at most so many of each, newest first; 0 for all"
    )


def run(target: Target, options: argparse.Namespace, out: Output) -> int:
    player_id = player_id_of(options)
    limit = None if out.as_json or options.limit < 1 else options.limit
    state = next(target.table.partition(keys.player(player_id)["pk"]), None)
    ledger = _newest(target.table.partition(keys.ledger(player_id)), "occurredAt")
    inbox = _newest(target.table.partition(keys.inbox(player_id)), "sk")
    referral = target.table.get(keys.referral(player_id))
    brought_by = [] if referral is None else [referral]
    if state is None and not inbox and not brought_by:
        raise OperatorError(f"There is no player {player_id}.")
    heists, notices, reversals = _heists(target, player_id, ledger, limit)
    actions = _actions(target, player_id)
    _print_state(out, player_id, state or {})
    _print_table(
        out,
        "Ledger",
        ("when", "what", "points", "of"),
        [
            (
                entry.get("occurredAt"),
                entry["pointEventType"],
                int(str(entry["points"])),
                entry.get("heistId") or entry.get("eventId"),
            )
            for entry in ledger
        ],
        limit,
    )
    _print_table(
        out,
        "Heists",
        ("when", "side", "other", "points", "mail", "heist"),
        [_heist_row(heist, player_id, notices, reversals) for heist in heists],
        limit,
        of=sum("heistId" in entry for entry in ledger),
    )
    _print_table(
        out,
        "Inbox",
        ("when", "read", "message"),
        [_inbox_row(item) for item in inbox],
        limit,
    )
    if brought_by:
        out.line(
            f"Brought by {brought_by[0]['referrerId']}, {brought_by[0]['createdAt']}"
            + (" (the token is held)" if "heldAt" in brought_by[0] else "")
        )
    _print_table(
        out,
        "Operators",
        ("when", "who", "what", "why", "after"),
        [
            (entry["at"], entry["who"], entry["what"], entry["why"], in_words(entry["after"]))
            for entry in actions
        ],
        limit,
    )
    out.document(
        {
            "player": player_id,
            "state": of_person(state or {}, player_id),
            "ledger": [of_person(entry, player_id) for entry in ledger],
            "heists": [of_person(heist, player_id) for heist in heists],
            "reversals": [of_person(each, player_id) for each in reversals.values()],
            "notices": [of_person(each, player_id) for each in notices.values()],
            "inbox": [of_person(item, player_id) for item in inbox],
            "broughtBy": [of_person(item, player_id) for item in brought_by],
            "actions": actions,
        }
    )
    return 0


def _newest(found: Iterable[Item], name: str) -> list[Item]:
    return sorted(found, key=lambda item: str(item.get(name, "")), reverse=True)


def _heists(
    target: Target, player_id: str, ledger: Sequence[Item], limit: int | None
) -> tuple[list[Item], dict[str, Item], dict[str, Item]]:
    """The newest heists with this player, and by heist: the player's notice, the reversal."""
    ids = dict.fromkeys(str(entry["heistId"]) for entry in ledger if "heistId" in entry)
    heists: list[Item] = []
    notices: dict[str, Item] = {}
    reversals: dict[str, Item] = {}
    for heist_id in islice(ids, limit):
        for item in target.table.partition(keys.heist(heist_id)["pk"]):
            match keys.key_of(item):
                case key if key == keys.heist(heist_id):
                    heists.append(item)
                case key if key == keys.reversal(heist_id):
                    reversals[heist_id] = item
                case key if key == keys.notice(keys.heist(heist_id), player_id):
                    notices[heist_id] = item
    return heists, notices, reversals


def _actions(target: Target, player_id: str) -> list[Item]:
    """What operators did to this player in the last months, newest first."""
    found: list[Item] = []
    month = target.now().date().replace(day=1)
    for _ in range(MONTHS_OF_ACTIONS):
        of_month = [
            entry
            for entry in target.table.partition(keys.actions(f"{month:%Y-%m}"))
            if entry["subject"] == f"player {player_id}"
        ]
        found += reversed(of_month)
        earlier = month.month - 1 or 12
        month = month.replace(year=month.year - (month.month == 1), month=earlier)
    return found


def _print_state(out: Output, player_id: str, state: Item) -> None:
    seasons = ", ".join(
        f"{name.removeprefix('points#')}: {value}"
        for name, value in sorted(state.items(), reverse=True)
        if name.startswith("points#")
    )
    blocked = f"  BLOCKED since {state['blockedAt']}" if "blockedAt" in state else ""
    opted_out = " (opted out)" if state.get("emailOptOut") else ""
    out.line(f"{player_id}  {state.get('name') or 'without a name'}{blocked}")
    out.line(f"mail     {state.get('email') or 'none'}{opted_out}")
    out.line(
        f"tokens   {state.get('tokens', 0)} "
        f"({state.get('tokensEarned', 0)} earned, {state.get('tokensSpent', 0)} spent)"
    )
    out.line(f"points   {seasons or 'none'}")
    out.line(
        f"times    last heist {state.get('lastHeistAt', '-')}, "
        f"last robbed {state.get('lastRobbedAt', '-')}, last token {state.get('lastEarnedAt', '-')}"
    )


def _print_table(
    out: Output,
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    limit: int | None,
    of: int | None = None,
) -> None:
    total = len(rows) if of is None else of
    shown = rows[:limit]
    more = f", the newest {len(shown)}; --limit 0 for all" if len(shown) < total else ""
    out.line()
    out.line(f"{title}: {total}{more}")
    if shown:
        out.table(columns, shown)


def _heist_row(
    heist: Item, player_id: str, notices: Mapping[str, Item], reversals: Mapping[str, Item]
) -> tuple[object, ...]:
    heist_id = str(heist["heistId"])
    attacked = heist["attackerId"] == player_id
    other, name = ("victimId", "victimName") if attacked else ("attackerId", "attackerName")
    points = int(str(heist["pointsStolen"])) * (1 if attacked else -1)
    mail = notices.get(heist_id, {}).get("mailState", "-")
    return (
        heist["createdAt"],
        ("robbed" if attacked else "was robbed by")
        + (" (reversed)" if heist_id in reversals else ""),
        f"{heist.get(name) or '-'} ({heist[other]})",
        points,
        mail,
        heist_id,
    )


def _inbox_row(item: Item) -> tuple[object, ...]:
    found = inbox_item_from(item)
    notice = found.notice
    return to_iso(notice.created_at), "yes" if found.read else "no", message_of(notice)
