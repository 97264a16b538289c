"""Where each item lies. No id can hold a `#`, so no id can reach into another item's key."""

import hashlib
from datetime import datetime

from heist_core.domain.times import to_iso

Key = dict[str, str]

OWED_BUCKETS = tuple(str(number) for number in range(8))
REFUSED_BUCKETS = tuple(f"refused-{number}" for number in range(4))
"""Apart: the notifier's filter leaves refusals out, and no flood of them delays a notice."""
SET_ASIDE_BUCKET = "aside"
HELD_BUCKET = "held"


def player(player_id: str) -> Key:
    return {"pk": f"PLAYER#{player_id}", "sk": "STATE"}


def heist(heist_id: str) -> Key:
    return {"pk": f"HEIST#{heist_id}", "sk": "HEIST"}


def reversal(heist_id: str) -> Key:
    return {"pk": f"HEIST#{heist_id}", "sk": "REVERSAL"}


def referral(referred_id: str) -> Key:
    return {"pk": f"REFERRAL#{referred_id}", "sk": "REFERRAL"}


def notice(subject: Key, recipient_id: str) -> Key:
    """Beside the heist, reversal or referral that it is about."""
    of_reversal = "#REVERSAL" if subject["sk"] == "REVERSAL" else ""
    return {"pk": subject["pk"], "sk": f"NOTICE#{recipient_id}{of_reversal}"}


def inbox(player_id: str) -> str:
    return f"INBOX#{player_id}"


def inbox_tag(notice_key: Key) -> str:
    """Makes the public id of an inbox item unguessable, and tells which notice it holds."""
    text = f"{notice_key['pk']}/{notice_key['sk'].removeprefix('NOTICE#')}"
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def ledger(player_id: str, season: str, reference: str) -> Key:
    """`reference`: `HEIST#<id>`, `REVERSAL#<heist id>`, `EVENT#<id>` or `IMPORT#OPENING`."""
    return {"pk": f"LEDGER#{player_id}", "sk": f"{season}#{reference}"}


def points_event(event_id: str) -> Key:
    return {"pk": f"POINTS#{event_id}", "sk": "POINTS"}


def point_type(name: str) -> Key:
    return {"pk": "POINT_TYPES", "sk": name}


SETTINGS: Key = {"pk": "SETTINGS", "sk": "HEIST"}
SETTINGS_VERSION = "VERSION#"


def settings_version(version: int) -> Key:
    """The settings as an operator wrote them then."""
    return {"pk": SETTINGS["pk"], "sk": f"{SETTINGS_VERSION}{version:06d}"}


def rate(player_id: str, route: str, minute: datetime) -> Key:
    """One item per player, route and calendar minute in UTC."""
    return {"pk": f"RATE#{player_id}", "sk": f"{route}#{minute:%Y-%m-%dT%H:%M}"}


def action(at: datetime, action_id: str) -> Key:
    """The log of operator actions, one partition per month, in order of time."""
    return {"pk": actions(f"{at:%Y-%m}"), "sk": f"{to_iso(at)}#{action_id}"}


def actions(month: str) -> str:
    """`month` is `YYYY-MM`."""
    return f"ACTIONS#{month}"


def owed_bucket(key: Key) -> str:
    """Spreads what is owed over a few index partitions, so that one does not limit all heists."""
    return OWED_BUCKETS[spread(key["pk"], len(OWED_BUCKETS))]


def refused_bucket(key: Key) -> str:
    """As `owed_bucket`, for refused heists."""
    return REFUSED_BUCKETS[spread(key["pk"], len(REFUSED_BUCKETS))]


def spread(text: str, shards: int) -> int:
    """Which of up to 256 shards a text belongs to."""
    return hashlib.sha256(text.encode()).digest()[0] % shards
