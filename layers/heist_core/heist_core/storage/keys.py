"""Every kind of item that the table holds, and where each lies.

No id can hold a `#`, so no id can reach into another item's key.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from enum import Enum, StrEnum

from heist_core.domain.board import HIGHEST_POINTS, tie_of
from heist_core.domain.times import to_iso

Key = dict[str, str]

OWED_BUCKETS = tuple(str(number) for number in range(8))
REFUSED_BUCKETS = tuple(f"refused-{number}" for number in range(4))
"""Apart: the notifier's filter leaves refusals out, and no flood of them delays a notice."""
DIGEST_BUCKETS = tuple(f"digest-{number}" for number in range(4))
"""Apart: only the function that sends digests looks into them, and no stream consumer."""
SET_ASIDE_BUCKET = "aside"
HELD_BUCKET = "held"


class Kind(Enum):
    """The first word of the partition key and of the sort key; an empty word stands for any.

    Whatever sorts items by their kinds names each of these, also those that it passes over:
    tests/unit/test_kinds.py.
    """

    PLAYER = "PLAYER", "STATE"
    OLD_SEASONS = "PLAYER", "SEASONS"
    """A player's points of seasons before the last one."""
    HEIST = "HEIST", "HEIST"
    """A heist that happened, or an attempt that was refused."""
    REVERSAL = "HEIST", "REVERSAL"
    REFERRAL = "REFERRAL", "REFERRAL"
    """An award that was given, or is held."""
    NOTICE = "", "NOTICE"
    """A recipient's notice of the heist, reversal or referral beside it, with its mail's state."""
    INBOX = "INBOX", ""
    READ_COUNT = "INBOX", "READ"
    """How many items of an inbox were read, ever. It sorts behind the newest of them."""
    DIGEST = "DIGEST", ""
    """How far a player's digests are, or one of them that waits for an operator."""
    LEDGER = "LEDGER", ""
    POINTS_EVENT = "POINTS", "POINTS"
    GRANT = "GRANT", ""
    """Tokens that an operator gave to a player."""
    RATE = "RATE", ""
    POINT_TYPE = "POINT_TYPES", ""
    SETTINGS = "SETTINGS", "HEIST"
    SETTINGS_VERSION = "SETTINGS", "VERSION"
    ACTION = "ACTIONS", ""
    REQUEST = "REQUEST", "REQUEST"
    """What an operator's request under an Idempotency-Key was answered with."""
    DAY = "DAY", "DAY"
    BALANCES = "BALANCES", "BALANCES"
    HOLDING = "HOLDING", "HOLDING"
    """Tokens of a robber, as they were counted before 2026-11-28; a rebuild deletes these."""
    ROBBER = "ROBBER", "ROBBER"
    GENERATION = "STATISTICS", "GENERATION"
    IMPORT = "IMPORT", "RUN"
    AUDIT = "AUDIT", "LAST"
    """What the last nightly audit found."""
    BOARD = "BOARD", ""
    """A season's leaderboard: its curve, its first places at a moment, or as it was closed."""

    def __init__(self, partition: str, sort: str) -> None:
        self.partition = partition
        self.sort = sort

    def key(self, *which: object, sort: str = "") -> Key:
        return {"pk": "#".join((self.partition, *map(str, which))), "sk": sort or self.sort}


_KINDS = {(kind.partition, kind.sort): kind for kind in Kind}


def kind_of(item: Mapping[str, object]) -> Kind | None:
    """None for what is none of ours, such as an item that somebody wrote by hand."""
    partition, sort = (str(item.get(name, "")).partition("#")[0] for name in ("pk", "sk"))
    for words in ((partition, sort), (partition, ""), ("", sort)):
        if words in _KINDS:
            return _KINDS[words]
    return None


def key_of(item: Mapping[str, object]) -> Key:
    return {"pk": str(item["pk"]), "sk": str(item["sk"])}


def place_of(item: Mapping[str, object]) -> str:
    """Both parts of a key as one text."""
    return f"{item['pk']}/{item['sk']}"


