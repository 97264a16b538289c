"""Entities survive the way to items and back; what is no entity is told, by attribute."""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto.dynamodb.parsing.reserved_keywords import ReservedKeywords

from benchmarks.write_units import size_of
from heist_core.domain.award import Award
from heist_core.domain.errors import HeistRefused, Malformed
from heist_core.domain.facts import Event
from heist_core.domain.heist import Attempt, Heist, HeistPlan, RefusedHeist
from heist_core.domain.mails import MailRecord, MailState
from heist_core.domain.notices import (
    InboxItem,
    Metadata,
    Notice,
    NoticeType,
    message_of,
    notices_of,
)
from heist_core.domain.owed import Owed
from heist_core.domain.player import Dated, Preferences, Profile
from heist_core.domain.reversal import Reversal
from heist_core.storage import inbox_items, items, keys, player_items, wire
from heist_core.storage.transactions import save_profile
from heist_core.storage.writes import change
from heist_core.texts import texts_for
from tests.builders import NOW, award, heist, player, refused, reversal, sample

IDS = st.from_regex(r"[A-Za-z0-9._:@|-]{1,64}", fullmatch=True)
TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
NAMES = st.none() | TEXTS
MOMENTS = st.integers(-(10**10), 4 * 10**12).map(lambda ms: NOW + timedelta(milliseconds=ms))
AMOUNTS = st.integers(0, 10**15)
SEASONS = st.from_regex(r"20[0-9]{2}-(0[1-9]|1[0-2])", fullmatch=True)
ATTEMPTS = st.builds(Attempt, IDS, IDS, IDS, st.none() | TEXTS)
PLANS = st.builds(HeistPlan, MOMENTS, SEASONS, AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS, MOMENTS)
HEISTS = st.builds(Heist, ATTEMPTS, PLANS, NAMES, NAMES)
REVERSALS = st.builds(
    Reversal,
    *(IDS, TEXTS, IDS, IDS, NAMES, NAMES, SEASONS, MOMENTS),
    *(AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS, st.booleans(), st.booleans()),
)
AWARDS = st.builds(Award, IDS, IDS, TEXTS, NAMES, MOMENTS)
REFUSALS = st.builds(HeistRefused, TEXTS, TEXTS, st.dictionaries(TEXTS, TEXTS, max_size=2))
REFUSED = st.builds(RefusedHeist, ATTEMPTS, MOMENTS, REFUSALS)

WRITE_UNIT_BYTES = 1024


def dated(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Dated[Any]]:
    return st.just(Dated()) | st.builds(Dated, st.none() | values, MOMENTS)


PROFILES = st.builds(Profile, dated(TEXTS), dated(TEXTS), dated(st.booleans()), dated(TEXTS))


def through_wire(item: wire.Item) -> dict[str, object]:
    return wire.from_wire(wire.to_wire(item))


@given(HEISTS)
def test_a_heist_survives(stored: Heist) -> None:
    item = through_wire(items.heist_item(stored))
    assert items.heist_from(item) == stored
    assert items.event_from(item) == stored
    assert items.owed_of(item) == set(Owed)


@given(REVERSALS)
def test_a_reversal_survives(stored: Reversal) -> None:
    item = through_wire(items.reversal_item(stored))
    assert items.reversal_from(item) == stored
    assert items.event_from(item) == stored
    assert items.owed_of(item) == set(Owed)


@given(REFUSED)
def test_a_refused_heist_survives_with_the_very_words_of_its_refusal(stored: RefusedHeist) -> None:
    found = items.heist_from(through_wire(items.refused_heist_item(stored)))
    assert isinstance(found, RefusedHeist)
    assert (found.attempt, found.at) == (stored.attempt, stored.at)
    assert found.refusal.code == stored.refusal.code
    assert found.refusal.message == stored.refusal.message
    assert found.refusal.details == stored.refusal.details


@given(AWARDS)
def test_an_award_survives(stored: Award) -> None:
    item = through_wire(items.award_item(stored))
    assert items.award_from(item) == stored
    assert items.event_from(item) == stored


