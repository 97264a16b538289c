"""What an erasure removes from which item, and how the person then appears to others."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from heist_core.domain.facts import Event, without_names_of
from heist_core.domain.notices import notices_of
from heist_core.storage import inbox_items, items, keys, operator, wire
from heist_core.storage.keys import Source
from heist_core.storage.operator import Redaction, Removal
from heist_core.storage.wire import Item
from tests.builders import award, heist, refused, reversal

HEIST = items.heist_item(heist())
REVERSAL = items.reversal_item(reversal())
REFERRAL = items.award_item(award("alice", "eve"))
NAMING = {"referredName", "referralId"}


def told(event: Event, recipient: str) -> Item:
    """The inbox item that tells somebody of an event."""
    subject = items.subject_key(event)
    (notice,) = [one for one in notices_of(event) if one.recipient_id == recipient]
    return inbox_items.inbox_item(7, keys.inbox_tag(keys.notice(subject, recipient)), notice)


def redaction(kind: str, item: Item, changes: str, **more: object) -> Redaction:
    request = {
        "Key": wire.to_wire({"pk": item["pk"], "sk": item["sk"]}),
        "UpdateExpression": changes,
        "ConditionExpression": "attribute_exists(pk)",
    }
    return Redaction(kind, keys.key_of(item), {**request, **more})


@pytest.mark.parametrize(
    ("item", "player_id", "kind", "changes"),
    [
        (HEIST, "alice", "heists", "REMOVE attackerName, sourceNetwork"),
        (HEIST, "bob", "heists", "REMOVE victimName"),
        (items.refused_heist_item(refused()), "alice", "heists", "REMOVE sourceNetwork"),
        (REVERSAL, "alice", "heists", "REMOVE attackerName"),
        (REVERSAL, "bob", "heists", "REMOVE victimName"),
        (REFERRAL, "eve", "referrals", "REMOVE referralId, referredName"),
        (REFERRAL, "alice", "referrals", "REMOVE referralId"),
    ],
)
def test_names_and_network_are_taken_out_of_records(
    item: Item, player_id: str, kind: str, changes: str
) -> None:
    assert operator.forget(item, player_id) == redaction(kind, item, changes)


@pytest.mark.parametrize(
    ("item", "player_id"),
    [
        (HEIST, "carol"),
        (REVERSAL, "carol"),
        (REFERRAL, "ev"),
        ({key: value for key, value in HEIST.items() if not key.endswith("Name")}, "bob"),
        ({key: value for key, value in REFERRAL.items() if key not in NAMING}, "eve"),
        ({**keys.player("alice"), "name": "Alice"}, "alice"),
        ({**keys.ledger_entry("alice", "2026-11", Source.EVENT, "1"), "points": 3}, "alice"),
        (told(heist(), "bob"), "carol"),
        (told(replace(heist(), attacker_name=None), "bob"), "alice"),
        ({**told(heist(), "bob"), "metadata": "?"}, "alice"),
        ({key: value for key, value in told(heist(), "bob").items() if key != "metadata"}, "alice"),
        (told(award("alice", "eve"), "alice"), "fay"),
    ],
)
def test_items_that_tell_nothing_of_them_stay_as_they_are(item: Item, player_id: str) -> None:
    assert operator.forget(item, player_id) is None


def test_their_inbox_is_deleted() -> None:
    item = told(heist(), "bob")
    key = {"pk": "INBOX#bob", "sk": str(item["sk"])}
    assert operator.forget(item, "bob") == Removal("inbox items", key)


@pytest.mark.parametrize(
    ("event", "recipient", "erased", "name"),
    [
        (heist(), "bob", "alice", "attackerName"),
        (heist(), "alice", "bob", "victimName"),
        (reversal(), "bob", "alice", "attackerName"),
        (reversal(), "alice", "bob", "victimName"),
        (award("alice", "eve"), "alice", "eve", "referredUserName"),
    ],
)
def test_notices_of_others_are_then_about_a_player(
    event: Event, recipient: str, erased: str, name: str
) -> None:
    item = told(event, recipient)
    metadata = item["metadata"]
    assert isinstance(metadata, Mapping)
    assert metadata[name]
    assert operator.forget(item, erased) == redaction(
        "notices of others",
        item,
        f"SET metadata.{name} = :none",
        ConditionExpression="tag = :tag",
        ExpressionAttributeValues={**wire.to_wire({":tag": item["tag"]}), ":none": {"NULL": True}},
    )


def test_a_notice_that_names_them_twice_loses_both() -> None:
    metadata = {"attackerName": "A", "attackerId": "alice", "victimName": "A", "victimId": "alice"}
    found = operator.forget({**told(heist(), "bob"), "metadata": metadata}, "alice")
    assert isinstance(found, Redaction)
    assert found.request["UpdateExpression"] == (
        "SET metadata.attackerName = :none, metadata.victimName = :none"
    )


# What is told afterwards


@pytest.mark.parametrize("event", [heist(), reversal()])
def test_an_erased_side_has_no_name_and_the_other_keeps_theirs(event: Any) -> None:
    assert event.parties == ("alice", "bob")
    assert without_names_of({"alice"}, event) == replace(event, attacker_name=None)
    assert without_names_of({"bob"}, event) == replace(event, victim_name=None)
    both = replace(event, attacker_name=None, victim_name=None)
    assert without_names_of({"alice", "bob"}, event) == both
    assert without_names_of({"carol"}, event) is event


def test_an_erased_friend_has_no_name_and_an_erased_referrer_changes_nothing() -> None:
    event = award("alice", "eve")
    assert event.parties == ("alice", "eve")
    assert without_names_of({"eve"}, event) == replace(event, referred_name=None)
    assert without_names_of({"alice"}, event) is event
