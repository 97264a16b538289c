"""Daily digests: what they add up to, when they go, and a morning on which very many are due."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, cast

import pytest

from heist_core.domain.digests import Digest, Summary, Totals, slot
from heist_core.domain.errors import MailDeferred
from heist_core.domain.mails import MailRecord, MailState
from heist_core.domain.notices import InboxItem, notices_of
from heist_core.domain.player import Player, Preferences
from heist_core.messaging.dead_letters import DeadLetters
from heist_core.settings import LiveSettings, parse_settings
from heist_core.use_cases.send_digests import DEFERRED_IN_A_ROW, SendDigests, Sent
from tests.builders import NOW, award, heist, player, reversal
from tests.fakes import FakeClock, FakeQueue

if TYPE_CHECKING:
    from heist_core.mail.mailer import Mailer
    from heist_core.storage.digests import DigestStore
    from heist_core.storage.store import Store

TODAY, TOMORROW = date(2026, 11, 22), date(2026, 11, 23)
MANY = 10_000


def item(number: int, *, read: bool = False) -> InboxItem:
    """One of bob's, who was robbed."""
    event = heist("alice", "bob", f"{number:032x}", attacker_name=f"Robber {number}")
    notice = notices_of(event)[1]
    return InboxItem(f"{number:010d}-0a1b2c3d", notice, NOW if read else None)


# What they add up to


def test_a_summary_counts_each_kind_and_adds_up_points() -> None:
    events = (
        heist("alice", "bob", "1" * 32, stolen=40),
        heist("alice", "bob", "2" * 32, stolen=2),
        heist("bob", "carol", "3" * 32, stolen=7),
        reversal("alice", "bob"),
        award("bob", "dora"),
    )
    notices = [
        notice for event in events for notice in notices_of(event) if notice.recipient_id == "bob"
    ]
    items = [InboxItem(f"{n:010d}-0a1b2c3d", notice, None) for n, notice in enumerate(notices)]
    assert Summary(items).totals == Totals(
        robberies=2, points_lost=42, heists=1, points_stolen=7, reversals=1, tokens=1
    )
    assert Summary(items).others == {"alice", "carol", "dora"}


@pytest.mark.parametrize(("items", "more"), [(1, 0), (20, 0), (21, 1), (300, 280)])
def test_a_summary_shows_twenty(items: int, more: int) -> None:
    summary = Summary([item(number, read=number % 2 == 0) for number in range(items)])
    assert (len(summary.shown), summary.more) == (items - more, more)
    assert summary.unread == items // 2


def test_names_of_others_go_when_they_are_erased_and_nothing_else_does() -> None:
    summary = Summary([item(1)])
    assert summary.without_names_of({"bob", "dora"}) == summary
    (without,) = summary.without_names_of({"alice"}).items
    assert without.notice.metadata == {**item(1).notice.metadata, "attackerName": None}
    (token,) = notices_of(award("bob", "dora", "Dora"))
    (hidden,) = Summary([InboxItem("1-x", token, None)]).without_names_of({"dora"}).items
    assert hidden.notice.metadata == {"referredUserName": None}


# When they go


@pytest.mark.parametrize(
    ("day", "expected"),
    [(None, TODAY), (date(2026, 11, 21), TODAY), (TODAY, TOMORROW), (TOMORROW, TOMORROW)],
)
def test_the_next_is_of_today_unless_that_went(day: date | None, expected: date) -> None:
    assert Digest("bob", day=day).next_slot(NOW) == slot("bob", expected)


def test_a_place_in_the_hour_is_the_players_own_and_the_same_every_day() -> None:
    assert slot("bob", TOMORROW) - slot("bob", TODAY) == timedelta(days=1)
    assert slot("bob", TODAY) != slot("alice", TODAY)


# A morning


