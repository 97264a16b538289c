"""Everything that the table holds about one person, and where it names them."""

import argparse
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import assert_never

from heist_core.storage import inbox_items, keys, player_items
from heist_core.storage.keys import Kind
from heist_core.storage.table import Table
from heist_core.storage.timelines import months_before
from ops.output import Output
from ops.target import Target

Item = Mapping[str, object]

_INTERNAL = frozenset({"pk", "sk", "owed", "owedBucket", "owedSince", "unread"})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("player", help="id, login or e-mail address")
    parser.add_argument(
        "--scan",
        dest="whole",
        action="store_true",
        help="read the whole table, for referrals from before the index `about`",
    )


def read(target: Target, player_id: str, out: Output, *, whole: bool) -> Iterable[Item]:
    """All that an export or an erasure of a person has to look at, and more."""
    if whole:
        return target.table.scan(out.items_read)
    return by_key(target.table, player_id, f"{target.now():%Y-%m}").values()


def by_key(table: Table, player_id: str, month: str) -> dict[str, Item]:
    """What is about a person, and inbox items of others that may name them, by place.

    The ledger leads to heists, the index to referrals, both to notices, and these to the
    inbox items of the other side. An erasure removes nothing that is on these paths, so an
    interrupted one finds the rest when it is run again. `month` is the last of the operators' log.
    """
    own = (keys.ledger(player_id), keys.inbox(player_id), keys.grants(player_id))
    found = _all_in(table, keys.player(player_id)["pk"], *own)
    known = keys.referral(player_id), *table.about(player_id)
    found |= table.by_place(chain(known, *map(_records_of, found.values())))
    notices = list(chain.from_iterable(map(_notices_of, found.values())))
    found |= table.by_place(key for _, key in notices)
    positions: dict[str, set[int | None]] = defaultdict(set)
    for who, key in notices:
        positions[who].add(inbox_items.inbox_position_from(found.get(keys.place_of(key), {})))
    positions.pop(player_id, None)
    # A notice may have expired before its inbox item, or be older than positions on notices.
    found |= _all_in(table, *(keys.inbox(who) for who, some in positions.items() if None in some))
    found |= table.by_place(
        keys.inbox_item(who, inbox_items.position_of(position))
        for who, some in positions.items()
        for position in some
        if position is not None
    )
    log = _all_in(table, *map(keys.actions, months_before(month)))
    return found | {place: item for place, item in log.items() if part_of(item, player_id)}


def _all_in(table: Table, *partitions: str) -> dict[str, Item]:
    return {keys.place_of(item): item for each in partitions for item in table.partition(each)}


def _records_of(item: Item) -> list[keys.Key]:
    """What happened, by an entry of the ledger; closed boards, by the seasons of a player."""
    match keys.kind_of(item):
        case Kind.LEDGER if "heistId" in item:
            heist_id = str(item["heistId"])
            return [keys.heist(heist_id), keys.reversal(heist_id)]
        case Kind.LEDGER if "eventId" in item:
            return [keys.points_event(str(item["eventId"]))]
        case Kind.PLAYER | Kind.OLD_SEASONS:
            return [keys.board_final(season) for season in player_items.points_from(item)]
        case _:
            return []


def _notices_of(item: Item) -> list[tuple[str, keys.Key]]:
    """The recipients of notices of a heist, reversal or referral, with the keys of the notices."""
    if keys.kind_of(item) not in (Kind.HEIST, Kind.REVERSAL, Kind.REFERRAL):
        return []
    if item.get("status") == "FAILED" or "imported" in item or "heldAt" in item:
        return []
    recipients = (item.get(name) for name in ("attackerId", "victimId", "referrerId"))
    return [(str(who), keys.notice(keys.key_of(item), str(who))) for who in recipients if who]


def part_of(item: Item, player_id: str) -> str | None:
    """The part of an export that an item belongs to, or None if it is not about this person."""
    about: tuple[object, ...]
    match keys.kind_of(item):
        case Kind.PLAYER:
            part, about = "state", (keys.id_of(item),)
        case Kind.OLD_SEASONS:
            part, about = "oldSeasons", (keys.id_of(item),)
        case Kind.LEDGER:
            part, about = "ledger", (keys.id_of(item),)
        case Kind.READ_COUNT:
            part, about = "readCount", (keys.id_of(item),)
        case Kind.INBOX:
            part, about = "inbox", (keys.id_of(item),)
        case Kind.HEIST if item.get("status") == "SUCCESS":
            part, about = "heists", (item.get("attackerId"), item.get("victimId"))
        case Kind.HEIST:
            part, about = "refused", (item.get("attackerId"),)
        case Kind.REVERSAL:
            part, about = "reversals", (item.get("attackerId"), item.get("victimId"))
        case Kind.NOTICE:
            part, about = "notices", (item.get("recipientId"),)
        case Kind.REFERRAL:
            part, about = "referrals", (item.get("referrerId"), item.get("referredId"))
        case Kind.POINTS_EVENT:
            part, about = "pointsEvents", (item.get("playerId"),)
        case Kind.GRANT:
            part, about = "grants", (keys.id_of(item),)
        case Kind.ACTION:
            mentioned = item.get("subject") == f"player {player_id}"
            part, about = "actions", (player_id,) if mentioned else ()
        case (
            Kind.RATE
            | Kind.POINT_TYPE
            | Kind.SETTINGS
            | Kind.SETTINGS_VERSION
            | Kind.DAY
            | Kind.BALANCES
            | Kind.HOLDING
            | Kind.ROBBER
            | Kind.GENERATION
            | Kind.IMPORT
            | Kind.REQUEST
            | Kind.AUDIT
            | Kind.BOARD
            | Kind.DIGEST
            | None
        ):
            return None
        case unknown:
            assert_never(unknown)
    return part if player_id in about else None


def collected(items: Iterable[Item], player_id: str) -> dict[str, list[dict[str, object]]]:
    """The items about a person, by kind, without what is another's or the table's own affair."""
    found: dict[str, list[dict[str, object]]] = defaultdict(list)
    for item in items:
        part = part_of(item, player_id)
        if part is not None:
            found[part].append(of_person(item, player_id))
    return dict(found)


def of_person(item: Item, player_id: str) -> dict[str, object]:
    """An item as its person may have it: not from where somebody else struck."""
    hidden = _INTERNAL | (
        {"sourceNetwork"} if item.get("attackerId", player_id) != player_id else set()
    )
    return {name: value for name, value in item.items() if name not in hidden}
