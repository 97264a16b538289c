"""Ten heist attempts a minute and player, by default, counted over all instances (SPEC section 2).

What counts, and the limits of the other routes, are in tests/integration/test_heist_commits.py.
"""

from tests.e2e.world import Player, Reply, World, in_parallel, unique, within_one_minute

ATTEMPTS, KEY = 10, unique("k")


def test_the_eleventh_attempt_waits_and_repeats_and_other_players_do_not(world: World) -> None:
    bystander = world.player()

    def crowd_and_what_follows() -> tuple[Player, Reply, list[Reply], list[Reply]]:
        player = world.player()
        first = player.execute("a", KEY)
        crowd = in_parallel(lambda _: player.execute("a"), range(25), at_once=4)
        return player, first, crowd, [player.execute("a", KEY), player.execute("b", KEY)]

    player, first, crowd, (again, mismatch) = within_one_minute(crowd_and_what_follows)

    let_in = [reply for reply in crowd if reply.status == 400]
    turned_away = [reply for reply in crowd if reply.status == 429]
    assert len(let_in) == ATTEMPTS - 1
    assert len(let_in) + len(turned_away) == len(crowd)
    for reply in turned_away:
        assert reply.body == {
            "success": False,
            "error": "RATE_LIMITED",
            "message": "Too many heist attempts, please try again later",
        }
        assert 1 <= int(reply.headers["retry-after"]) <= 60
    assert (again.content, again.replayed) == (first.content, True)
    assert mismatch.status == 422
    assert bystander.execute("a").code == "NO_TOKENS"
    assert player.can_rob("a").status == 200
