"""Ten heist attempts and thirty questions a minute and player, by default (SPEC section 2)."""

from tests.e2e.world import Reply, World, in_parallel, stay_within_one_minute, unique

ATTEMPTS, QUESTIONS = 10, 30


def _limited(reply: Reply, of: str = "heist attempts") -> None:
    assert reply.status == 429
    assert reply.body == {
        "success": False,
        "error": "RATE_LIMITED",
        "message": f"Too many {of}, please try again later",
    }
    assert 1 <= int(reply.headers["retry-after"]) <= 60


def test_the_eleventh_distinct_attempt_waits_but_repeats_do_not_count(world: World) -> None:
    player, bystander = world.player(), world.player()
    keys = [unique("k") for _ in range(ATTEMPTS)]
    stay_within_one_minute(15)

    first = [player.execute("a", key) for key in keys for _ in range(2)]

    assert {reply.code for reply in first} == {"NO_TOKENS"}
    assert [reply.replayed for reply in first] == [False, True] * ATTEMPTS
    fresh = unique("k")
    _limited(player.execute("a", fresh))
    _limited(player.execute("a"))
    # what was counted already is answered still, and a mismatch comes before the limit
    assert player.execute("a", keys[0]).content == first[0].content
    assert player.execute("a", keys[0]).replayed
    assert player.execute("b", keys[0]).status == 422
    assert "errors" in player.post("/execute", {}).body
    # others, and other questions, are not concerned
    assert bystander.execute("a").code == "NO_TOKENS"
    assert player.can_rob("a").status == 200
    assert player.get("/tokens").status == 200


def test_mismatches_do_not_count(world: World) -> None:
    player, key = world.player(), unique("k")
    stay_within_one_minute(15)
    assert player.execute("a", key).code == "NO_TOKENS"
    for _ in range(ATTEMPTS + 2):
        assert player.execute("b", key).status == 422
    for _ in range(ATTEMPTS - 1):
        assert player.execute("a", unique("k")).code == "NO_TOKENS"
    _limited(player.execute("a", unique("k")))


def test_parallel_attempts_on_several_instances_share_one_limit(world: World) -> None:
    player = world.player()
    stay_within_one_minute(20)
    replies = in_parallel(lambda _: player.execute("a"), range(25), at_once=4)
    let_in = [reply for reply in replies if reply.status == 400]
    turned_away = [reply for reply in replies if reply.status == 429]
    assert len(let_in) == ATTEMPTS
    assert len(let_in) + len(turned_away) == len(replies)


def test_the_thirty_first_question_waits(world: World) -> None:
    player = world.player()
    stay_within_one_minute(15)
    for _ in range(QUESTIONS):
        assert player.can_rob("a").status == 200
    _limited(player.can_rob("b"), "questions about targets")
    assert player.get("/can-rob/a%20b").status == 400
    assert player.execute("a").code == "NO_TOKENS"


def test_a_player_who_calls_all_the_time_waits_and_others_do_not(world: World) -> None:
    player, bystander = world.player(), world.player()
    stay_within_one_minute(50)
    replies = [player.get("/tokens") for _ in range(605)]
    assert {reply.status for reply in replies} == {200, 429}
    _limited(replies[-1], "requests")
    assert bystander.get("/tokens").status == 200
    assert player.get("/notifications").status == 200
