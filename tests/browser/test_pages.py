"""The two pages as such: they come up, sign in, and end a session that has run out."""

import json

import pytest
from playwright.sync_api import expect

from local.stack import Stack
from tests.browser.conftest import Tab
from tests.e2e.world import unique


@pytest.fixture
def somebody(stack: Stack) -> str:
    """The name of a user of the pool about whom nothing is known yet."""
    user = unique("user")
    stack.sign_up(user)
    return user


def test_a_demo_player_is_one_click_away(tab: Tab, demo: Stack) -> None:
    tab.open()
    tab.button("alice").click()
    expect(tab.region("Home")).to_contain_text("points")
    expect(tab.page.get_by_role("banner")).to_contain_text("Alice")


def test_who_gives_a_wrong_password_is_told_so_in_words(tab: Tab, somebody: str) -> None:
    tab.open()
    tab.sign_in(somebody, "Wrong-password-1")
    expect(tab.page.get_by_role("alert")).to_have_text("The user name or the password is wrong.")
    tab.sign_in(somebody)
    tab.button("Sign out").click()
    expect(tab.button("Sign in")).to_be_visible()


def test_a_reload_keeps_the_session_and_a_new_tab_has_none(tab: Tab, somebody: str) -> None:
    tab.open()
    tab.sign_in(somebody)
    expect(tab.button("Sign out")).to_be_visible()
    tab.page.reload()
    expect(tab.button("Sign out")).to_be_visible()


def test_a_token_that_ran_out_is_renewed_unseen_and_else_the_person_is_asked(
    tab: Tab, somebody: str
) -> None:
    tab.open()
    tab.sign_in(somebody)
    expect(tab.region("Home")).to_contain_text("0 points")
    spoil = """name => {
      const session = JSON.parse(sessionStorage.getItem('heist.session'))
      sessionStorage.setItem('heist.session', JSON.stringify({...session, [name]: 'x.y.z'}))
    }"""
    tab.page.evaluate(spoil, "token")
    tab.page.reload()
    expect(tab.region("Home")).to_contain_text("0 points")

    tab.page.evaluate(spoil, "token")
    tab.page.evaluate(spoil, "refreshToken")
    tab.page.reload()
    expect(tab.page.get_by_text("your token has run out")).to_be_visible()


def test_an_account_that_somebody_else_made_chooses_a_password_at_first(
    tab: Tab, stack: Stack
) -> None:
    user = unique("new")
    stack.cognito.admin_create_user(
        UserPoolId=stack.outputs.UserPoolId,
        Username=user,
        TemporaryPassword="Heist-temporary-1",
        MessageAction="SUPPRESS",
    )
    tab.open()
    tab.sign_in(user, "Heist-temporary-1")
    tab.page.get_by_label("New password").fill("Heist-chosen-123")
    tab.button("Sign in").click()
    expect(tab.button("Sign out")).to_be_visible()


def test_with_an_issuer_of_anothers_a_token_is_asked_for(
    tab: Tab, stack: Stack, somebody: str
) -> None:
    config = json.dumps({"stage": "dev", "signIn": None})
    tab.page.route("**/play/config.json", lambda route: route.fulfill(body=config))
    tab.open()
    tab.page.get_by_label("Token").fill(f" {stack.token(somebody)}\n")
    tab.button("Sign in").click()
    expect(tab.region("Home")).to_contain_text("0 points")


def test_something_is_on_the_screen_before_any_answer_of_the_api_or_a_script(tab: Tab) -> None:
    tab.page.route("**/*.js", lambda route: route.abort())
    tab.open()
    expect(tab.page.get_by_role("heading", name="Heist")).to_be_visible()


def test_the_operators_page_lets_nobody_else_in(tab: Tab, somebody: str) -> None:
    tab.open("ops")
    tab.sign_in(somebody)
    expect(tab.page.get_by_text("Only operators may see this")).to_be_visible()
