"""One mail each to attacker and victim, if they want mail (SPEC section 5)."""

from tests.e2e.world import World, unique


def _address() -> str:
    return f"{unique('mail')}@example.com"


def _settle(world: World) -> None:
    """Wait until the notifier is done with every earlier heist: records come in order."""
    robber_address, victim_address = _address(), _address()
    robber = world.robber(email=robber_address)
    robber.rob(world.victim(email=victim_address))
    world.first_mail_to(robber_address)
    world.first_mail_to(victim_address)


def test_a_heist_sends_exactly_one_mail_to_each_side(world: World) -> None:
    robber_address, victim_address = _address(), _address()
    robber = world.robber(name="Robin", email=robber_address)
    world.earn(robber.id, 1234)
    victim = world.victim(points=900, name="Marian", email=victim_address)
    robber.rob(victim)

    won, lost = world.first_mail_to(robber_address), world.first_mail_to(victim_address)

    assert won["To"] == [robber_address]
    assert lost["To"] == [victim_address]
    for mail in (won, lost):
        assert mail["Subject"]
        assert mail["CC"] == mail["BCC"] == []
    for part in ("BodyText", "BodyHtml"):
        assert all(text in won[part] for text in ("45", "Marian")), won[part]
        assert any(total in won[part] for total in ("1279", "1,279")), won[part]
        assert all(text in lost[part] for text in ("45", "Robin", "855")), lost[part]
        assert robber_address not in lost[part]
        assert victim_address not in won[part]
    _settle(world)
    assert len(world.mails_to(robber_address)) == 1
    assert len(world.mails_to(victim_address)) == 1


def test_names_are_escaped_in_html_and_cannot_add_headers(world: World) -> None:
    evil = "<img src=x onerror=alert(1)>\"'&\r\nBcc: all@example.com"
    robber_address, victim_address = _address(), _address()
    robber = world.robber(name=evil, email=robber_address)
    robber.rob(world.victim(name=evil, email=victim_address))
    for address in (robber_address, victim_address):
        mail = world.first_mail_to(address)
        assert "<img" not in mail["BodyHtml"]
        assert "&lt;img" in mail["BodyHtml"]
        assert "\n" not in mail["Subject"]
        assert "\r" not in mail["Subject"]
        assert mail["To"] == [address]
        assert mail["CC"] == mail["BCC"] == []


def test_no_mail_goes_to_those_who_opted_out_or_have_no_address(world: World) -> None:
    out, back_in, removed = _address(), _address(), _address()
    silent = world.victim(email=out)
    world.profile(silent, emailOptOut=True)
    returned = world.victim(email=back_in)
    world.profile(returned, emailOptOut=True)
    world.profile(returned, emailOptOut=False)
    without = world.victim(email=removed)
    world.deliver("upsert_player", "users", "UserUpserted", {"userId": without, "email": None})
    robbers = [world.robber(email=_address()) for _ in range(3)]
    for robber, victim in zip(robbers, (silent, returned, without), strict=True):
        robber.rob(victim)
        robber.inbox(2)
    _settle(world)
    assert world.mails_to(out) == []
    assert len(world.mails_to(back_in)) == 1
    assert world.mails_to(removed) == []


def test_an_award_is_notified_in_the_inbox_only(world: World) -> None:
    address = _address()
    player = world.robber(email=address)
    player.inbox(1)
    _settle(world)
    assert world.mails_to(address) == []
