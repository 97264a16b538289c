"""/play as players use it, on the real stack: what they see, and that one press is one heist."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Route, expect

from local.stack import PASSWORD
from tests.browser.conftest import WIDE, Meet, Person, Tab
from tests.e2e.world import World, eventually, unique

EXECUTE = "**/api/heist/execute"
ME = "**/api/heist/me"


@pytest.fixture
def hero(meet: Meet) -> Person:
    """Who plays here: 1,000 points, two tokens."""
    return meet("Hanna", points=1000, tokens=2)


@pytest.fixture
def rival(meet: Meet, hero: Person) -> Person:
    """Who robbed the hero, and is therefore the first of the targets."""
    rival = meet(unique("Rival"), points=900, tokens=1)
    rival.player.rob(hero.player.id)
    return rival


def name_of(person: Person) -> str:
    name: str = person.player.get("/me").body["name"]
    return name


def row(tab: Tab, person: Person) -> Locator:
    """The person's line among the targets."""
    listed = tab.region("Targets").get_by_role("listitem")
    return listed.filter(has_text=name_of(person))


def choose(tab: Tab, person: Person) -> Locator:
    """Presses "Rob" on a person; the button that confirms it."""
    line = row(tab, person)
    line.get_by_role("button", name="Rob").click()
    return line.get_by_role("button", name="Confirm")


def keys(tab: Tab) -> list[str]:
    return [request.headers["idempotency-key"] for request in tab.calls("POST", "/execute")]


def expect_success(tab: Tab) -> None:
    expect(tab.region("Targets").get_by_text("Success!")).to_be_visible()


def start(tab: Tab, person: Person) -> None:
    tab.open()
    tab.sign_in(person.user)
    expect(tab.region("Home")).to_contain_text("points")


def pass_time_until(tab: Tab, seen: Locator) -> None:
    """Lets the page's clock run on, five seconds at a time, until something is seen."""

    def look() -> bool:
        tab.page.clock.run_for(5_000)
        tab.page.wait_for_timeout(20)
        return seen.is_visible()

    eventually(look, bool)


# --- One heist -----------------------------------------------------------------------------------


def test_a_heist_from_the_sign_in_to_the_other_sides_inbox_and_mail(
    tab: Tab, hero: Person, rival: Person, world: World, browser: Browser
) -> None:
    start(tab, hero)
    expect(row(tab, rival)).to_contain_text("Revenge")
    choose(tab, rival).click()
    done = tab.region("Targets").get_by_text("Success! You stole")
    expect(done).to_be_visible()
    expect(tab.region("Targets")).to_contain_text("1 token left")
    expect(tab.region("Home")).to_contain_text(f"{hero.player.get('/me').body['points']:,}")
    expect(tab.region("History")).to_contain_text(f"You robbed {name_of(rival)}")
    tab.picture("robbed")

    with browser.new_context(viewport=WIDE) as theirs:
        other = Tab(theirs.new_page(), tab.stack)
        other.watch()
        start(other, rival)
        expect(other.region("Inbox")).to_contain_text("Oh no! Hanna just pulled a heist on you")
        assert other.wrong == []
    subjects = eventually(lambda: world.mails_to(rival.email), lambda mails: len(mails) == 2)
    assert any("Hanna" in mail["BodyText"] for mail in subjects)


def test_cancel_does_nothing_and_a_double_click_is_one_heist(
    tab: Tab, hero: Person, rival: Person
) -> None:
    start(tab, hero)
    choose(tab, rival)
    row(tab, rival).get_by_role("button", name="Cancel").click()
    expect(row(tab, rival).get_by_role("button", name="Rob")).to_be_focused()
    assert keys(tab) == []
    choose(tab, rival).dblclick()
    expect_success(tab)
    assert len(keys(tab)) == 1
    assert hero.player.tokens()["totalSpent"] == 1


def test_a_reload_in_the_middle_is_one_heist_and_its_outcome_is_shown(
    tab: Tab, hero: Person, rival: Person
) -> None:
    start(tab, hero)
    done_by_the_server = []

    def never_answered(route: Route) -> None:
        done_by_the_server.append(route.fetch().status)

    tab.page.route(EXECUTE, never_answered, times=1)
    choose(tab, rival).click()
    expect(tab.region("Targets").get_by_text("Robbing")).to_be_visible()
    while not done_by_the_server:
        tab.page.wait_for_timeout(20)
    tab.page.reload()
    expect_success(tab)
    assert done_by_the_server == [200]
    first, second = keys(tab)
    assert first == second
    assert hero.player.tokens()["totalSpent"] == 1
    tab.page.reload()
    expect(tab.region("Targets")).to_contain_text("another heist in")
    assert len(keys(tab)) == 2


