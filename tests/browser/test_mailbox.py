"""The mailbox of the local stack, from `make run`'s link to the one in a mail."""

from playwright.sync_api import expect

from tests.browser.conftest import PICTURES, Meet, Tab
from tests.e2e.world import World, eventually


def test_a_mail_is_read_in_a_frame_and_its_link_ends_its_kind(
    tab: Tab, meet: Meet, world: World
) -> None:
    name = "<script>document.title='owned'</script>"
    hero, victim = meet(name), meet("Victor")
    hero.player.rob(victim.player.id)
    world.first_mail_to(victim.email)

    tab.page.goto(f"{world.outputs['Endpoint']}/_heist/mailbox")
    mail = tab.page.get_by_role("article").filter(has_text=victim.email)
    expect(mail).to_contain_text("List-Unsubscribe-Post")
    framed = mail.frame_locator("iframe")
    expect(framed.get_by_text(f"{name[:8]}").last).to_be_visible()
    assert tab.page.title() == "Mails"
    PICTURES.mkdir(parents=True, exist_ok=True)
    mail.screenshot(path=PICTURES / "mailbox.png")

    # the header has the same link as the mail itself
    for link in (
        mail.locator("dl a[href*='/unsubscribe/']"),
        framed.locator("a[href*='/unsubscribe/']").first,
    ):
        with tab.page.context.expect_page() as opened:
            link.click()
        settings = opened.value
        expect(settings.get_by_text("gets mails")).to_be_visible()
    settings.get_by_role("button").first.click()
    eventually(
        lambda: victim.player.get("/preferences").body["email"]["robbed"],
        lambda how: how == "off",
    )