class Digests:
    """What sending needs of storage, in memory: every player has one line."""

    def __init__(self, players: Iterable[str]) -> None:
        self.waiting = dict.fromkeys(players, Digest("", awaited=1, due_since=NOW))
        self.writes = 0

    def due(self, moment: datetime) -> Iterator[str]:
        yield from list(self.waiting)

    def state(self, player_id: str) -> Digest:
        return self.waiting.get(player_id, Digest(player_id))._replace(player_id=player_id)

    def notices(self, player_id: str, after: int, up_to: int | None) -> tuple[list[InboxItem], int]:
        return [item(1)], 1

    def claim(self, seen: Digest, claim: MailRecord, up_to: int, day: date) -> Digest:
        self.writes += 1
        return seen._replace(mail=claim, day=day)

    def give_back(self, claimed: Digest) -> bool:
        self.writes += 1
        return True

    def end(self, seen: Digest, state: MailState, up_to: int, now: datetime) -> bool:
        self.writes += 1
        del self.waiting[seen.player_id]
        return True

    def players_and_settings(
        self, player_ids: Iterable[str], *, with_settings: bool
    ) -> tuple[dict[str, Player], None]:
        daily = Preferences(email={"robbed": "daily"})
        return {
            who: replace(player(who, email=f"{who}@example.com"), preferences=daily)
            for who in player_ids
        }, None

    def settings_item(self) -> None:
        return None


class Post:
    """A mailer that renders nothing; `fails` says what it raises next, None: nothing."""

    enabled = True

    def __init__(self) -> None:
        self.by_address: Counter[str] = Counter()
        self.fails: list[str | None] = []

    def send_digest(self, to: str, summary: Summary, recipient: Player) -> None:
        code = self.fails.pop(0) if self.fails else None
        if code is not None:
            raise MailDeferred(code)
        self.by_address[to] += 1


class Morning:
    """A sender, and everything it reaches."""

    def __init__(self, players: Iterable[str]) -> None:
        self.digests = Digests(players)
        self.post = Post()
        time = FakeClock()
        settings = LiveSettings(parse_settings({}), time.monotonic, lambda: None)
        self._send = SendDigests(
            cast("Store", self.digests),
            cast("DigestStore", self.digests),
            cast("Mailer", self.post),
            DeadLetters(FakeQueue().client, "https://queue"),
            settings,
            time.clock,
        )

    def run(self, at_most: int = MANY) -> Sent:
        return self._send(_after(at_most))


def _after(count: int) -> Callable[[], bool]:
    asked = itertools.count()
    return lambda: next(asked) >= count


def test_ten_thousand_that_are_due_at_once_go_over_as_many_runs_as_it_takes() -> None:
    players = [f"p{number}" for number in range(MANY)]
    morning = Morning(players)
    runs = [morning.run(at_most=3_000)]
    while runs[-1].unfinished:
        runs.append(morning.run(at_most=3_000))
    assert [run.digests[MailState.SENT] for run in runs] == [3_000, 3_000, 3_000, 1_000]
    assert morning.post.by_address == {f"{who}@example.com": 1 for who in players}
    assert morning.digests.writes == 2 * MANY
    assert morning.run() == Sent()


def test_a_run_gives_up_when_ses_takes_none_and_leaves_the_rest_untouched() -> None:
    morning = Morning(f"p{number}" for number in range(1_000))
    morning.post.fails = ["LimitExceededException"] * DEFERRED_IN_A_ROW
    run = morning.run()
    assert (run.digests, run.waiting) == ({MailState.PENDING: 3}, 3)
    assert (run.unfinished, run.deferred) == (True, "LimitExceededException")
    assert morning.digests.writes == 2 * DEFERRED_IN_A_ROW
    assert morning.run().digests == {MailState.SENT: 1_000}


def test_a_run_goes_on_while_some_are_taken() -> None:
    morning = Morning(f"p{number}" for number in range(100))
    morning.post.fails = ["ThrottlingException", "ThrottlingException", None] * 30
    run = morning.run()
    assert not run.unfinished
    assert run.digests == {MailState.PENDING: 60, MailState.SENT: 40}