@given(PROFILES)
def test_a_profile_survives(profile: Profile) -> None:
    stored = {"version": 1, **player_items.profile_attributes(profile)}
    assert player_items.player_from("alice", through_wire(stored)).profile == profile


@given(HEISTS | REVERSALS | AWARDS, st.integers(1, 10**9), MOMENTS)
def test_an_inbox_item_survives(event: Event, sequence: int, arrived_at: datetime) -> None:
    for notice, locale in zip(notices_of(event), ("pt-BR", None), strict=False):
        told = notice._replace(locale=locale)
        item = through_wire(inbox_items.inbox_item(sequence, "0a1b2c3d", told))
        found = inbox_items.inbox_item_from(item)
        assert found == InboxItem(f"{sequence:010d}-0a1b2c3d", told, None)
        assert item["unread"] == item["sk"]


def test_the_position_in_the_inbox_sorts_as_the_number_does() -> None:
    texts = [
        str(inbox_items.inbox_item(number, "t", notices_of(award())[0])["sk"])
        for number in (1, 9, 10, 99, 100, 10**9)
    ]
    assert texts == sorted(texts)


def test_a_profile_written_whole_reads_back_whole() -> None:
    """`profile_attributes` names every attribute that `player_from` reads, so none can linger."""
    request = save_profile(player(), Profile(), NOW)
    assert request["UpdateExpression"] == (
        "REMOVE #name, nameAt, email, emailAt, emailOptOut, emailOptOutAt, locale, localeAt, "
        "suppressed "
        "ADD version :one"
    )
    assert request["ExpressionAttributeNames"] == {"#name": "name"}


def test_words_that_are_dynamodb_s_own_are_called_otherwise_in_expressions() -> None:
    preferences = player_items.preferences_attributes(Preferences())
    names = {*player_items.profile_attributes(Profile()), *preferences}
    reserved = ReservedKeywords.get_reserved_keywords()
    request = change({}, dict.fromkeys(names), {}, condition="attribute_exists(pk)")
    called = request["ExpressionAttributeNames"]
    assert called == {f"#{name}": name for name in names if name.upper() in reserved}


def test_the_sample_of_the_stream_holds_the_heist_of_the_builders() -> None:
    image = sample("notify_players")["Records"][0]["dynamodb"]["NewImage"]
    found = items.event_from(wire.from_wire(image))
    assert isinstance(found, Heist)
    assert found.plan == heist().plan


# What is kept for how long


def test_a_heist_that_happened_is_kept_for_good_and_a_refused_one_for_thirty_days() -> None:
    assert "expiresAt" not in items.heist_item(heist())
    assert "expiresAt" not in items.award_item(award())
    assert "expiresAt" not in items.reversal_item(reversal())
    day = 24 * 3600
    assert items.refused_heist_item(refused())["expiresAt"] == int(NOW.timestamp()) + 30 * day


def test_an_unread_inbox_item_does_not_expire() -> None:
    assert "expiresAt" not in inbox_items.inbox_item(1, "t", notices_of(heist())[0])


def test_a_notice_has_a_mail_unless_it_is_of_an_award() -> None:
    step = MailRecord(MailState.SENDING, 1, "me", NOW)
    for event in (heist(), reversal()):
        item = inbox_items.notice_item(SUBJECT, notices_of(event)[0], step, 1)
        assert inbox_items.mail_record_from(through_wire(item)) == step
    assert "mailState" not in inbox_items.notice_item(SUBJECT, notices_of(award())[0], None, 1)


def test_a_notice_that_names_no_position_was_put_with_its_inbox_item() -> None:
    notice = notices_of(award())[0]
    assert (
        inbox_items.inbox_position_from(inbox_items.notice_item(SUBJECT, notice, None, None))
        is None
    )
    named = through_wire(inbox_items.notice_item(SUBJECT, notice, None, 12))
    assert inbox_items.inbox_position_from(named) == 12


SUBJECT = keys.heist("h")


# What is no entity


def without(item: wire.Item, name: str) -> dict[str, object]:
    return {other: value for other, value in item.items() if other != name}


