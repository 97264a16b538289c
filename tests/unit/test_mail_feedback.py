"""How a mail is told from every other, and what bounces and complaints come to."""

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heist_core.domain.mail_feedback import (
    Feedback,
    MailName,
    mail_name,
    name_in,
    state_after,
    suppression_after,
    tags_of,
)
from heist_core.domain.mails import MailState
from heist_core.domain.player import Dated, Player, Profile, Suppression
from heist_core.event_contracts import MailFeedback
from heist_core.storage.keys import SUBJECTS
from tests.builders import HOUR, NOW, award, heist, player, reversal, sample

IDS = st.from_regex(r"[A-Za-z0-9._:@|-]{1,64}", fullmatch=True)
ABOUT = st.sampled_from(["heist", "reversal", "referral", "digest"])
TAG_NAME, TAG_VALUE = r"[A-Za-z0-9_-]{1,256}", r"[A-Za-z0-9_@.-]{1,256}"
"""What SES takes (MessageTag in its API's reference)."""
NAME = MailName("heist", "5b0d8c6f2f1e4a31b7d3a9c2e4f60718", "bob")


@given(ABOUT, IDS, IDS)
def test_every_mail_is_found_by_tags_that_ses_takes(about: str, subject: str, whose: str) -> None:
    name = MailName(about, subject, whose)
    tags = tags_of(name)
    assert all(re.fullmatch(TAG_NAME, each) for each in tags)
    assert all(re.fullmatch(TAG_VALUE, each) for each in tags.values())
    assert name_in({each: [value] for each, value in tags.items()}) == name


def test_an_address_as_an_id_is_not_in_a_tag_as_it_is() -> None:
    tags = tags_of(MailName("heist", "h1", "bob@example.com"))
    assert "bob" not in json.dumps(tags)


@given(st.text(), st.text(), st.text())
def test_other_tags_name_no_mail(about: str, subject: str, whose: str) -> None:
    name = name_in({"about": [about], "subject": [subject], "recipient": [whose]})
    assert name is None or (about in ("heist", "reversal", "referral", "digest"))


def test_each_event_has_mails_of_its_own() -> None:
    names = {mail_name(event, "alice") for event in (heist(), reversal(), award())}
    assert {name.about for name in names} == {"heist", "reversal", "referral"} == SUBJECTS.keys()
    assert {name.subject_id for name in names} == {heist().heist_id, "carol"}


@pytest.mark.parametrize("heard", [MailState.BOUNCED, MailState.COMPLAINED])
@pytest.mark.parametrize("seen", MailState)
def test_only_what_was_sent_comes_back_and_a_complaint_stands_above_a_bounce(
    seen: MailState, heard: MailState
) -> None:
    sent = seen in (MailState.SENDING, MailState.SENT, MailState.PARKED)
    worse = (seen, heard) == (MailState.BOUNCED, MailState.COMPLAINED)
    assert state_after(seen, heard) == (heard if sent or worse else None)


def test_what_came_back_is_settled() -> None:
    assert MailState.BOUNCED.settled
    assert MailState.COMPLAINED.settled


def bob(address: str | None = "bob@example.com", stands: str | None = None) -> Player:
    seen = player("bob", email=address)
    suppressed = None if stands is None else Suppression(stands, NOW - HOUR)
    return replace(seen, profile=replace(seen.profile, suppressed=suppressed))


@pytest.mark.parametrize(
    ("seen", "state", "to", "reason"),
    [
        (bob(), MailState.BOUNCED, "bob@example.com", "BOUNCE"),
        (bob(), MailState.COMPLAINED, "bob@example.com", "COMPLAINT"),
        (bob(), MailState.BOUNCED, "Bob@Example.COM", "BOUNCE"),
        (bob(), MailState.BOUNCED, "old@example.com", None),
        (bob(None), MailState.BOUNCED, "bob@example.com", None),
        (bob(stands="BOUNCE"), MailState.BOUNCED, "bob@example.com", None),
        (bob(stands="BOUNCE"), MailState.COMPLAINED, "bob@example.com", "COMPLAINT"),
        (bob(stands="COMPLAINT"), MailState.BOUNCED, "bob@example.com", None),
        (bob(stands="COMPLAINT"), MailState.COMPLAINED, "bob@example.com", None),
    ],
)
def test_an_address_is_suppressed_if_it_is_the_one_that_the_mail_went_to(
    seen: Player, state: MailState, to: str, reason: str | None
) -> None:
    found = suppression_after(seen, Feedback(NAME, state, [to], NOW))
    assert found == (None if reason is None else Suppression(reason, NOW))


def test_no_mail_goes_to_an_address_that_is_suppressed_and_another_is_not() -> None:
    profile = bob(stands="BOUNCE").profile
    assert profile.mail_address is None
    assert profile.moved_to(Dated("BOB@example.com", NOW)).mail_address is None
    assert profile.moved_to(Dated("new@example.com", NOW)).mail_address == "new@example.com"
    assert profile.moved_to(Dated(None, NOW)).suppressed is None
    assert Profile().moved_to(Dated("new@example.com", NOW)).mail_address == "new@example.com"


def test_the_documented_event_is_read_as_what_it_is() -> None:
    event = MailFeedback.model_validate(sample("record_mail_feedback")["detail"])
    name = name_in(event.mail.tags)
    assert name == MailName(
        "heist", "5b0d8c6f2f1e4a31b7d3a9c2e4f60718", "9f0c2a4e-8f5b-4f8e-9d6a-0c6d4f1f7b11"
    )
    feedback = event.feedback(name)
    assert feedback is not None
    assert feedback.state is MailState.BOUNCED
    assert feedback.addresses == ["bob@example.com"]
