"""The operators' room as an operator uses it: look, try, confirm, and nothing by accident."""

import json
import re
from collections.abc import Sequence
from typing import Any, Literal

import pytest
from playwright.sync_api import Locator, Request, Route, expect

from heist_core.storage import keys
from local.stack import Stack
from tests.browser.conftest import Scheme, Tab
from tests.browser.looks import HOSTILE, LOOKS, overflow, violations
from tests.e2e.world import Player, World, eventually, unique

SCREENS = {
    "": "Search",
    "settings": "Settings",
    "reports": "Reports",
    "letters": "Dead letters",
    "audit": "Audit",
    "actions": "Actions",
}


def sign_in(tab: Tab, user: str) -> None:
    tab.open("ops")
    tab.sign_in(user)
    expect(tab.page.get_by_role("heading", name="Search")).to_be_visible()


def go(tab: Tab, place: str) -> None:
    tab.page.evaluate("place => { location.hash = place }", f"#/{place}")


def search(tab: Tab, anything: str) -> None:
    go(tab, "")
    tab.page.get_by_label("Id of a player or a heist").fill(anything)
    tab.button("Search").click()


def bodies(tab: Tab, path: str, method: str = "POST") -> tuple[list[Request], list[Request]]:
    """Dry runs, and what was meant, of one route so far."""
    asked = tab.calls(method, path)
    dry = [one for one in asked if json.loads(one.post_data or "{}").get("dryRun")]
    return dry, [one for one in asked if one not in dry]


def look(tab: Tab, reason: str = "a test of ours") -> None:
    tab.page.get_by_label("Reason, for the log").fill(reason)
    tab.button("Show what would change").click()
    expect(tab.page.get_by_text("This would change:")).to_be_visible()


@pytest.fixture(scope="module")
def operator(stack: Stack) -> str:
    """The name of a user of the group `operators`."""
    user = unique("olga")
    stack.sign_up_operator(user)
    return user


@pytest.fixture(scope="module")
def supporter(stack: Stack) -> str:
    user = unique("sam")
    stack.sign_up_operator(user, "support")
    return user


@pytest.fixture
def robbery(world: World) -> tuple[Player, str, str]:
    """Who robbed, whom, and the heist's id; both were told."""
    robber = world.robber(tokens=2, name="Robin")
    victim = world.victim(points=1000, name="Vera", email=f"{unique('vera')}@example.com")
    heist_id = robber.rob(victim)["heistId"]
    robber.inbox(3)
    return robber, victim, heist_id


def test_a_players_whole_story_is_on_one_screen(
    tab: Tab, operator: str, robbery: tuple[Player, str, str]
) -> None:
    robber, victim, heist_id = robbery
    sign_in(tab, operator)
    search(tab, robber.id)
    expect(tab.page.get_by_role("heading", name="Robin")).to_be_visible()
    expect(tab.region("State")).to_contain_text("1 (2 earned, 1 spent, 0 granted)")
    timeline = tab.region("Timeline")
    for told in ("HEIST_GAIN", "Robbed Vera", "Success! You pulled a heist on Vera", "referral"):
        expect(timeline).to_contain_text(told)
    timeline.get_by_role("link", name="Robbed").click()
    expect(tab.page.get_by_role("heading", name="Heist success")).to_be_visible()
    expect(tab.region("Ledger")).to_contain_text("HEIST_LOSS")
    expect(tab.region("Inbox and mails")).to_contain_text("HEIST_VICTIM")
    search(tab, f"  {heist_id} ")
    expect(tab.region("What happened")).to_contain_text(heist_id)
    tab.region("What happened").get_by_role("link", name="Vera").click()
    expect(tab.region("State")).to_contain_text(victim)


def test_who_is_not_there_is_said_so_in_words(tab: Tab, operator: str) -> None:
    sign_in(tab, operator)
    for nobody in ("nobody-such", "<script>alert(1)</script>", "%00", "a/b?c#d"):
        search(tab, nobody)
        expect(tab.page.get_by_role("alert")).to_have_text("No player and no heist has this id.")


def test_a_block_is_looked_at_first_and_done_once_however_often_it_is_pressed(
    tab: Tab, operator: str, world: World, robbery: tuple[Player, str, str]
) -> None:
    _, victim, _ = robbery
    path = f"/admin/players/{victim}/block"
    sign_in(tab, operator)
    search(tab, victim)
    tab.button("Block").click()
    tab.button("Show what would change").click()
    assert bodies(tab, path) == ([], [])  # it needs a reason
    look(tab, "<b>chargeback</b>")
    dry, done = bodies(tab, path)
    assert (len(dry), done) == (1, [])
    expect(tab.page.locator(".difference")).to_have_text("blocked: no → yes")

    tab.button("Confirm").dblclick()

    expect(tab.page.get_by_text("The player is blocked.")).to_be_visible()
    (pressed,) = bodies(tab, path)[1]
    assert re.fullmatch(r"[0-9a-f-]{36}", pressed.headers["idempotency-key"])
    expect(tab.region("Timeline")).to_contain_text("<b>chargeback</b>")
    expect(tab.button("Unblock")).to_be_visible()
    tab.page.get_by_role("link", name="Actions").click()
    expect(tab.region("The log, newest first")).to_contain_text(operator)
    assert world.player().get("/can-rob/" + victim).body["code"] in (
        "NO_TOKENS",
        "TARGET_NOT_FOUND",
    )