HEIST = through_wire(items.heist_item(heist()))
REFUSED_ITEM = through_wire(items.refused_heist_item(refused()))
REVERSAL = through_wire(items.reversal_item(reversal()))
AWARD = through_wire(items.award_item(award()))
OPTIONAL = {
    *("pk", "sk", "sourceNetwork", "attackerName", "victimName", "referredName", "expiresAt"),
    *("owed", "owedBucket", "owedSince", "attackerPointsAfter", "victimPointsAfter", "shortfall"),
    *("referralId", "attackerVersion", "victimVersion", "aboutPlayer"),
}
READERS: list[tuple[Callable[[wire.Item], object], dict[str, object]]] = [
    (items.heist_from, HEIST),
    (items.heist_from, REFUSED_ITEM),
    (items.reversal_from, REVERSAL),
    (items.award_from, AWARD),
]


@pytest.mark.parametrize(
    ("read", "item", "name"),
    [
        pytest.param(read, item, name, id=f"{name}-{item.get('status', item['sk'])}")
        for read, item in READERS
        for name in sorted(set(item) - OPTIONAL)
    ],
)
def test_a_record_without_what_it_needs_is_malformed_by_that_name(
    read: Callable[[wire.Item], object], item: dict[str, object], name: str
) -> None:
    with pytest.raises(Malformed, match=name):
        read(without(item, name))
    for wrong in (b"bytes", {"M": 1}, Decimal("0.5"), ["list"]):
        if not (name == "details" and isinstance(wrong, dict)):
            with pytest.raises(Malformed, match=name):
                read({**item, name: wrong})


@pytest.mark.parametrize(
    "change",
    [
        {"sk": "STATE"},
        {"sk": None},
        {"status": "PENDING"},
        {"createdAt": "yesterday"},
        {"createdAt": "2026-11-22T12:00:00"},
        {"cooldownEndsAt": ""},
        {"pointsStolen": "40"},
        {"pointsStolen": Decimal("1.5")},
        {"attackerId": Decimal(7)},
        {"attackerName": Decimal(7)},
    ],
)
def test_a_record_with_the_wrong_values_is_malformed(change: dict[str, object]) -> None:
    with pytest.raises(Malformed):
        items.event_from({**HEIST, **change})


def test_a_refused_heist_owes_nobody_anything() -> None:
    with pytest.raises(Malformed):
        items.event_from(REFUSED_ITEM)


@pytest.mark.parametrize("owed", [{"money"}, {"notices", "money"}, "notices", ["notices"]])
def test_a_marker_that_names_something_unknown_is_malformed(owed: object) -> None:
    with pytest.raises(Malformed):
        items.owed_of({"owed": owed})


def test_no_marker_owes_nothing() -> None:
    assert items.owed_of({}) == frozenset()


@pytest.mark.parametrize(
    "image",
    [
        {"pk": "HEIST#1"},
        {"pk": None},
        {"pk": {}},
        {"pk": {"S": "a", "N": "1"}},
        {"pk": {"X": "a"}},
        {"points": {"N": "forty"}},
        {"owed": {"SS": 7}},
        {"pk": ["S"]},
    ],
)
def test_an_image_that_is_not_typed_is_malformed(image: dict[str, object]) -> None:
    with pytest.raises(Malformed):
        items.event_from(wire.from_wire(image))


@pytest.mark.parametrize("state", [None, "POSTED", "sent", Decimal(1)])
def test_a_mail_in_no_known_state_is_malformed(state: object) -> None:
    with pytest.raises(Malformed, match="mailState"):
        inbox_items.mail_record_from({"mailState": state})


def test_a_mail_record_reads_its_lease() -> None:
    item: dict[str, object] = {
        "mailState": "SENDING",
        "mailAttempts": Decimal(2),
        "mailOwner": "o",
        "mailLeaseUntil": "2026-11-22T12:00:03.117Z",
    }
    assert inbox_items.mail_record_from(item) == MailRecord(MailState.SENDING, 2, "o", NOW)


# What players are told


