"""Show all about a player: points, ledger, heists, inbox, mails.

Reads by key, so it is quick on a table of any size. Refused attempts and the
referrals that a player made have no index by player: `export` reads the whole
table for them.
"""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from heist_core.domain.heist import plural
from heist_core.domain.notices import message_of
from heist_core.domain.times import to_iso
from heist_core.storage import keys
from heist_core.storage.inbox_items import inbox_item_from
from heist_core.storage.player_items import SEASON_PREFIX
from heist_core.texts import texts_for
from ops.actions import show_actions
from ops.command import whole
from ops.lookup import nobody, player_id_of
from ops.output import Entry, Output, moment, short
from ops.people import of_person
from ops.target import Target

MONTHS_OF_ACTIONS = 13
Item = Mapping[str, object]


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
    limit = None if out.as_json or options.limit < 1 else options.limit
    state = target.table.get(keys.player(player_id))
    old_seasons = target.table.get(keys.old_seasons(player_id)) or {}
    ledger = _newest(target.table.partition(keys.ledger(player_id)), "occurredAt")
    lying = target.table.partition(keys.inbox(player_id))
    inbox = _newest((one for one in lying if keys.kind_of(one) is keys.Kind.INBOX), "sk")
    referral = target.table.get(keys.referral(player_id))
    brought_by = [] if referral is None else [referral]
    if state is None and not inbox and not brought_by:
        raise nobody(target, player_id)
    heists, notices, reversals = _heists(target, player_id, ledger, limit)
    actions = _actions(target, player_id)
    _print_state(out, player_id, state or {}, old_seasons)
    sections = (
        ("Ledger", ("when", "points", "what"), len(ledger), map(_ledger_entry, ledger)),
        (
            "Heists",
            ("when", "points", "mail", "with"),
            sum("heistId" in entry for entry in ledger),
            (_heist_entry(heist, player_id, notices, reversals) for heist in heists),
        ),
        ("Inbox", ("when", "read"), len(inbox), map(_inbox_entry, inbox)),
    )
    for title, columns, total, entries in sections:
        _title(out, title, total, limit)
        out.entries(columns, islice(entries, limit))
    if brought_by:
        out.line()
        out.line(
            f"Brought by {brought_by[0]['referrerId']}, {moment(brought_by[0]['createdAt'])}"
            + (" (the token is held)" if "heldAt" in brought_by[0] else "")
        )
    _title(out, "Operators", len(actions), limit)
    show_actions(islice(actions, limit), out)
    out.document(
        {
            "player": player_id,
            "state": of_person(state or {}, player_id),
            "oldSeasons": of_person(old_seasons, player_id),
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


def _print_state(out: Output, player_id: str, state: Item, old_seasons: Item) -> None:
    seasons = (
        f"{name.removeprefix(SEASON_PREFIX)}: {value}"
        for name, value in sorted({**old_seasons, **state}.items(), reverse=True)
        if name.startswith(SEASON_PREFIX)
    )
    opted_out = " (opted out)" if state.get("emailOptOut") else ""
    out.line(f"{player_id}  {short(str(state.get('name') or 'without a name'), 40)}")
    for flag in ("blockedAt", "erasedAt"):
        if flag in state:
            out.line(f"{flag.removesuffix('At').upper()} since {moment(state[flag])}")
    facts = {
        "mail": f"{state.get('email') or 'none'}{opted_out}",
        "language": state.get("locale") or "unknown",
        "tokens": f"{state.get('tokens', 0)} ({state.get('tokensEarned', 0)} earned, "
        f"{state.get('tokensSpent', 0)} spent)",
        "points": ", ".join(seasons) or "none",
        "last heist": moment(state.get("lastHeistAt")),
        "last robbed": moment(state.get("lastRobbedAt")),
        "last token": moment(state.get("lastEarnedAt")),
        "first seen": moment(state.get("firstSeenAt")),
        "robbed": _robbed(state.get("losses")),
        "chosen": _chosen(state),
    }
    for name, fact in facts.items():
        out.line(f"{name:<11}  {fact}")


def _robbed(losses: object) -> str:
    """In the last seasons in which they were."""
    seasons = losses if isinstance(losses, Mapping) else {}
    return (
        ", ".join(
            f"{season}: {plural(each['robberies'], 'time')}, {plural(each['points'], 'point')}"
            for season, each in sorted(seasons.items(), reverse=True)
        )
        or "never"
    )


def _chosen(state: Item) -> str:
    chosen = [flag for flag in ("passive", "hidden") if state.get(flag)]
    mails = state.get("emailChoices")
    if isinstance(mails, Mapping):
        chosen += [f"mail {kind}: {how}" for kind, how in sorted(mails.items())]
    return ", ".join(chosen) or "nothing"


def _title(out: Output, title: str, total: int, limit: int | None) -> None:
    cut = limit is not None and limit < total
    out.line()
    out.line(f"{title}: {total}" + (f", the newest {limit}; --limit 0 for all" if cut else ""))


def _ledger_entry(entry: Item) -> Entry:
    reference = str(entry.get("heistId") or entry.get("eventId") or "")
    cells = (moment(entry.get("occurredAt")), entry["points"], entry["pointEventType"])
    return cells, reference


def _heist_entry(
    heist: Item, player_id: str, notices: Mapping[str, Item], reversals: Mapping[str, Item]
) -> Entry:
    heist_id = str(heist["heistId"])
    attacked = heist["attackerId"] == player_id
    other = "victim" if attacked else "attacker"
    name = short(str(heist.get(f"{other}Name") or "a player without a name"))
    points = int(str(heist["pointsStolen"])) * (1 if attacked else -1)
    return (
        moment(heist["createdAt"]),
        points,
        notices.get(heist_id, {}).get("mailState", "-"),
        f"{'robbed' if attacked else 'robbed by'} {name}"
        + (", reversed" if heist_id in reversals else ""),
    ), f"{heist_id} {heist[f'{other}Id']}"


def _inbox_entry(item: Item) -> Entry:
    found = inbox_item_from(item)
    read = "yes" if found.read else "no"
    text = texts_for(None).message(message_of(found.notice))
    return (moment(to_iso(found.notice.created_at)), read), text