def test_a_reversal_needs_the_heists_id_once_more(
    tab: Tab, operator: str, robbery: tuple[Player, str, str]
) -> None:
    robber, _, heist_id = robbery
    sign_in(tab, operator)
    search(tab, heist_id)
    tab.button("Reverse").click()
    tab.page.get_by_label("Give the token back, too").check()
    look(tab)
    confirm = tab.button("Confirm")
    expect(confirm).to_be_disabled()
    tab.page.get_by_label("Type the id again").fill(heist_id[:-1])
    expect(confirm).to_be_disabled()
    tab.page.get_by_label("Type the id again").fill(heist_id)
    confirm.click()
    expect(tab.page.get_by_text(re.compile(r"Reversed: \d+ points went back."))).to_be_visible()
    expect(tab.page.get_by_role("heading", name="Heist reversed")).to_be_visible()
    expect(tab.button("Reverse")).to_have_count(0)
    assert robber.get("/tokens").body["balance"] == 2


def test_an_answer_that_got_lost_is_asked_for_again_under_the_same_key(
    tab: Tab, operator: str, world: World
) -> None:
    player = world.robber(tokens=1, name="Lost")
    path = f"/admin/players/{player.id}/tokens"
    lost: list[str] = []

    def lose_one(route: Route) -> None:
        if not lost and '"dryRun":true' not in (route.request.post_data or ""):
            lost.append(route.fetch().text())
            route.abort()
        else:
            route.continue_()

    sign_in(tab, operator)
    search(tab, player.id)
    tab.page.route(f"**/api/heist{path}", lose_one)
    tab.button("Grant tokens").click()
    tab.page.get_by_label("How many").select_option("3")
    look(tab)
    tab.button("Confirm").click()
    expect(tab.page.get_by_text("Granted: 4 tokens now.")).to_be_visible()
    tried = bodies(tab, path)[1]
    assert len(tried) == 2
    assert len({one.headers["idempotency-key"] for one in tried}) == 1
    assert player.get("/tokens").body["balance"] == 4
    expect(tab.region("Timeline")).to_contain_text("+3 tokens by an operator")