def test_a_lost_answer_is_asked_for_again_with_the_same_key(
    tab: Tab, hero: Person, rival: Person
) -> None:
    start(tab, hero)
    done_by_the_server: list[int] = []

    def lost(route: Route) -> None:
        if not done_by_the_server:
            done_by_the_server.append(route.fetch().status)
        route.abort()

    tab.page.route(EXECUTE, lost)
    choose(tab, rival).click()
    expect(tab.region("Targets").get_by_text("With the same key")).to_be_visible()
    tab.page.unroute(EXECUTE)
    expect_success(tab)
    assert done_by_the_server == [200]
    assert len(keys(tab)) > 1
    assert len(set(keys(tab))) == 1
    assert hero.player.tokens()["totalSpent"] == 1


@pytest.mark.usefixtures("context")
def test_without_any_answer_the_attempt_stays_open_and_can_be_taken_up(
    tab: Tab, hero: Person, rival: Person
) -> None:
    tab.page.clock.install()
    start(tab, hero)
    tab.page.route(EXECUTE, lambda route: route.abort())
    choose(tab, rival).click()
    pass_time_until(tab, tab.page.get_by_text("It is not known yet whether"))
    tab.picture("no-outcome")
    tab.page.unroute(EXECUTE)
    tab.region("Targets").get_by_role("button", name="Try again").click()
    expect_success(tab)
    assert len(set(keys(tab))) == 1


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize(
    ("status", "words"), [(429, "Too many requests"), (503, "cannot answer at the moment")]
)
def test_what_is_put_off_counts_down_and_goes_on_with_the_same_key(
    tab: Tab, hero: Person, rival: Person, status: int, words: str
) -> None:
    tab.page.clock.install()
    start(tab, hero)
    answer = {"success": False, "error": "RATE_LIMITED", "message": "later"}
    tab.page.route(
        EXECUTE,
        lambda route: route.fulfill(status=status, json=answer, headers={"Retry-After": "50"}),
        times=1,
    )
    choose(tab, rival).click()
    waiting = tab.region("Targets").get_by_text(words)
    expect(waiting).to_contain_text(re.compile(r"in\s*[1-5]?\d s\."))
    tab.picture(f"put-off-{status}")
    pass_time_until(tab, tab.region("Targets").get_by_text("Success!"))
    assert len(keys(tab)) == 2
    assert len(set(keys(tab))) == 1


def test_an_attempt_that_was_only_put_off_can_be_given_up(
    tab: Tab, hero: Person, rival: Person
) -> None:
    start(tab, hero)
    tab.page.route(EXECUTE, lambda route: route.fulfill(status=429, headers={"Retry-After": "50"}))
    choose(tab, rival).click()
    tab.region("Targets").get_by_role("button", name="Stop trying").click()
    expect(row(tab, rival).get_by_role("button", name="Rob")).to_be_enabled()
    tab.page.reload()
    expect(row(tab, rival)).to_be_visible()
    assert len(keys(tab)) == 1


def test_a_heist_that_somebody_else_won_a_moment_before_is_told_with_its_time(
    tab: Tab, hero: Person, rival: Person, meet: Meet
) -> None:
    start(tab, hero)
    confirm = choose(tab, rival)
    meet("Faster", points=0).player.rob(rival.player.id)
    confirm.click()
    refusal = tab.region("Targets").get_by_role("alert")
    expect(refusal).to_contain_text("Somebody else was a moment faster")
    expect(refusal).to_contain_text("is protected for 48 more hours")
    expect(refusal).to_contain_text(re.compile(r"That is 1 d 23 h"))
    expect(refusal).to_contain_text("your token is still yours")
    assert hero.player.tokens()["totalSpent"] == 0
    tab.picture("refused")


def test_it_can_be_played_with_the_keyboard_alone(tab: Tab, hero: Person, rival: Person) -> None:
    tab.open()
    tab.page.get_by_label("User name").focus()
    keyboard = tab.page.keyboard
    keyboard.type(hero.user)
    keyboard.press("Tab")
    keyboard.type(PASSWORD)
    keyboard.press("Enter")
    rob = row(tab, rival).get_by_role("button", name="Rob")
    expect(rob).to_be_visible()
    for _ in range(60):
        if rob.evaluate("button => button === document.activeElement"):
            break
        keyboard.press("Tab")
    keyboard.press("Enter")
    expect(row(tab, rival).get_by_role("button", name="Confirm")).to_be_focused()
    keyboard.press("Escape")
    expect(rob).to_be_focused()
    keyboard.press("Enter")
    keyboard.press("Enter")
    expect_success(tab)
    focused = "document.activeElement.textContent.includes('Success!')"
    assert tab.page.evaluate(focused)
    assert len(keys(tab)) == 1


