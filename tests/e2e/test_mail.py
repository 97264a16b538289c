"""One mail each to attacker and victim, if they want mail (SPEC section 5)."""

from tests.e2e.world import World, address


def _settle(world: World) -> None:
    """Wait until the notifier is done with every earlier heist: records come in order."""
    robbers, victims = address(), address()
    world.robber(email=robbers).rob(world.victim(email=victims))
    world.first_mail_to(robbers)
    world.first_mail_to(victims)


def test_a_heist_sends_exactly_one_mail_to_each_side_and_an_award_none(world: World) -> None:
    robbers, victims = address(), address()
    robber = world.robber(name="Robin", email=robbers)
    world.earn(robber.id, 1234)
    victim = world.victim(points=900, name="Marian", email=victims)
    robber.rob(victim)

    won, lost = world.first_mail_to(robbers), world.first_mail_to(victims)

    assert (won["To"], lost["To"]) == ([robbers], [victims])
    for mail in (won, lost):
        assert mail["Subject"]
        assert mail["CC"] == mail["BCC"] == []
    for part in ("BodyText", "BodyHtml"):
        assert all(text in won[part] for text in ("45", "Marian")), won[part]
        assert any(total in won[part] for total in ("1279", "1,279")), won[part]
        assert all(text in lost[part] for text in ("45", "Robin", "855")), lost[part]
        assert robbers not in lost[part]
        assert victims not in won[part]
    _settle(world)
    assert (len(world.mails_to(robbers)), len(world.mails_to(victims))) == (1, 1)


def test_no_mail_goes_to_those_who_opted_out_or_have_no_address(world: World) -> None:
    out, back_in, removed = address(), address(), address()
    victims = silent, returned, without = [
        world.victim(email=one) for one in (out, back_in, removed)
    ]
    for victim in (silent, returned):
        world.profile(victim, emailOptOut=True)
    world.profile(returned, emailOptOut=False)
    world.deliver("upsert_player", "users", "UserUpserted", {"userId": without, "email": None})
    for victim in victims:
        world.robber().rob(victim)
    _settle(world)
    assert world.mails_to(out) == world.mails_to(removed) == []
    assert len(world.mails_to(back_in)) == 1