def id_of(item: Mapping[str, object]) -> str:
    """Whose or which an item is: the part of its partition key behind the first word."""
    return str(item["pk"]).partition("#")[2]


# Players


def player(player_id: str) -> Key:
    return Kind.PLAYER.key(player_id)


def old_seasons(player_id: str) -> Key:
    return Kind.OLD_SEASONS.key(player_id)


def inbox(player_id: str) -> str:
    """The partition of a player's inbox."""
    return f"{Kind.INBOX.partition}#{player_id}"


def read_count(player_id: str) -> Key:
    return Kind.READ_COUNT.key(player_id)


def inbox_item(player_id: str, position: str) -> Key:
    return Kind.INBOX.key(player_id, sort=position)


def inbox_tag(notice_key: Key) -> str:
    """Makes the public id of an inbox item unguessable, and tells which notice it holds."""
    text = f"{notice_key['pk']}/{notice_key['sk'].removeprefix(f'{Kind.NOTICE.sort}#')}"
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def digest(player_id: str) -> Key:
    return Kind.DIGEST.key(player_id, sort="NEXT")


def unsent_digest(player_id: str, up_to: str) -> Key:
    """`up_to`: the position in the inbox that it goes up to."""
    return Kind.DIGEST.key(player_id, sort=f"UNSENT#{up_to}")


class Source(StrEnum):
    """What a ledger entry's points are from."""

    GAIN = "GAIN"
    LOSS = "LOSS"
    REVERSAL = "REVERSAL"
    EVENT = "EVENT"
    IMPORT = "IMPORT"


def ledger(player_id: str) -> str:
    """The partition of a player's ledger."""
    return f"{Kind.LEDGER.partition}#{player_id}"


def ledger_entry(player_id: str, season: str, source: Source, source_id: str) -> Key:
    """`source_id`: that of the reversed heist or of the event; `OPENING` of an import."""
    return Kind.LEDGER.key(player_id, sort=f"{season}#{source}#{source_id}")


def heist_entry(player_id: str, season: str, source: Source, at: datetime, heist_id: str) -> Key:
    """Of a gain or a loss; those of a season lie in order of time."""
    return ledger_entry(player_id, season, source, f"{to_iso(at)}#{heist_id}")


def ledger_entry_of(item: Mapping[str, object]) -> tuple[str, Source, str]:
    """Season, source and the source's id. Raises ValueError."""
    season, word, source_id = str(item["sk"]).split("#", 2)
    source = Source(word)
    if source in (Source.GAIN, Source.LOSS):
        _, _, source_id = source_id.partition("#")
    return season, source, source_id


def points_event(event_id: str) -> Key:
    return Kind.POINTS_EVENT.key(event_id)


def grants(player_id: str) -> str:
    """The partition of what operators gave to a player."""
    return f"{Kind.GRANT.partition}#{player_id}"


def grant(player_id: str, action_id: str) -> Key:
    """One for each action, however often it is tried."""
    return Kind.GRANT.key(player_id, sort=action_id)


def rate(player_id: str, route: str, minute: datetime) -> Key:
    """One item per player, route and calendar minute in UTC."""
    return Kind.RATE.key(player_id, sort=f"{route}#{minute:%Y-%m-%dT%H:%M}")


# What happened


def heist(heist_id: str) -> Key:
    return Kind.HEIST.key(heist_id)


def reversal(heist_id: str) -> Key:
    return Kind.REVERSAL.key(heist_id)


def referral(referred_id: str) -> Key:
    return Kind.REFERRAL.key(referred_id)


SUBJECTS = {"heist": heist, "reversal": reversal, "referral": referral}
"""The key of what a mail is about, by the words of `domain.mail_feedback`."""


def notice(subject: Key, recipient_id: str) -> Key:
    """Beside the heist, reversal or referral that it is about."""
    of_reversal = f"#{Kind.REVERSAL.sort}" if subject["sk"] == Kind.REVERSAL.sort else ""
    return {"pk": subject["pk"], "sk": f"{Kind.NOTICE.sort}#{recipient_id}{of_reversal}"}