def test_what_was_sent_under_one_name_is_not_repeated_under_another(
    tab: Tab, hero: Person, rival: Person, meet: Meet
) -> None:
    other = meet("Olga", tokens=1)
    start(tab, hero)
    tab.page.route(EXECUTE, lambda route: route.abort())
    choose(tab, rival).click()
    expect(tab.region("Targets").get_by_text("With the same key")).to_be_visible()
    tab.button("Sign out").click()
    tab.page.unroute(EXECUTE)
    tab.sign_in(other.user)
    expect(tab.region("Targets")).to_contain_text("would bring")
    tab.button("Sign out").click()
    tab.sign_in(hero.user)
    expect_success(tab)
    assert other.player.tokens()["totalSpent"] == 0


# --- States --------------------------------------------------------------------------------------


def but(**changes: object) -> Callable[[Route], None]:
    """Answers with what the server says, and these members changed."""

    def handle(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), **changes})

    return handle


@pytest.mark.parametrize(
    ("state", "changes", "words", "why"),
    [
        ("disabled", {"enabled": False}, "Heists are switched off", "switched off"),
        ("blocked", {"blocked": True}, "You cannot take part in heists", "cannot take part"),
        ("passive", {"passive": True}, "You are in passive mode", "in passive mode"),
        ("newcomer", {"newcomerUntil": "2999-01-01T00:00:00.000Z"}, "You are new here", "first"),
        ("no token", {"tokens": 0}, "when you have a token", "You need a heist token"),
        ("cooldown", {"cooldownEndsAt": "2999-01-01T00:00:00.000Z"}, "in 3", "another heist in"),
    ],
)
def test_whoever_cannot_rob_is_told_why(
    tab: Tab, hero: Person, state: str, changes: dict[str, Any], words: str, why: str
) -> None:
    tab.page.route(ME, but(**changes))
    tab.page.route("**/api/heist/targets?*", lambda route: route.fulfill(json={"targets": []}))
    start(tab, hero)
    expect(tab.region("Home")).to_contain_text(words)
    expect(tab.region("Targets")).to_contain_text(why)
    tab.picture(f"state-{state}")


def test_a_player_of_whom_nothing_is_known_yet_sees_what_to_do(tab: Tab, world: World) -> None:
    user = unique("user")
    world.sign_up(user)
    tab.open()
    tab.sign_in(user)
    expect(tab.region("Home")).to_contain_text("Welcome!")
    expect(tab.region("Targets")).to_contain_text("You need a heist token")
    expect(tab.region("History")).to_contain_text("No heists this season")
    expect(tab.region("Inbox")).to_contain_text("Your inbox is empty")
    expect(tab.region("Leaderboard")).to_contain_text("You are not on the board")
    tab.picture("nothing-yet")


@pytest.mark.usefixtures("context")
def test_a_network_that_goes_and_comes_back_is_told_and_outlived(tab: Tab, hero: Person) -> None:
    start(tab, hero)
    tab.page.context.set_offline(True)
    expect(tab.page.get_by_text("You are offline.")).to_be_visible()
    tab.region("Targets").get_by_role("button", name="Look again").click()
    expect(tab.page.get_by_text("as soon as there is a network")).to_be_visible()
    tab.picture("offline")
    tab.page.context.set_offline(False)
    expect(tab.page.get_by_text("You are offline")).to_have_count(0)


@pytest.mark.usefixtures("context")
def test_a_server_that_cannot_answer_is_waited_for_and_then_asked_by_hand(
    tab: Tab, hero: Person
) -> None:
    tab.page.clock.install()
    tab.page.route("**/api/heist/heists?*", lambda route: route.fulfill(status=503))
    start(tab, hero)
    expect(tab.page.get_by_text("The server cannot answer at the moment")).to_be_visible()
    tab.picture("waiting")
    history = tab.region("History")
    pass_time_until(tab, history.get_by_role("alert"))
    expect(history.get_by_role("alert")).to_contain_text("cannot answer at the moment")
    tab.page.unroute("**/api/heist/heists?*")
    history.get_by_role("button", name="Try again").click()
    expect(history).to_contain_text("No heists this season")


def test_sections_say_that_they_load(tab: Tab, hero: Person) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    tab.page.route("**/api/heist/**", hold)
    tab.open()
    tab.sign_in(hero.user)
    for name in ("Home", "Targets", "History", "Leaderboard", "Inbox", "Preferences"):
        expect(tab.region(name).get_by_text("Loading")).to_be_visible()
        expect(tab.region(name)).to_have_attribute("aria-busy", "true")
    tab.picture("loading")
    for route in held:
        route.continue_()


# --- Inbox, preferences, drawer ------------------------------------------------------------------


