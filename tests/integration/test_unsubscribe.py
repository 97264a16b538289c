"""The link at the end of a mail, for whoever has it (SPEC section 2, "Unsubscribe")."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from heist_core.domain.player import Dated
from heist_core.domain.preferences import MAIL_KINDS
from heist_core.domain.unsubscribing import key_id
from heist_core.http.page import HEADERS
from heist_core.storage import keys
from ops.target import OperatorError
from tests.builders import sample
from tests.fakes import client_error, lines_of
from tests.integration.game import Game
from tests.integration.operators import Desk

ALL_OFF = dict.fromkeys(MAIL_KINDS, "off")


def token_for(game: Game, kind: str, player_id: str = "alice") -> str:
    return game.links.to(player_id, kind).rpartition("/")[2]


def call(
    game: Game, token: str, method: str = "POST", query: Mapping[str, str] | None = None
) -> Mapping[str, Any]:
    event = sample("unsubscribe")
    event["routeKey"] = f"{method} /api/heist/unsubscribe/{{token}}"
    event["pathParameters"] = {"token": token}
    if query is not None:
        event["queryStringParameters"] = query
    answer: Mapping[str, Any] = game.call("unsubscribe", event)
    return answer


def press(game: Game, token: str, **query: str) -> str:
    answer = call(game, token, query=query)
    assert answer["statusCode"] == 200
    return str(answer["body"])


def choices(game: Game, player_id: str = "alice") -> Mapping[str, str]:
    return game.player(player_id).preferences.email


@pytest.fixture
def playing(game: Game) -> Game:
    game.set_settings(HEIST_COOLDOWN_HOURS=0, HEIST_TARGET_COOLDOWN_HOURS=0)
    game.settings_are_due()
    for player in ("alice", "bob"):
        game.give(player, points=800, tokens=4, email=f"{player}@example.com")
    return game


def test_the_link_of_a_mail_ends_mails_of_its_kind_from_the_next_on(playing: Game) -> None:
    game = playing
    game.rob("alice", "bob")
    game.sweep()
    first = next(mail for mail in game.ses if mail.to == "bob@example.com")
    [link] = re.findall(r"<(https://[^>]+)>, <mailto:", first.headers["List-Unsubscribe"])

    press(game, link.rpartition("/")[2])

    assert choices(game, "bob") == {"robbed": "off"}
    game.rob("alice", "bob")
    game.sweep()
    game.rob("bob", "alice")
    game.sweep()
    subjects = [mail.subject for mail in game.ses if mail.to == "bob@example.com"]
    assert [subject.partition(":")[0] for subject in subjects] == [
        "You were robbed",
        "Your heist paid off",
    ]


@pytest.mark.parametrize("kind", MAIL_KINDS)
def test_it_ends_its_kind_and_no_other_or_all_if_asked(playing: Game, kind: str) -> None:
    press(playing, token_for(playing, kind))
    assert choices(playing) == {kind: "off"}
    press(playing, token_for(playing, kind), all="1")
    assert choices(playing) == ALL_OFF


@pytest.mark.parametrize("query", [{}, {"all": "0"}, {"all": "true"}, {"ALL": "1"}, {"x": "1"}])
def test_only_all_1_means_all(playing: Game, query: dict[str, str]) -> None:
    press(playing, token_for(playing, "success"), **query)
    assert choices(playing) == {"success": "off"}


def test_the_link_of_a_digest_ends_what_comes_in_it(playing: Game) -> None:
    chosen = {"robbed": "daily", "success": "instant", "reversed": "daily"}
    playing.prefer("alice", email=chosen)
    press(playing, token_for(playing, "digest"))
    assert choices(playing) == {"robbed": "off", "success": "instant", "reversed": "off"}


def test_the_link_of_a_digest_ends_what_is_daily_by_default_too(playing: Game) -> None:
    playing.set_settings(HEIST_EMAIL_DEFAULT="daily")
    playing.settings_are_due()
    press(playing, token_for(playing, "digest"))
    assert choices(playing) == {"robbed": "off", "success": "off", "reversed": "off"}


def test_it_changes_nothing_else_and_a_second_time_nothing(playing: Game) -> None:
    before = playing.item(keys.player("alice"))
    press(playing, token_for(playing, "robbed"))
    once = playing.item(keys.player("alice"))
    assert before is not None
    assert once == {
        **before,
        "emailChoices": {"robbed": "off"},
        "version": once and once["version"],
    }
    press(playing, token_for(playing, "robbed"))
    assert playing.item(keys.player("alice")) == once


@pytest.mark.parametrize(
    "body", [None, "", "List-Unsubscribe=One-Click", "{", "\ud800", "x" * 9999]
)
def test_the_body_is_not_looked_at(playing: Game, body: str | None) -> None:
    event = sample("unsubscribe")
    event["pathParameters"] = {"token": token_for(playing, "robbed")}
    event |= {"body": body, "isBase64Encoded": body == "{"}
    assert playing.call("unsubscribe", event)["statusCode"] == 200


def test_a_change_at_the_same_moment_is_kept(playing: Game) -> None:
    playing.once_before("update_item", lambda: playing.prefer("alice", hidden=True))
    press(playing, token_for(playing, "robbed"))
    assert playing.player("alice").preferences.hidden
    assert choices(playing) == {"robbed": "off"}


# The page


class _Forms(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.forms: list[Mapping[str, str | None]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "form":
            self.forms.append(dict(attrs))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_asks_and_changes_nothing(playing: Game) -> None:
    before = playing.item(keys.player("alice"))
    answer = call(playing, token_for(playing, "robbed"), "GET", {"all": "1"})
    page = _Forms(answer["body"])
    assert answer["statusCode"] == 200
    assert "a…@example.com gets mails when you are robbed." in page.text
    assert "alice@example.com" not in answer["body"]
    assert page.forms == [
        {"method": "post", "action": "?"},
        {"method": "post", "action": "?all=1"},
    ]
    assert playing.item(keys.player("alice")) == before


def test_a_page_has_no_script_and_may_do_nothing_but_post_to_itself(playing: Game) -> None:
    for method in ("GET", "POST"):
        for token in (token_for(playing, "robbed"), "wrong"):
            answer = call(playing, token, method)
            assert answer["headers"] == HEADERS
            assert not {"script", "img", "link", "iframe", "a"} & set(_Forms(answer["body"]).tags)
            [style] = re.findall(r"<style>(.*)</style>", answer["body"])
            digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
            assert answer["headers"]["content-security-policy"] == (
                f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; "
                "base-uri 'none'; frame-ancestors 'none'"
            )


def test_a_page_is_in_the_language_of_its_player(playing: Game) -> None:
    alice = playing.player("alice")
    german = replace(alice.profile, locale=Dated("de-AT", playing.time()))
    playing.store.save_profile(alice, german, playing.time())
    asked = call(playing, token_for(playing, "robbed"), "GET")["body"]
    assert '<html lang="de">' in asked
    assert "a…@example.com bekommt E-Mails, wenn du ausgeraubt wirst." in asked
    ended = call(playing, token_for(playing, "robbed"), "POST")["body"]
    assert "a…@example.com bekommt keine E-Mails mehr, wenn du ausgeraubt wirst." in ended


def test_an_address_is_text_and_none_is_said(game: Game) -> None:
    game.give("alice", points=1, email='<i>"@<script>.example')
    page = call(game, token_for(game, "token"), "GET")["body"]
    assert "&lt;…@&lt;script&gt;.example gets mails about Heist Tokens." in page
    game.give("bob", points=1)
    page = call(game, token_for(game, "digest", "bob"), "GET")["body"]
    assert "Your account, which has no address now, gets the daily mail" in page


# Who may not


def wrong_tokens(game: Game) -> Mapping[str, str]:
    right = token_for(game, "robbed")
    other = token_for(game, "success")
    game.store.save_profile(game.player("gone"), game.player("gone").profile, game.time())
    game.freeze("gone")
    return {
        "none": "",
        "garbage": "garbage",
        "tampered": right[:-1] + ("A" if right[-1] != "A" else "B"),
        "other mac": other[:43] + right[43:],
        "padded": right + "=",
        "encoded": right.replace(right[0], f"%{ord(right[0]):02x}", 1),
        "never seen": token_for(game, "robbed", "nobody"),
        "erased": token_for(game, "robbed", "gone"),
    }


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_every_wrong_link_gets_the_same_answer_by_the_same_work(playing: Game, method: str) -> None:
    tokens = wrong_tokens(playing)
    answers, work = [], []
    for token in tokens.values():
        calls: list[str] = []
        playing.tap.before = lambda operation, _, calls=calls: calls.append(operation)  # type: ignore[misc]
        answers.append(call(playing, token, method))
        work.append(calls)
    playing.undisturbed()
    assert all(answer == answers[0] for answer in answers)
    assert answers[0]["statusCode"] == 404
    assert all(calls == ["batch_get_item"] for calls in work[1:]), dict(
        zip(tokens, work, strict=True)
    )
    assert choices(playing) == {}


# Another key


def test_after_a_rotation_old_links_work_for_sixty_days_and_new_ones_go_on(
    playing: Game, desk: Desk
) -> None:
    old = token_for(playing, "robbed")
    desk("rotate-key", "--reason", "once a year", "--apply")
    playing.time.pass_(hours=1)
    new = token_for(playing, "success")
    assert call(playing, token_for(playing, "robbed"), "GET")["statusCode"] == 200
    assert token_for(playing, "robbed") != old
    playing.time.pass_(days=60)
    for _ in range(2):
        press(playing, old)
        press(playing, new)
        playing.restart()  # an instance that never saw the old key in force
    playing.time.pass_(days=1)
    assert call(playing, old)["statusCode"] == 404
    press(playing, new)


def test_a_rotation_is_in_the_log_and_shows_keys_by_their_ids_only(
    playing: Game, desk: Desk
) -> None:
    key = json.loads(playing.secrets.secret)["key"]
    assert not desk("rotate-key")["done"]
    assert json.loads(playing.secrets.secret)["key"] == key
    assert desk.actions() == []
    shown = desk.shown("rotate-key", "--reason", "a test", "--apply")
    newest = json.loads(playing.secrets.secret)["key"]
    [entry] = desk.actions()
    assert (entry["what"], entry["why"]) == ("rotate-key", "a test")
    assert entry["before"] == {"key": key_id(key)}
    assert entry["after"] == {"key": key_id(newest)}
    for text in (shown, json.dumps(entry)):
        assert key not in text
        assert newest not in text
        assert key_id(newest) in text


def test_a_rotation_keeps_every_key_whose_links_still_work(playing: Game, desk: Desk) -> None:
    for days in (0, 30, 40):
        playing.time.pass_(days=days)
        document = desk("rotate-key", "--reason", "a test", "--apply")
    assert len(document["old"]) == 2
    assert document["key"] not in document["old"]


def test_a_rotation_that_failed_says_so_and_the_key_stands(playing: Game, desk: Desk) -> None:
    before = playing.secrets.secret
    playing.secrets.fails(None, client_error("AccessDeniedException"))
    with pytest.raises(OperatorError, match="Run this again"):
        desk.code("rotate-key", "--reason", "a test", "--apply")
    assert playing.secrets.secret == before


# What fails, and what is told of it


def test_without_table_or_key_it_is_a_503_that_may_be_tried_again(playing: Game) -> None:
    token = token_for(playing, "robbed")

    def lost(operation: str, _: object) -> None:
        raise ReadTimeoutError(endpoint_url=f"https://{operation}.example")

    playing.tap.before = lost
    answer = call(playing, token)
    assert (answer["statusCode"], answer["headers"]["retry-after"]) == (503, "1")
    playing.undisturbed()
    playing.restart()
    playing.secrets.fails(client_error("AccessDeniedException"))
    assert call(playing, token)["statusCode"] == 503
    press(playing, token)


def test_the_log_has_neither_player_nor_token_nor_address(playing: Game, log: StringIO) -> None:
    for token in (token_for(playing, "robbed"), *wrong_tokens(playing).values()):
        for method in ("GET", "POST"):
            call(playing, token, method, {"all": "1"})
    playing.restart()
    playing.secrets.fails(*[client_error("AccessDeniedException")] * 2)
    call(playing, sample("unsubscribe")["pathParameters"]["token"])
    lines = [line for line in lines_of(log) if line["function"] == "unsubscribe"]
    assert len(lines) == 19
    for line in lines:
        assert line.keys() <= {
            *("level", "message", "timestamp", "service", "function", "function_name", "ms"),
            *("correlation_id", "status", "code", "cause", "xray_trace_id"),
        }
    text = log.getvalue()
    for canary in ("alice", "gone", "nobody", "example.com", "/unsubscribe/", *TOKENS_BEGIN):
        assert canary not in text, canary


TOKENS_BEGIN = (sample("unsubscribe")["pathParameters"]["token"][:12], "garbage")