def owed_bucket(key: Key) -> str:
    """Spreads what is owed over index partitions, so that one does not throttle all heists."""
    return OWED_BUCKETS[spread(key["pk"], len(OWED_BUCKETS))]


def digest_bucket(player_id: str) -> str:
    return DIGEST_BUCKETS[spread(player_id, len(DIGEST_BUCKETS))]


def refused_bucket(key: Key) -> str:
    """As `owed_bucket`, for refused heists."""
    return REFUSED_BUCKETS[spread(key["pk"], len(REFUSED_BUCKETS))]


def spread(text: str, shards: int) -> int:
    """Which of up to 256 shards a text belongs to."""
    return hashlib.sha256(text.encode()).digest()[0] % shards


# Settings and operators


def point_type(name: str) -> Key:
    return Kind.POINT_TYPE.key(sort=name)


SETTINGS = Kind.SETTINGS.key()
SETTINGS_VERSIONS = f"{Kind.SETTINGS_VERSION.sort}#"
"""What the sort keys of all versions begin with, in the partition of the settings."""


def settings_version(version: int) -> Key:
    """The settings as an operator wrote them then."""
    return Kind.SETTINGS_VERSION.key(sort=f"{SETTINGS_VERSIONS}{version:06d}")


def request(request_id: str) -> Key:
    return Kind.REQUEST.key(request_id)


def action(at: datetime, action_id: str) -> Key:
    """The log of operator actions, one partition per month, in order of time."""
    return Kind.ACTION.key(f"{at:%Y-%m}", sort=f"{to_iso(at)}#{action_id}")


def actions(month: str) -> str:
    """The partition of a month's actions; `month` is `YYYY-MM`."""
    return f"{Kind.ACTION.partition}#{month}"


IMPORT = Kind.IMPORT.key()
"""Which export a table was filled from, so that it takes no other."""

AUDIT = Kind.AUDIT.key()


# The leaderboard. Players of odd and of even months lie in an index each, so that a month is still
# there when the next has begun. Its partition keys are `board_shard`, its sort keys `board_place`.

BOARD_SHARDS = 4


def board_index(season: str) -> str:
    """`odd` or `even`; the index and what its keys begin with."""
    return "odd" if int(season[-2:]) % 2 else "even"


def board_shard(season: str, shard: int) -> str:
    return f"{Kind.BOARD.partition}#{season}#{shard}"


def board_place(player_id: str, points: int) -> str:
    """Sorts as `domain.board.order` does."""
    return f"{place_from(points)}#{tie_of(player_id)}"


def place_from(points: int) -> str:
    """Below the places of all who have so many points, and above those who have fewer."""
    return f"{points:0{len(str(HIGHEST_POINTS))}d}"


def place_among(points: int, tie: int) -> str:
    """Somewhere among those who have so many points; `tie` has 32 bits."""
    return f"{place_from(points)}#{tie:08x}"


def points_at(board_place: str) -> int:
    return int(board_place.partition("#")[0])


def board_curve(season: str) -> Key:
    return Kind.BOARD.key(season, sort="CURVE")


def board_view(season: str, moment: datetime) -> Key:
    """The first places as they were then."""
    return Kind.BOARD.key(season, sort=f"VIEW#{to_iso(moment)}")


def board_final(season: str) -> Key:
    return Kind.BOARD.key(season, sort="FINAL")


# Statistics: all but the pointer carry a generation: a rebuild makes new ones beside the old.

GENERATION = Kind.GENERATION.key()


def day(generation: int, date: str, shard: int) -> Key:
    return Kind.DAY.key(generation, date, shard)


def balances(generation: int, shard: int) -> Key:
    return Kind.BALANCES.key(generation, shard)


def robber(generation: int, player_id: str) -> Key:
    return Kind.ROBBER.key(generation, player_id)


def generation_of(item: Mapping[str, object]) -> int:
    """The generation of a day, of balances, of a holding or of a robber."""
    return int(id_of(item).partition("#")[0])


def robber_id_of(item: Mapping[str, object]) -> str:
    return id_of(item).partition("#")[2]