def test_the_bell_tells_the_exact_number_and_each_way_of_reading_changes_it(
    tab: Tab, meet: Meet
) -> None:
    hero = meet("Hanna", tokens=4)
    hero.player.inbox(4)
    start(tab, hero)
    bell, inbox = tab.page.get_by_role("link", name="Inbox"), tab.region("Inbox")
    expect(bell).to_contain_text("4 unread")
    tab.picture("inbox")
    inbox.get_by_role("listitem").nth(0).get_by_role("button", name="Mark as read").click()
    expect(bell).to_contain_text("3 unread")
    inbox.get_by_role("listitem").nth(2).get_by_role("button", name="Read up to here").click()
    expect(bell).to_contain_text("1 unread")
    assert [item["read"] for item in hero.player.inbox(4)] == [True, False, True, True]
    inbox.get_by_role("button", name="Mark all as read").click()
    expect(bell).not_to_contain_text("unread")
    expect(inbox).to_contain_text("Everything is read")
    assert hero.player.notifications()["unreadCount"] == 0


@pytest.mark.usefixtures("context")
def test_the_badge_is_asked_for_each_minute_while_seen_and_less_often_while_it_fails(
    tab: Tab, meet: Meet
) -> None:
    hero = meet("Hanna", tokens=1)
    hero.player.inbox(1)
    tab.page.clock.install()
    start(tab, hero)
    expect(tab.page.get_by_role("link", name="Inbox")).to_contain_text("1 unread")
    count = "**/api/heist/notifications/count"

    def asked_within(seconds: int) -> int:
        before = len(tab.calls("GET", "/notifications/count"))
        for _ in range(seconds // 10):
            tab.page.clock.run_for(10_000)
            tab.page.wait_for_timeout(0)
        tab.page.wait_for_load_state("networkidle")
        return len(tab.calls("GET", "/notifications/count")) - before

    def be_seen(hidden: str) -> None:
        tab.page.evaluate(
            f"Object.defineProperty(document, 'hidden', {{value: {hidden}, configurable: true}});"
            "document.dispatchEvent(new Event('visibilitychange'))"
        )

    asked_within(60)
    assert 1 <= asked_within(180) <= 3
    be_seen("true")
    assert asked_within(600) == 0
    with tab.page.expect_request(count):
        be_seen("false")
    tab.page.route(count, lambda route: route.fulfill(status=503))
    assert asked_within(600) <= 4


def test_preferences_are_kept_and_a_lock_is_told_with_its_end(tab: Tab, hero: Person) -> None:
    start(tab, hero)
    preferences = tab.region("Preferences")
    preferences.get_by_label("Hide me").check()
    preferences.get_by_label("When I am robbed").select_option("never")
    expect(preferences.get_by_label("When I am robbed")).to_be_enabled()
    preferences.get_by_label("Passive mode").check()
    expect(tab.region("Home")).to_contain_text("You are in passive mode")
    expect(preferences).to_contain_text("Can be switched again in")
    preferences.get_by_label("Passive mode").click()
    expect(preferences.get_by_role("alert")).to_contain_text(re.compile(r"That is in 23 h 5\d min"))
    expect(preferences.get_by_label("Passive mode")).to_be_checked()
    tab.picture("locked")
    tab.page.reload()
    expect(preferences.get_by_label("Hide me")).to_be_checked()
    kept = hero.player.get("/preferences").body
    assert (kept["passive"], kept["hidden"], kept["email"]["robbed"]) == (True, True, "off")


@pytest.mark.usefixtures("context")
def test_the_drawer_shows_requests_without_the_token_unless_copied_on_purpose(
    tab: Tab, hero: Person
) -> None:
    tab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    start(tab, hero)
    tab.region("Targets").get_by_role("button", name="Look again").click()
    tab.page.get_by_text("Requests and replies").click()
    drawer = tab.page.get_by_role("complementary")
    expect(drawer.get_by_role("region", name="Request")).to_contain_text(
        "Authorization: Bearer YOUR-TOKEN"
    )
    token = json.loads(tab.page.evaluate("sessionStorage.getItem('heist.session')"))["token"]
    assert token not in tab.page.content()
    drawer.get_by_role("button", name="Copy", exact=True).click()
    copied = tab.page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("curl")
    assert "YOUR-TOKEN" in copied
    drawer.get_by_role("button", name="Copy with my token").click()
    assert token in tab.page.evaluate("navigator.clipboard.readText()")
    tab.picture("drawer")


@pytest.mark.usefixtures("context")
def test_what_counts_down_follows_the_servers_clock(tab: Tab, hero: Person, rival: Person) -> None:
    hero.player.rob(rival.player.id)
    tab.page.clock.install(time="2031-05-05T05:05:05Z")
    start(tab, hero)
    expect(tab.region("Home")).to_contain_text(re.compile(r"in\s+23 h 5\d min"))
