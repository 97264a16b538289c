"""The notifier as a state machine, step by step: one inbox item, at most one doubtful mail.

`tests/integration/test_stream_contract.py` does the same against real storage.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

import pytest
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError

from heist_core.domain.errors import Contention, Unavailable
from heist_core.domain.facts import Event
from heist_core.domain.mails import MailRecord, MailState
from heist_core.domain.owed import Owed
from heist_core.domain.player import Player, Preferences
from heist_core.mail.mailer import Mailer
from heist_core.messaging.dead_letters import DeadLetters
from heist_core.settings import LiveSettings, parse_settings
from heist_core.use_cases.notify_players import LEASE, Notified, NotifyPlayers
from tests.builders import MILLISECOND, award, heist, player, reversal
from tests.fakes import (
    Crash,
    FakeClock,
    FakeQueue,
    FakeSes,
    NoticeStore,
    client_error,
    fake_links,
)

ALICE = player("alice", name="Alice", email="alice@example.com")
BOB = player("bob", name="Bob", email="bob@example.com")
REPLY_LOST = ReadTimeoutError(endpoint_url="https://email.example")
UNREACHABLE = EndpointConnectionError(endpoint_url="https://email.example")


class Notifier:
    """A notifier, and everything it reaches."""

    def __init__(
        self, *players: Player, sender: str = "heists@example.com", **settings: object
    ) -> None:
        self.memory = NoticeStore(*(players or (ALICE, BOB)))
        self.ses = FakeSes()
        self.queue = FakeQueue()
        self.time = FakeClock()
        self._notify = NotifyPlayers(
            self.memory.store,
            Mailer(self.ses.client, sender, fake_links(), "heist-core"),
            DeadLetters(self.queue.client, "https://queue"),
            LiveSettings(parse_settings(settings), self.time.monotonic, lambda: None),
            self.time.clock,
        )

    def __call__(self, event: Event | None = None) -> Notified:
        return self._notify(event or heist())

    def after_the_lease(self) -> Notified:
        self.time.at += LEASE
        return self()

    @property
    def states(self) -> dict[str, MailState]:
        return {recipient: record.state for recipient, record in self.memory.records.items()}

    def state(self, recipient: str) -> MailState:
        return self.states[recipient]

    @property
    def settled(self) -> bool:
        return Owed.NOTICES not in self.memory.owed


def failing(call: str) -> Callable[[str], None]:
    def before(called: str) -> None:
        if called == call:
            raise Unavailable

    return before


def test_both_players_get_an_inbox_item_and_a_mail() -> None:
    notifier = Notifier()
    told = notifier()
    assert (told.inbox, told.mails, told.settled) == (2, Counter({MailState.SENT: 2}), True)
    assert notifier.memory.inbox == {"alice": 1, "bob": 1}
    assert notifier.ses.by_address == {"alice@example.com": 1, "bob@example.com": 1}
    assert notifier.settled


def test_of_a_reversal_both_players_get_an_inbox_item_and_a_mail() -> None:
    notifier = Notifier()
    told = notifier(reversal())
    assert (told.inbox, told.mails, told.settled) == (2, Counter({MailState.SENT: 2}), True)
    assert notifier.ses.by_address == {"alice@example.com": 1, "bob@example.com": 1}


def test_each_player_is_told_in_their_own_language() -> None:
    notifier = Notifier(
        player("alice", name="Alice", email="alice@example.com", locale="de-AT"),
        player("bob", name="Bob", email="bob@example.com", locale="tlh"),
    )
    notifier()
    german, english = notifier.ses
    assert german.subject == "Dein Raubzug hat sich gelohnt: +40 Punkte"
    assert "Hallo “Alice”," in german.text
    assert '<html lang="de">' in german.html
    assert english.subject == "You were robbed: -40 points"
    assert notifier.memory.locales == {"alice": "de-AT", "bob": "tlh"}


def test_an_award_is_an_inbox_item_without_a_mail() -> None:
    notifier = Notifier(HEIST_EMAIL_DEFAULT="daily")
    told = notifier(award())
    assert (told.inbox, told.settled, len(notifier.ses)) == (1, True, 0)
    assert notifier.settled


def test_an_award_is_a_mail_to_who_chose_so() -> None:
    notifier = Notifier(TOKEN_MAILS)
    for _ in range(2):
        assert notifier(award()).settled
    assert [(mail.to, mail.subject) for mail in notifier.ses] == [
        ("alice@example.com", "You earned a Heist Token")
    ]


TOKEN_MAILS = replace(ALICE, preferences=Preferences(email={"token": "instant"}))


@pytest.mark.parametrize(
    ("event", "named"),
    [
        (reversal(), {"heistId": heist().attempt.id, "type": "HEIST_REVERSED"}),
        (award(), {"heistId": None, "type": "TOKEN_EARNED", "referredId": "carol"}),
    ],
)
def test_a_refused_mail_is_a_dead_letter_that_names_its_notice(
    event: Event, named: dict[str, object]
) -> None:
    notifier = Notifier(TOKEN_MAILS, BOB)
    notifier.ses.fails(client_error("MessageRejected"))
    notifier(event)
    (letter,) = notifier.queue
    assert letter | named | {"recipientId": "alice"} == letter


@pytest.mark.parametrize(
    ("make", "suppressed"),
    [
        (partial(Notifier, player("alice", email="a@example.com", opted_out=True), BOB), {"alice"}),
        (partial(Notifier, player("alice"), BOB), {"alice"}),
        (partial(Notifier, BOB), {"alice"}),
        (
            partial(Notifier, player("alice", email="alice@example.com", opted_out=False), BOB),
            set(),
        ),
        (partial(Notifier, HEIST_EMAIL_ENABLED="false"), {"alice", "bob"}),
        (partial(Notifier, sender=""), {"alice", "bob"}),
    ],
    ids=["opted out", "no address", "no profile", "opted in", "e-mail off", "no sender"],
)
def test_a_mail_nobody_wants_or_can_get_is_suppressed_and_the_inbox_item_is_not(
    make: Callable[[], Notifier], suppressed: set[str]
) -> None:
    notifier = make()
    told = notifier()
    assert {name for name, state in notifier.states.items() if state is MailState.SUPPRESSED} == (
        suppressed
    )
    assert notifier.memory.inbox == {"alice": 1, "bob": 1}
    assert told.settled
    assert len(notifier.ses) == 2 - len(suppressed)


@pytest.mark.parametrize(
    ("kind", "fact", "suppressed"),
    [
        ("success", heist(), {"alice"}),
        ("robbed", heist(), set()),
        ("reversed", reversal(), {"alice"}),
        ("token", heist(), set()),
    ],
)
def test_a_kind_of_mail_that_its_player_switched_off_is_suppressed(
    kind: str, fact: Event, suppressed: set[str]
) -> None:
    chooser = replace(ALICE, preferences=Preferences(email={kind: "off"}))
    notifier = Notifier(chooser, BOB)
    notifier(fact)
    states = notifier.states.items()
    assert {name for name, state in states if state is MailState.SUPPRESSED} == suppressed
    assert notifier.memory.inbox == {"alice": 1, "bob": 1}


def test_a_daily_kind_waits_for_a_digest_and_the_other_side_is_mailed() -> None:
    notifier = Notifier(replace(ALICE, preferences=Preferences(email={"success": "daily"})), BOB)
    told = notifier()
    assert told.mails == {MailState.DAILY: 1, MailState.SENT: 1}
    assert told.settled
    assert notifier.memory.awaited == {("alice", 1)}
    assert notifier.memory.inbox == {"alice": 1, "bob": 1}
    assert notifier.ses.by_address == {"bob@example.com": 1}


def test_notices_stay_owed_until_a_digest_is_known_to_wait_for_them() -> None:
    notifier = Notifier(HEIST_EMAIL_DEFAULT="daily")
    notifier.memory.before = failing("await_digest")
    assert not notifier().settled
    assert not notifier.settled
    notifier.memory.before = lambda call: None
    assert notifier().settled
    assert notifier.memory.awaited == {("alice", 1), ("bob", 1)}
    assert len(notifier.ses) == 0


def test_a_mail_that_was_to_go_at_once_stays_one_when_its_player_wants_digests_by_now() -> None:
    """A digest goes by what notices said when their inbox items came."""
    notifier = Notifier(ALICE)
    notifier.ses.fails(UNREACHABLE)
    notifier()
    daily = replace(ALICE, preferences=Preferences(email={"success": "daily"}))
    notifier.memory.players["alice"] = daily
    assert notifier().settled
    assert notifier.state("alice") is MailState.SENT
    assert notifier.memory.awaited == set()


def test_a_mail_that_waits_is_not_sent_once_its_player_switched_it_off() -> None:
    notifier = Notifier()
    notifier.ses.fails(UNREACHABLE, UNREACHABLE)
    notifier()
    chooser = replace(ALICE, preferences=Preferences(email={"success": "off"}))
    notifier.memory.players["alice"] = chooser
    notifier()
    assert notifier.states == {"alice": MailState.SUPPRESSED, "bob": MailState.SENT}


def test_notices_are_delivered_while_the_game_is_off() -> None:
    notifier = Notifier(HEIST_ENABLED="false")
    assert notifier().settled
    assert len(notifier.ses) == 2


def test_a_refused_mail_has_failed_for_good_and_is_kept_as_a_dead_letter() -> None:
    notifier = Notifier()
    notifier.ses.fails(client_error("MessageRejected"))
    told = notifier()
    assert notifier.states == {"alice": MailState.FAILED, "bob": MailState.SENT}
    assert told.settled
    assert list(notifier.queue) == [
        {
            "kind": "mail",
            "heistId": heist().attempt.id,
            "type": "HEIST_SUCCESS",
            "recipientId": "alice",
            "state": "FAILED",
            "reason": "MessageRejected",
        }
    ]
    notifier.after_the_lease()
    assert notifier.ses.by_address == {"bob@example.com": 1}
    assert len(notifier.queue) == 1


@pytest.mark.parametrize("error", [client_error("ThrottlingException"), UNREACHABLE])
def test_a_deferred_mail_gives_its_attempt_back_and_is_tried_again_without_a_lease(
    error: Exception,
) -> None:
    notifier = Notifier(ALICE)
    for _ in range(5):
        notifier.ses.fails(error)
        assert not notifier().settled
        assert notifier.memory.records["alice"] == MailRecord(MailState.PENDING, attempts=0)
        assert not notifier.settled
    assert notifier().settled
    assert notifier.ses.by_address == {"alice@example.com": 1}
    assert len(notifier.queue) == 0


def test_a_doubtful_mail_waits_for_its_lease_and_is_sent_once_more() -> None:
    notifier = Notifier(ALICE)
    notifier.ses.loses_reply(REPLY_LOST)
    assert not notifier().settled
    assert notifier.state("alice") is MailState.SENDING

    notifier.time.at += LEASE - MILLISECOND
    assert not notifier().settled
    assert len(notifier.ses) == 1

    notifier.time.at += MILLISECOND
    assert notifier().settled
    assert notifier.state("alice") is MailState.SENT
    assert len(notifier.ses) == 2


def test_a_mail_that_was_doubtful_twice_is_parked_as_a_dead_letter_and_not_sent() -> None:
    notifier = Notifier(ALICE)
    notifier.ses.loses_reply(REPLY_LOST, REPLY_LOST)
    notifier()
    notifier.after_the_lease()
    assert notifier.state("alice") is MailState.SENDING
    told = notifier.after_the_lease()
    assert told.settled
    assert told.mails == {MailState.PARKED: 1}
    assert notifier.state("alice") is MailState.PARKED
    assert [letter["reason"] for letter in notifier.queue] == ["MAIL_DOUBTFUL"]
    notifier.after_the_lease()
    assert len(notifier.ses) == 2
    assert len(notifier.queue) == 1


def test_a_throttled_second_attempt_does_not_forget_that_the_first_was_doubtful() -> None:
    notifier = Notifier(ALICE)
    notifier.ses.loses_reply(REPLY_LOST)
    notifier()
    notifier.ses.fails(client_error("ThrottlingException"))
    notifier.after_the_lease()
    assert notifier.memory.records["alice"] == MailRecord(MailState.PENDING, attempts=1)
    notifier.ses.fails(None)
    notifier.ses.loses_reply(REPLY_LOST)
    notifier()
    notifier.after_the_lease()
    assert notifier.state("alice") is MailState.PARKED
    assert len(notifier.ses) == 2


def test_trouble_with_one_mail_leaves_the_other_alone() -> None:
    notifier = Notifier()
    notifier.ses.fails(client_error("InternalFailure", 500))
    notifier()
    assert notifier.ses.by_address == {"bob@example.com": 1}
    for _ in range(2):
        notifier.after_the_lease()
        assert notifier.ses.by_address == {"alice@example.com": 1, "bob@example.com": 1}


def test_a_mail_is_never_ended_before_its_dead_letter_is_kept() -> None:
    notifier = Notifier(ALICE)
    notifier.ses.fails(client_error("MessageRejected"), client_error("MessageRejected"))
    notifier.queue.fails(client_error("AccessDenied", 403))
    assert not notifier().settled
    assert notifier.state("alice") is MailState.SENDING
    notifier.after_the_lease()
    assert notifier.state("alice") is MailState.FAILED
    assert len(notifier.queue) == 1


def test_an_inbox_item_that_cannot_be_put_is_an_error_and_no_mail_goes_before_it() -> None:
    notifier = Notifier()
    notifier.memory.before = failing("deliver_notice")
    with pytest.raises(Unavailable):
        notifier()
    assert len(notifier.ses) == 0


def test_a_contended_inbox_is_tried_again_until_it_is_free() -> None:
    notifier = Notifier()
    rounds = iter([True] * 5)

    def contended(call: str) -> None:
        if call == "deliver_notice" and next(rounds, False):
            raise Contention

    notifier.memory.before = contended
    assert notifier().settled
    assert len(notifier.time.slept) == 5


class At:
    """Does something before the n-th call of the store, once."""

    def __init__(self, notifier: Notifier, number: int, act: Callable[[], object]) -> None:
        self.happened = False
        self._left = number
        self._act = act
        notifier.memory.before = self

    def __call__(self, call: str) -> None:
        self._left -= 1
        if self._left == 0:
            self.happened = True
            self._act()


def every_step(act: Callable[[Notifier], object]) -> Iterator[tuple[int, Notifier]]:
    """A fresh notifier for every step of a notification, about to `act` before that step."""
    for number in itertools.count(1):
        notifier = Notifier()
        at = At(notifier, number, partial(act, notifier))
        yield number, notifier
        if not at.happened:
            assert number > 6, "so few steps?"
            return


@pytest.mark.parametrize("error", [Crash(), Unavailable(), Contention()])
def test_wherever_it_stops_what_is_left_is_done_later(error: BaseException) -> None:
    def stop(notifier: Notifier) -> None:
        raise error

    for number, notifier in every_step(stop):
        with suppress(Crash, Unavailable):
            notifier()
        notifier.memory.before = lambda call: None
        for _ in range(3):
            notifier.after_the_lease()
        assert notifier.memory.inbox == {"alice": 1, "bob": 1}, number
        assert notifier.settled, number
        assert set(notifier.states.values()) == {MailState.SENT}, number
        assert all(1 <= count <= 2 for count in notifier.ses.by_address.values()), number
        assert notifier.ses.by_address.total() <= 3, number


def test_another_consumer_at_any_step_makes_no_second_item_or_mail() -> None:
    for number, notifier in every_step(lambda notifier: notifier()):
        notifier()
        assert notifier.memory.inbox == {"alice": 1, "bob": 1}, number
        assert notifier.ses.by_address == {"alice@example.com": 1, "bob@example.com": 1}, number


OUTCOMES = {
    "sent": (),
    "throttled": (client_error("ThrottlingException"),),
    "lost before": (client_error("InternalFailure", 500),),
    "lost after": (None, REPLY_LOST),
    "crash before": (Crash(),),
    "crash after": (None, Crash()),
}
DOUBTFUL = {"lost before", "lost after", "crash before", "crash after"}


def attempt(notifier: Notifier, outcome: str) -> None:
    faults = OUTCOMES[outcome]
    if len(faults) == 2:
        notifier.ses.loses_reply(faults[1])
    elif faults:
        notifier.ses.fails(faults[0])
    with suppress(Crash):
        notifier.after_the_lease()
    notifier.ses.fails.clear()
    notifier.ses.loses_reply.clear()


@pytest.mark.parametrize("length", [1, 2, 3])
def test_every_sequence_of_faults_gives_at_most_two_mails_and_loses_none_unnoticed(
    length: int,
) -> None:
    """0, 1, 2 and 3 doubtful faults give at most 1, 2, 2 and 2 mails."""
    for outcomes in itertools.product(OUTCOMES, repeat=length):
        notifier = Notifier(ALICE)
        for outcome in outcomes:
            attempt(notifier, outcome)
        doubtful = _doubtful_before_the_first_success(outcomes)
        for _ in range(3):
            notifier.after_the_lease()
        mails = len(notifier.ses)
        assert mails <= (1, 2, 2, 2)[doubtful], outcomes
        assert notifier.settled, outcomes
        state = notifier.state("alice")
        assert state in (MailState.SENT, MailState.PARKED), outcomes
        assert (state is MailState.PARKED) == bool(len(notifier.queue)), outcomes
        if doubtful < 2:
            assert state is MailState.SENT, outcomes
            assert mails >= 1, outcomes


def _doubtful_before_the_first_success(outcomes: Sequence[str]) -> int:
    before = itertools.takewhile(lambda outcome: outcome != "sent", outcomes)
    return sum(outcome in DOUBTFUL for outcome in before)