def test_settings_are_tried_in_the_simulator_and_changed_by_whoever_saw_the_last_version(
    tab: Tab, operator: str, world: World, request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(lambda: world.table.delete(keys.SETTINGS))
    stack = world.stack
    name = "HEIST_MAX_ROBBERIES_PER_SEASON"
    token = stack.token(operator)

    def settings() -> Any:
        return stack.call("GET", "/admin/settings", token=token).json

    seen = settings()["version"]
    sign_in(tab, operator)
    go(tab, "settings")
    field = tab.page.get_by_label(f"New value of {name}")
    field.fill("998")
    expect(tab.page.get_by_label("Command")).to_have_text(f"make simulate SET='{name}=998'")
    tab.button("Change these settings").click()
    look(tab, "quieter")
    tab.button("Confirm").click()
    expect(tab.page.get_by_text("is in effect everywhere in half a minute")).to_be_visible()
    changed = settings()["version"]
    assert changed > seen  # by more than one where versions were taken back
    expect(tab.region("Versions")).to_contain_text("quieter")

    field.fill("997")
    tab.button("Change these settings").click()
    look(tab)
    other = {"changes": {name: 999}, "reason": "faster", "expectedVersion": changed}
    key = {"Idempotency-Key": unique("key")}
    faster = stack.call("PUT", "/admin/settings", token=token, body=other, headers=key)
    assert faster.status == 200
    tab.button("Confirm").click()
    expect(tab.page.get_by_role("alert")).to_contain_text("Somebody else changed the settings")


def test_whoever_is_in_support_sees_everything_and_is_offered_no_change(
    tab: Tab, supporter: str, robbery: tuple[Player, str, str]
) -> None:
    robber, _, heist_id = robbery
    sign_in(tab, supporter)
    expect(tab.page.get_by_text("support: read only")).to_be_visible()
    for place, title in SCREENS.items():
        go(tab, place)
        expect(tab.page.get_by_role("heading", name=title, level=1)).to_be_visible()
    search(tab, robber.id)
    expect(tab.region("Timeline")).to_contain_text("HEIST_GAIN")
    search(tab, heist_id)
    expect(tab.region("What happened")).to_contain_text(heist_id)
    go(tab, "settings")
    expect(tab.region("In effect")).to_contain_text("HEIST_COOLDOWN_HOURS")
    words = ("Block", "Grant tokens", "Reverse", "Change these settings", "Confirm")
    for word in words:
        expect(tab.button(word)).to_have_count(0)
    expect(tab.page.get_by_label(re.compile("New value of"))).to_have_count(0)


def test_reports_are_tables_and_pictures(
    tab: Tab, operator: str, stack: Stack, robbery: tuple[Player, str, str]
) -> None:
    token = stack.token(operator)
    eventually(
        lambda: stack.call("GET", "/admin/stats/heists-per-day", token=token).json["days"], bool
    )
    sign_in(tab, operator)
    go(tab, "reports")
    for name, picture in (
        ("Heists per day", "Heists per day"),
        ("Token balances", "Players by their balance"),
    ):
        expect(tab.region(name).get_by_role("img", name=picture)).to_be_visible()
        expect(tab.region(name).get_by_role("table")).to_be_visible()
    expect(tab.region("Top robbers")).to_be_visible()


def test_dead_letters_are_counted_and_stay(tab: Tab, operator: str, world: World) -> None:
    marker = unique("letter")
    letter = {"reason": f"<i>{marker}</i>", "event": {"source": "points", "detail-type": "x"}}
    world.client("sqs").send_message(
        QueueUrl=world.outputs["EventsDeadLetterQueueUrl"], MessageBody=json.dumps(letter)
    )
    sign_in(tab, operator)
    go(tab, "letters")
    expect(tab.region("All dead letters")).to_contain_text(marker)
    tab.button("Look again").click()
    expect(tab.region("All dead letters")).to_contain_text(marker)


def test_everything_works_without_a_mouse(
    tab: Tab, operator: str, robbery: tuple[Player, str, str]
) -> None:
    robber, _, _ = robbery
    sign_in(tab, operator)
    keys = tab.page.keyboard

    def to(name: str, role: Literal["button", "textbox", "link"]) -> None:
        there = tab.page.get_by_role(role, name=name, exact=True)
        expect(there).to_be_visible()
        for _ in range(80):
            if there.evaluate("each => each === document.activeElement"):
                return
            keys.press("Tab")
        raise AssertionError(f"{name} cannot be reached by Tab")

    to("Id of a player or a heist", "textbox")
    keys.type(robber.id)
    keys.press("Enter")
    expect(tab.region("State")).to_contain_text(robber.id)
    to("Block", "button")
    keys.press("Enter")
    expect(tab.page.get_by_role("heading", name="Block this player")).to_be_focused()
    to("Reason, for the log", "textbox")
    keys.type("by keyboard")
    keys.press("Enter")
    to("Confirm", "button")
    keys.press("Space")
    expect(tab.page.get_by_text("The player is blocked.")).to_be_visible()
    to("Reports", "link")
    keys.press("Enter")
    expect(tab.page.get_by_role("heading", name="Reports")).to_be_visible()


@pytest.fixture(scope="module")
def crowd(world: World) -> dict[str, tuple[Player, str]]:
    """Players with hostile names, each with a heist on one whose name is the same."""
    people = {}
    for kind, name in HOSTILE.items():
        robber = world.robber(tokens=2, name=name)
        victim = world.victim(points=1000, name=name)
        people[kind] = robber, robber.rob(victim)["heistId"]
        robber.execute(victim, unique("again"))
    for robber, _ in people.values():
        robber.inbox(3)
    return people


@pytest.mark.parametrize(("width", "scheme", "kinds"), LOOKS)
def test_hostile_names_change_nothing_and_every_screen_can_be_read(
    tab: Tab,
    operator: str,
    crowd: dict[str, tuple[Player, str]],
    width: int,
    scheme: Scheme,
    kinds: Sequence[str],
) -> None:
    def passes(name: str, ready: Locator) -> None:
        expect(ready).to_be_visible()
        expect(tab.page.get_by_text("Loading the ")).to_have_count(0)
        assert tab.page.title() == "Heist operators"
        assert overflow(tab) == [], name
        assert violations(tab) == [], name
        tab.picture(f"ops-{width}-{scheme}-{name}")

    tab.look_at(width, scheme)
    sign_in(tab, operator)
    for place, title in SCREENS.items():
        go(tab, place)
        passes(title, tab.page.get_by_role("heading", name=title, level=1))
    for kind in kinds:
        robber, heist_id = crowd[kind]
        search(tab, robber.id)
        expect(tab.region("State")).to_contain_text(robber.id)
        passes(f"player-{kind}", tab.region("Timeline").get_by_text("HEIST_GAIN"))
        search(tab, heist_id)
        expect(tab.region("What happened")).to_contain_text(heist_id)
        passes(f"heist-{kind}", tab.region("Ledger").get_by_text("HEIST_GAIN"))
    tab.button("Reverse").click()
    look(tab, HOSTILE["image"])
    passes("reversal", tab.button("Confirm"))
    go(tab, "settings")
    tab.page.get_by_label("New value of HEIST_STEAL_PERCENTAGE").fill("9")
    tab.button("Change these settings").click()
    look(tab)
    passes("change-of-settings", tab.button("Confirm"))
    assert bodies(tab, "/admin/settings", "PUT")[1] == []