@pytest.mark.parametrize(
    ("event", "messages"),
    [
        (
            heist(),
            [
                "Success! You pulled a heist on Bob and stole 40 points!",
                "Oh no! Alice just pulled a heist on you and stole 40 of your monthly points!",
            ],
        ),
        (
            heist(attacker_name=None, victim_name=None),
            [
                "Success! You pulled a heist on a player and stole 40 points!",
                "Oh no! Someone just pulled a heist on you and stole 40 of your monthly points!",
            ],
        ),
        (
            reversal(),
            [
                "Your heist on Bob was reversed: 40 points went back.",
                "A heist on you was reversed: you got 40 points back.",
            ],
        ),
        (
            reversal(stolen=1, returned=1, attacker_name=None, victim_name=None, refunded=True),
            [
                (
                    "Your heist on a player was reversed: 1 point went back. "
                    "You have your Heist Token back."
                ),
                "A heist on you was reversed: you got 1 point back.",
            ],
        ),
        (
            reversal(returned=30),
            [
                "Your heist on Bob was reversed: 30 of 40 points went back.",
                "A heist on you was reversed: you got 30 of 40 points back.",
            ],
        ),
        (award(), ["You earned a Heist Token! Carol joined using your referral code."]),
        (award(name=None), ["You earned a Heist Token! Someone joined using your referral code."]),
    ],
)
def test_the_messages_are_the_specifications(event: Event, messages: list[str]) -> None:
    english = texts_for("en")
    assert [english.message(message_of(notice)) for notice in notices_of(event)] == messages


def test_the_metadata_are_the_specifications() -> None:
    attackers, victims = notices_of(heist(victim_name=None))
    assert attackers == Notice(
        "alice",
        NoticeType.HEIST_SUCCESS,
        heist().attempt.id,
        {"victimName": None, "pointsStolen": 40, "victimId": "bob"},
        NOW,
    )
    expected: Metadata = {"attackerName": "Alice", "pointsLost": 40, "attackerId": "alice"}
    assert (victims.recipient_id, victims.type, victims.metadata) == (
        "bob",
        NoticeType.HEIST_VICTIM,
        expected,
    )
    attackers, victims = notices_of(reversal(returned=30, refunded=True))
    amounts: Metadata = {"pointsStolen": 40, "pointsReturned": 30, "shortfall": 10}
    assert attackers == Notice(
        "alice",
        NoticeType.HEIST_REVERSED,
        heist().attempt.id,
        {"victimName": "Bob", "victimId": "bob", "tokenRefunded": True, **amounts},
        NOW,
    )
    assert victims == Notice(
        "bob",
        NoticeType.HEIST_REVERSED,
        heist().attempt.id,
        {"attackerName": "Alice", "attackerId": "alice", **amounts},
        NOW,
    )
    (earned,) = notices_of(award())
    assert (earned.heist_id, earned.metadata) == (None, {"referredUserName": "Carol"})


def test_notices_of_a_heist_and_of_its_reversal_lie_side_by_side() -> None:
    places = [
        keys.notice(items.subject_key(event), player_id)
        for event in (heist(), reversal())
        for player_id in ("alice", "bob")
    ]
    assert len({str(place) for place in places}) == 4
    assert len({keys.inbox_tag(place) for place in places}) == 4
    assert {place["pk"] for place in places} == {f"HEIST#{heist().attempt.id}"}


def test_what_is_owed_is_spread_over_the_buckets() -> None:
    used = {keys.owed_bucket(keys.heist(f"heist-{number}")) for number in range(200)}
    assert used == set(keys.OWED_BUCKETS)
    assert keys.SET_ASIDE_BUCKET not in used


def test_no_item_outgrows_a_write_unit() -> None:
    """Ids as long as Cognito's, names of the greatest length."""
    name = "N" * 100
    event = heist("a" * 36, "v" * 36, attacker_name=name, victim_name=name, at=NOW)
    for item in (
        items.heist_item(event),
        *items.heist_ledger_items(event),
        *(inbox_items.inbox_item(1, "0" * 8, notice) for notice in notices_of(event)),
    ):
        assert size_of(wire.to_wire(item)) <= WRITE_UNIT_BYTES, item
