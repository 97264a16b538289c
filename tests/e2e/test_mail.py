"""One mail each to attacker and victim (SPEC section 5); who wants none is in tests/unit."""

from tests.e2e.world import World, address


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
    later = address()  # records come in order
    world.robber(email=later).rob(world.victim())
    world.first_mail_to(later)
    assert (len(world.mails_to(robbers)), len(world.mails_to(victims))) == (1, 1)
