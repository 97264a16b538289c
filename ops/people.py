"""Everything that the table holds about one person."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from heist_core.storage import keys

Item = Mapping[str, object]

_INTERNAL = frozenset({"pk", "sk", "owed", "owedBucket", "owedSince", "unread"})


def kind_of(item: Item, player_id: str) -> str | None:
    """What an item is to this person, or None if it is not about them."""
    pk, sk = str(item["pk"]), str(item["sk"])
    partition = pk.partition("#")[0]
    own = {
        keys.player(player_id)["pk"]: "state",
        f"LEDGER#{player_id}": "ledger",
        keys.inbox(player_id): "inbox",
    }
    if pk in own:
        return own[pk]
    parties = (item.get("attackerId"), item.get("victimId"))
    if partition == "HEIST" and sk == "HEIST" and player_id in parties:
        return "heists" if item.get("status") == "SUCCESS" else "refused"
    if partition == "HEIST" and sk == "REVERSAL" and player_id in parties:
        return "reversals"
    if sk.startswith("NOTICE#") and item.get("recipientId") == player_id:
        return "notices"
    if sk == "REFERRAL" and player_id in (item.get("referrerId"), item.get("referredId")):
        return "referrals"
    if partition == "POINTS" and item.get("playerId") == player_id:
        return "pointsEvents"
    if partition == "ACTIONS" and item.get("subject") == f"player {player_id}":
        return "actions"
    return None


def collected(items: Iterable[Item], player_id: str) -> dict[str, list[dict[str, object]]]:
    """The items about a person, by kind, without what is another's or the table's own affair."""
    found: dict[str, list[dict[str, object]]] = defaultdict(list)
    for item in items:
        kind = kind_of(item, player_id)
        if kind is not None:
            found[kind].append(of_person(item, player_id))
    return dict(found)


def of_person(item: Item, player_id: str) -> dict[str, object]:
    """An item as its person may have it: not from where somebody else struck."""
    hidden = _INTERNAL | (
        {"sourceNetwork"} if item.get("attackerId", player_id) != player_id else set()
    )
    return {name: value for name, value in item.items() if name not in hidden}
