"""Links that end a kind of mail: who can make one, and how long it works."""

import base64
import json
from datetime import timedelta

import pytest
from botocore.exceptions import ReadTimeoutError
from hypothesis import given
from hypothesis import strategies as st

from heist_core.domain.errors import Misconfigured, Unavailable
from heist_core.domain.times import to_iso
from heist_core.domain.unsubscribing import (
    LINKED_KINDS,
    Link,
    address_hint,
    key_id,
    link_in,
    token_of,
)
from heist_core.mail.links import LOOK_AGAIN_SECONDS, SIGNING_SECONDS
from tests.builders import NOW
from tests.fakes import FakeClock, FakeSecrets, client_error, fake_links

KEY, OTHER = "k" * 64, "o" * 64
KEYS = {key_id(KEY): KEY}
LINK = Link("1c7f6c0e-6a53-4b0c-9f57-6a2b8a7f4c22", "robbed")
TOKEN = token_of(KEY, LINK)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
PLAYER_IDS = st.from_regex(r"[A-Za-z0-9._:@|-]{1,64}", fullmatch=True)


@given(PLAYER_IDS, st.sampled_from(sorted(LINKED_KINDS)))
def test_a_token_names_its_player_and_kind_in_characters_that_urls_keep(
    player_id: str, kind: str
) -> None:
    token = token_of(KEY, Link(player_id, kind))
    assert set(token) <= set(ALPHABET)
    assert link_in(token, KEYS) == (player_id, kind)


def test_no_other_character_anywhere_is_a_token() -> None:
    """The last one included, of which base64 ignores some bits."""
    for at, right in enumerate(TOKEN):
        for wrong in {*ALPHABET, "=", "+", "/", " ", "%", "é"} - {right}:
            assert link_in(TOKEN[:at] + wrong + TOKEN[at + 1 :], KEYS) is None


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "=",
        TOKEN[:-1],
        TOKEN + "A",
        TOKEN + "=",
        TOKEN + "\n",
        f" {TOKEN}",
        TOKEN.swapcase(),
        TOKEN + TOKEN,
        "A" * 10_000,
        "\ud800",
        base64.urlsafe_b64encode(b"x" * 32 + b"a b").decode(),
        base64.urlsafe_b64encode(b"x" * 32 + b"\xff\xff\xff").decode(),
    ],
)
def test_nothing_else_is_a_token(wrong: str) -> None:
    assert link_in(wrong, KEYS) is None


@given(st.text())
def test_no_text_is_a_token_by_chance(text: str) -> None:
    assert link_in(text, KEYS) is None


def test_only_who_has_the_key_makes_tokens_and_only_of_known_kinds() -> None:
    assert link_in(token_of(OTHER, LINK), KEYS) is None
    assert link_in(token_of("", LINK), {}) is None
    assert link_in(token_of("nobody's", LINK), KEYS) is None
    assert link_in(token_of(KEY, Link("alice", "invoices")), KEYS) is None


def test_a_key_is_told_by_eight_digits_that_say_nothing_of_it() -> None:
    assert len(key_id(KEY)) == 8
    assert key_id(KEY) != key_id(OTHER)
    assert KEY not in base64.urlsafe_b64decode(TOKEN + "==").decode("latin-1")


@pytest.mark.parametrize(
    ("address", "hint"),
    [
        ("alice@example.com", "a…@example.com"),
        ("a@example.com", "a…@example.com"),
        ('"odd@one"@example.com', '"…@example.com'),
    ],
)
def test_a_hint_tells_the_first_character_and_the_domain(address: str, hint: str) -> None:
    assert address_hint(address) == hint


# The key


def token_in(url: str) -> str:
    return url.removeprefix("https://api.example.com/api/heist/unsubscribe/")


def test_the_key_is_read_when_first_needed_and_again_after_an_hour() -> None:
    secrets, clock = FakeSecrets(), FakeClock()
    links = fake_links(secrets, clock)
    assert secrets.reads == 0
    for _ in range(3):
        links.to(*LINK)
    assert secrets.reads == 1
    clock.pass_(seconds=SIGNING_SECONDS)
    assert token_in(links.to(*LINK)) == TOKEN
    assert secrets.reads == 2


def test_a_link_of_a_key_that_was_rotated_works_until_its_time_and_not_longer() -> None:
    until = NOW + timedelta(days=60)
    clock = FakeClock()
    links = fake_links(FakeSecrets(OTHER, **{KEY: to_iso(until)}), clock)
    assert token_in(links.to(*LINK)) == token_of(OTHER, LINK)
    assert links.link_in(TOKEN) == LINK
    clock.at = until - timedelta(milliseconds=1)
    assert links.link_in(TOKEN) == LINK
    clock.at = until
    assert links.link_in(TOKEN) is None
    assert links.link_in(token_of(OTHER, LINK)) == LINK


def test_an_instance_that_knows_an_older_key_looks_before_it_says_that_a_link_is_wrong() -> None:
    secrets, clock = FakeSecrets(), FakeClock()
    links = fake_links(secrets, clock)
    assert links.link_in(TOKEN) == LINK
    secrets.holds(OTHER, **{KEY: to_iso(NOW + timedelta(days=60))})
    clock.pass_(seconds=LOOK_AGAIN_SECONDS)
    assert links.link_in(token_of(OTHER, LINK)) == LINK
    assert links.link_in(TOKEN) == LINK


def test_wrong_tokens_do_not_make_an_instance_read_the_key_each_time() -> None:
    secrets = FakeSecrets()
    links = fake_links(secrets)
    for _ in range(100):
        assert links.link_in("wrong") is None
    assert secrets.reads == 1


def test_an_instance_that_has_a_key_goes_on_signing_while_no_other_can_be_had() -> None:
    secrets, clock = FakeSecrets(), FakeClock()
    links = fake_links(secrets, clock)
    links.to(*LINK)
    clock.pass_(seconds=SIGNING_SECONDS)
    secrets.fails(client_error("ServiceUnavailable", 503))
    assert token_in(links.to(*LINK)) == TOKEN
    assert secrets.reads == 2


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (client_error("AccessDeniedException"), Misconfigured),
        (client_error("ResourceNotFoundException"), Misconfigured),
        (ReadTimeoutError(endpoint_url="https://x.example"), Unavailable),
    ],
)
def test_without_a_key_nothing_is_signed_and_no_link_is_wrong(
    error: Exception, raised: type[Unavailable]
) -> None:
    secrets = FakeSecrets()
    secrets.fails(error, error)
    with pytest.raises(raised):
        fake_links(secrets).to(*LINK)
    with pytest.raises(raised):
        fake_links(secrets).link_in(TOKEN)


@pytest.mark.parametrize(
    "secret",
    [
        "",
        KEY,
        "[]",
        json.dumps({"key": KEY}),
        json.dumps({"key": KEY, "old": [{"key": KEY}]}),
        json.dumps({"key": KEY, "old": [{"key": KEY, "until": "soon"}]}),
    ],
)
def test_a_secret_that_cannot_be_read_is_not_shown(secret: str) -> None:
    secrets = FakeSecrets()
    secrets.secret = secret
    with pytest.raises(Misconfigured) as caught:
        fake_links(secrets).to(*LINK)
    assert KEY not in str(caught.value)
    assert caught.value.__cause__ is None
