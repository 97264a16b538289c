"""Everything that the table holds about one person."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import assert_never

from heist_core.storage import keys
from heist_core.storage.keys import Kind

Item = Mapping[str, object]

_INTERNAL = frozenset({"pk", "sk", "owed", "owedBucket", "owedSince", "unread"})


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
        case Kind.HEIST:
            part = "heists" if item.get("status") == "SUCCESS" else "refused"
            about = item.get("attackerId"), item.get("victimId")
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
