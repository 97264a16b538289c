"""How /play looks and reads: narrow, wide, light, dark, with hostile names, and to axe."""

import json
from collections.abc import Sequence

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.browser.conftest import Meet, Person, Scheme, Tab
from tests.browser.looks import HOSTILE, LOOKS, NARROW, overflow, violations

SECTIONS = ("Home", "Targets", "History", "Leaderboard", "Inbox", "Preferences")


@pytest.fixture(scope="module")
def crowd(meet: Meet) -> dict[str, Person]:
    """Players with hostile names, each of whom was robbed by the one before and robbed the next."""
    people = {kind: meet(name, points=950, tokens=2) for kind, name in HOSTILE.items()}
    robbers = [*people.values()]
    for robber, victim in zip(robbers, [*robbers[1:], robbers[0]], strict=True):
        robber.player.rob(victim.player.id)
    for robber in robbers:
        robber.player.inbox(4)
    return people


def expect_all_loaded(tab: Tab) -> None:
    for section in SECTIONS:
        region = tab.region(section)
        expect(region.get_by_role("heading", name=section)).to_be_visible()
        expect(region).to_have_attribute("aria-busy", "false")


@pytest.mark.parametrize(("width", "scheme", "kinds"), LOOKS)
def test_hostile_names_change_nothing_and_every_screen_can_be_read(
    tab: Tab, crowd: dict[str, Person], width: int, scheme: Scheme, kinds: Sequence[str]
) -> None:
    tab.look_at(width, scheme)
    tab.open()
    expect(tab.button("Sign in")).to_be_visible()
    assert violations(tab) == []
    for kind in kinds:
        tab.sign_in(crowd[kind].user)
        expect_all_loaded(tab)
        expect(tab.region("History")).to_contain_text("robbed you")
        expect(tab.page.get_by_role("banner")).to_contain_text(HOSTILE[kind][:9])
        assert tab.page.title() == "Heist"
        assert overflow(tab) == []
        assert violations(tab) == []
        tab.picture(f"{width}-{scheme}-{kind}")
        tab.button("Sign out").click()


def test_the_question_and_the_outcome_of_a_heist_pass_axe(tab: Tab, meet: Meet) -> None:
    hero, victim = meet("Hanna"), meet("Victor", tokens=2)
    victim.player.rob(hero.player.id)
    tab.look_at(NARROW, "light")
    tab.open()
    tab.sign_in(hero.user)
    line = tab.region("Targets").get_by_role("listitem").filter(has_text="Revenge")
    line.get_by_role("button", name="Rob").click()
    assert violations(tab) == []
    assert overflow(tab) == []
    line.get_by_role("button", name="Confirm").click()
    expect(tab.region("Targets").get_by_text("Success!")).to_be_visible()
    tab.page.get_by_text("Requests and replies").click()
    assert violations(tab) == []
    assert overflow(tab) == []
    tab.picture("narrow-outcome")


def test_over_a_slow_network_on_a_slow_machine_it_takes_few_round_trips(
    context: BrowserContext, tab: Tab, meet: Meet
) -> None:
    hero, _ = meet("Hanna"), meet("Vera", tokens=0)
    tab.open()
    tab.sign_in(hero.user)
    expect_all_loaded(tab)
    session = context.new_cdp_session(tab.page)
    session.send("Network.enable")
    session.send("Emulation.setCPUThrottlingRate", {"rate": 4})
    session.send(
        "Network.emulateNetworkConditions",
        {
            "offline": False,
            "latency": 300,
            "downloadThroughput": 60_000,
            "uploadThroughput": 30_000,
        },
    )
    tab.asked.clear()
    tab.page.reload()
    expect(tab.region("Targets")).to_contain_text("would bring")
    expect_all_loaded(tab)
    answered = [each for each in tab.asked if (reply := each.response()) and reply.status == 200]
    paths = [request.url.rpartition("$default")[2].partition("?")[0] for request in answered]
    api = [path for path in paths if path.startswith("/api/")]
    assert sorted(api) == [
        "/api/heist/heists",
        "/api/heist/leaderboard",
        "/api/heist/leaderboard/around",
        "/api/heist/me",
        "/api/heist/notifications",
        "/api/heist/preferences",
        "/api/heist/targets",
    ]
    # one for the page, one for its files, which the page names all, and one for the API
    initiators = tab.page.evaluate("""() => performance.getEntriesByType('resource')
      .map(each => [new URL(each.name).pathname, each.initiatorType])""")
    scripts = [path for path, kind in initiators if path.endswith(".js") and kind == "script"]
    assert [path.rpartition("/")[2] for path in scripts] in ([], ["main.js"]), json.dumps(
        initiators
    )
