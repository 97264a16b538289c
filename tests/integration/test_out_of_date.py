"""Whoever writes what was decided on an older reading changes nothing: each write on its own."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from heist_core.domain.award import TokenGrant
from heist_core.domain.digests import Digest, Unsent
from heist_core.domain.errors import Contention
from heist_core.domain.facts import Event, Fact
from heist_core.domain.mail_feedback import MailName
from heist_core.domain.mails import MailRecord, MailState
from heist_core.domain.notices import notices_of
from heist_core.domain.player import Player, Preferences, Profile
from heist_core.domain.statistics import Holding, Robber, Takings, hour_of
from heist_core.domain.times import to_iso
from heist_core.storage import counting, inbox_items, items, keys, wire
from heist_core.storage.digests import DigestStore
from heist_core.storage.store import Store
from heist_core.storage.wire import Item
from tests.builders import NOW, award, heist, refused, reversal
from tests.integration.game import Game
from tests.integration.operators import Desk

LATER = NOW + timedelta(days=1)


def changes_nothing(game: Game, write: Callable[[], object]) -> None:
    """It answers False or raises Contention."""
    before = game.everything()
    with suppress(Contention):
        assert write() is False
    assert game.everything() == before


# Players and mails

FEEDBACK = MailName("heist", "h", "bob")
OF_PLAYER: Mapping[str, Callable[[Store, Player], object]] = {
    "profile": lambda store, seen: store.save_profile(seen, Profile(), LATER),
    "preferences": lambda store, seen: store.save_preferences(seen, Preferences(), LATER),
    "feedback": lambda store, seen: store.record_feedback(FEEDBACK, None, seen, Profile(), LATER),
}


@pytest.mark.parametrize("what", OF_PLAYER)
@pytest.mark.parametrize("tokens", [0, 1], ids=["new", "known"])
def test_a_player_who_changed_meanwhile_is_left_as_they_are(
    game: Game, what: str, tokens: int
) -> None:
    game.give("bob", tokens=tokens)
    seen = game.player("bob")
    game.give("bob", points=5)
    changes_nothing(game, lambda: OF_PLAYER[what](game.store, seen))


CLAIMED = MailRecord(MailState.SENDING, 1, "me", LATER)
TO = MailRecord(MailState.BOUNCED, 1)
Move = Callable[[Game, MailRecord], object]
MAILS: Mapping[str, tuple[keys.Key, Move]] = {
    "of a heist, by feedback": (
        keys.notice(keys.heist("h"), "bob"),
        lambda game, seen: game.store.record_feedback(
            FEEDBACK, (seen, TO), Player("bob"), None, LATER
        ),
    ),
    "of a token, by feedback": (
        keys.notice(keys.referral("friend"), "bob"),
        lambda game, seen: game.store.record_feedback(
            MailName("referral", "friend", "bob"), (seen, TO), Player("bob"), None, LATER
        ),
    ),
    "of a token": (
        keys.notice(keys.referral("friend"), "bob"),
        lambda game, seen: game.store.move_mail(award("bob", "friend"), "bob", seen, TO),
    ),
    "of a day": (
        keys.unsent_digest("bob", inbox_items.position_of(3)),
        lambda game, seen: DigestStore(game.gateway).move_unsent("bob", Unsent(0, 3, seen), TO),
    ),
}


@pytest.mark.parametrize("mail", MAILS)
@pytest.mark.parametrize(
    ("seen", "now"),
    [
        (MailRecord(MailState.SENT, 1), MailRecord(MailState.COMPLAINED, 1)),
        (CLAIMED, CLAIMED._replace(owner="another")),
    ],
    ids=["ended", "claimed"],
)
def test_a_mail_that_moved_meanwhile_is_left_where_it_is(
    game: Game, mail: str, seen: MailRecord, now: MailRecord
) -> None:
    key, move = MAILS[mail]
    there = {"told": 0, "upTo": 3, **inbox_items.mail_attributes(now)}
    game.put({**key, **{name: value for name, value in there.items() if value is not None}})
    changes_nothing(game, lambda: move(game, seen))


@pytest.mark.parametrize(
    "fact", [award("bob"), heist(), reversal()], ids=["token", "heist", "reversal"]
)
def test_a_notice_without_an_inbox_that_another_claimed_stays_theirs(
    game: Game, fact: Event
) -> None:
    noted = partial(game.store.note_only, fact, notices_of(fact)[0])
    assert noted(CLAIMED).claimed
    changes_nothing(game, lambda: noted(CLAIMED._replace(owner="another")).claimed)


MOVES: Mapping[str, Callable[[DigestStore, Digest], bool]] = {
    "postpone": lambda digests, seen: digests.postpone(seen, LATER),
    "give back": lambda digests, seen: digests.give_back(seen._replace(mail=CLAIMED)),
    "end": lambda digests, seen: digests.end(seen, MailState.SENT, 5, NOW),
    "keep": lambda digests, seen: digests.keep(seen, MailState.PARKED, NOW),
}


@pytest.mark.parametrize("version", [0, 3])
@pytest.mark.parametrize("more", [0, 1], ids=["all told", "more waits"])
@pytest.mark.parametrize("what", [*MOVES, "claim"])
def test_a_digest_that_somebody_moved_on_is_left_where_it_is(
    game: Game, version: int, more: int, what: str
) -> None:
    waiting = {"awaited": 5 + more, "owedBucket": "0", "owedSince": to_iso(NOW)}
    there: Item = {**keys.digest("bob"), **waiting, "upTo": 5, "mailState": "PENDING"}
    game.put({**there, **({"version": version} if version else {})})
    digests = DigestStore(game.gateway)
    seen = digests.state("bob")
    if what == "claim":
        game.put({**there, "version": version + 1})
        changes_nothing(game, lambda: digests.claim(seen, CLAIMED, 5, NOW.date()) is not None)
        return
    assert MOVES[what](digests, seen)
    assert (digests.state("bob").due_since is None) == (what in ("end", "keep") and not more)
    for late in MOVES.values():
        changes_nothing(game, partial(late, digests, seen))


# Statistics

HOUR = hour_of(NOW)
ROBBERS: Mapping[str, Item] = {
    "nobody yet": keys.robber(1, "alice"),
    "who robbed": counting.robber_item(1, Robber("alice", {HOUR: Takings(1, 40)}, 3)),
    "who robbed, with tokens": counting.robber_item(
        1, Robber("alice", {HOUR: Takings(1, 40)}, 3, Holding(7, 2))
    ),
    "with tokens": {**keys.robber(1, "alice"), "tokensAt": 7, "tokens": 2},
}


@pytest.mark.parametrize("robber", ROBBERS)
@pytest.mark.parametrize("changed", ["version", "tokensAt"])
@pytest.mark.parametrize("what", ["count", "trim"])
def test_a_robber_who_was_counted_meanwhile_is_left_as_counted(
    game: Game, robber: str, changed: str, what: str
) -> None:
    fact, statistics = heist("alice", "bob", at=NOW), game.statistics_store
    game.put(items.heist_item(fact))
    game.put(ROBBERS[robber])
    key = keys.robber(1, "alice")
    after: list[Item] = []

    def by_another() -> None:
        game.change(key, {changed: 99})
        after.extend(game.everything())

    game.once_before("transact_write_items", by_another)
    if what == "trim":
        statistics.trim("alice", hour_of(LATER), 1)
    else:
        with pytest.raises(Contention):
            statistics.count([fact], [], 1, NOW)
    assert game.everything() == after


@pytest.mark.parametrize("robber", ROBBERS)
def test_a_robber_loses_the_hours_before_another_and_keeps_the_tokens(
    game: Game, robber: str
) -> None:
    before = ROBBERS[robber]
    game.put(before)
    game.statistics_store.trim("alice", hour_of(LATER), 1)
    after = game.stored(keys.robber(1, "alice"))
    assert (after["hours"], after.get("tokens")) == ({}, before.get("tokens"))


# What is owed

FACTS: Mapping[str, Fact] = {
    "heist": heist("alice", "bob", at=NOW),
    "refused heist": refused(),
    "reversal": reversal("alice", "bob"),
    "referral": award("alice", "bob"),
    "grant": TokenGrant("action-1", "alice", 1, NOW),
}


@pytest.mark.parametrize("kind", FACTS)
def test_a_guess_that_nothing_else_is_owed_leaves_what_is(game: Game, kind: str) -> None:
    fact = FACTS[kind]
    key = items.subject_key(fact)
    game.put({**key, "owed": {"notices", "statistics"}, "owedBucket": "0", "owedSince": "x"})
    game.store.settle(fact, "statistics", last=True)
    assert game.stored(key)["owed"] == {"notices"}


@pytest.mark.parametrize("kind", FACTS)
def test_what_is_settled_and_gone_does_not_come_back(game: Game, kind: str) -> None:
    game.store.settle(FACTS[kind], "statistics")
    assert game.everything() == []


# The inbox


def with_inbox(game: Game, number: int) -> list[tuple[str, str]]:
    """So many unread items, from before there were counts."""
    for friend in range(number):
        fact = award("bob", f"friend-{friend}", at=game.time())
        game.store.deliver_notice(fact, notices_of(fact)[0], game.time())
    game.delete(keys.read_count("bob"))
    return positions(game)


def positions(game: Game) -> list[tuple[str, str]]:
    """And tags, of all in the inbox."""
    return [
        (str(item["sk"]), str(item["tag"]))
        for item in game.everything()
        if keys.kind_of(item) is keys.Kind.INBOX
    ]


def unread(game: Game) -> int:
    return game.store.unread_count("bob", game.time())


def test_two_who_begin_the_count_of_an_inbox_begin_it_once(game: Game) -> None:
    first, second, _ = with_inbox(game, 3)
    mark = partial(game.store.mark_read, "bob", at=game.time())
    game.once_before("put_item", lambda: mark([first]))
    assert mark([second]) == 1
    assert unread(game) == 1


def test_a_first_notice_does_not_begin_again_what_another_has_begun(game: Game) -> None:
    def another() -> None:
        fact = award("bob", "friend-1", at=game.time())
        game.store.deliver_notice(fact, notices_of(fact)[0], game.time())
        game.store.mark_read("bob", positions(game), game.time())

    game.once_before("put_item", another)
    fact = award("bob", "friend-2", at=game.time())
    with suppress(Contention):  # it comes again
        game.store.deliver_notice(fact, notices_of(fact)[0], game.time())
    game.store.deliver_notice(fact, notices_of(fact)[0], game.time())
    assert unread(game) == 1


def test_an_item_that_expires_while_it_is_to_be_kept_does_not_come_back(game: Game) -> None:
    first, second = with_inbox(game, 2)
    gone = keys.inbox_item("bob", second[0])
    game.once_before("update_item", lambda: game.delete(gone))
    game.store.mark_read("bob", [first], game.time())
    assert game.item(gone) is None


def test_a_count_knows_the_newest_position_whoever_marks_late(game: Game) -> None:
    first, _ = with_inbox(game, 2)
    game.put({**keys.read_count("bob"), "readItems": 0, "newest": 2})
    newer = {"readItems": 5, "newest": 7}
    game.once_before("transact_write_items", lambda: game.change(keys.read_count("bob"), newer))
    assert game.store.mark_read("bob", [first], game.time()) == 1
    assert game.stored(keys.read_count("bob"))["newest"] == 7


# Erasures

TELLS_OF_BOB: Mapping[str, Item] = {
    "heist": items.heist_item(heist("alice", "bob", at=NOW)),
    "reversal": items.reversal_item(reversal("alice", "bob")),
    "referral": items.award_item(award("alice", "bob", "Bob")),
    "notice to another": inbox_items.inbox_item(
        1,
        keys.inbox_tag(keys.notice(keys.referral("bob"), "alice")),
        notices_of(award("alice", "bob", "Bob"))[0],
    ),
}


@pytest.mark.parametrize("kind", TELLS_OF_BOB)
def test_a_record_that_is_gone_before_its_name_is_taken_out_does_not_come_back(
    game: Game, desk: Desk, kind: str
) -> None:
    game.give("bob", points=5, name="Bob")
    record = TELLS_OF_BOB[kind]
    key = keys.key_of(record)
    game.put(record)

    def expires(called: str, request: Mapping[str, Any]) -> None:
        if called == "update_item" and request["Key"] == wire.to_wire(key):
            game.delete(key)

    game.tap.before = expires
    desk("erase", "bob", "--scan", "--reason", "request 17", "--apply")
    assert game.item(key) is None
