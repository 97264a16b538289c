"""The simulator of a season: its truth, its figures, and what it says to whoever types."""

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from heist_core.domain.player import Dated, Losses, Player, Preferences, Profile
from heist_core.domain.settings import Settings
from ops import __main__ as tool
from ops import population as export
from ops.simulator import command
from ops.simulator.behaviour import Behaviour, Choice, choices_of
from ops.simulator.command import Scenario, play_twice, scenario_of
from ops.simulator.measures import Measured, estimate, gini, lorenz, measured, percentile
from ops.simulator.picture import drawing
from ops.simulator.population import (
    DAYS,
    Person,
    Population,
    lines_of,
    population,
    read,
    rounded,
)
from ops.simulator.report import figures_of, rows
from ops.simulator.season import Outcome, play
from ops.target import OperatorError, find_if_named
from tests.builders import NOW, SEASON, rules

USUAL = Behaviour()
QUIET = Behaviour(attacks=0, referrals=0)
TODAY = Settings()
PLAYERS = 300


def a_pair(points: int) -> Population:
    """Player 0 robs player 1 whenever the rules let them; 1 has the points from the first day."""
    people = [Person(0, 0, 0), Person(points, 0, 0)]
    earnings: list[list[tuple[int, int]]] = [[(1, points)], *([] for _ in range(DAYS - 1))]
    return Population(people, earnings, pairs=[(0, 1)])


def season(settings: Settings = TODAY, behaviour: Behaviour = USUAL, seed: int = 1) -> Outcome:
    return play(population(PLAYERS, (), seed), settings, behaviour, seed)


def scenario(then: Settings, behaviour: Behaviour = USUAL) -> Scenario:
    return Scenario(PLAYERS, (), TODAY, then, behaviour)


def asked(*typed: str) -> tuple[Scenario, range]:
    options = tool.parser().parse_args(["simulate", *typed])
    return scenario_of(find_if_named(""), options)


def means(pairs: list[tuple[Measured, Measured]], name: str) -> tuple[float, float]:
    now, then, _ = figures_of(pairs)[name]
    return now.mean, then.mean


# Truth


def test_who_has_1000_points_never_earns_and_is_robbed_15_times_loses_531() -> None:
    played = play(a_pair(1000), rules(percentage=5, maximum=100), QUIET, seed=1)

    assert (played.robbed, played.lost, played.points) == ([0, 15], [0, 531], [531, 469])
    assert played.collected == 531


@pytest.mark.parametrize(
    ("settings", "robbed", "lost"),
    [
        (rules(max_robberies_per_season=4), 4, 50 + 47 + 45 + 42),
        (rules(max_loss_percentage=10), 3, 50 + 47 + 3),
        (rules(pair_cooldown_hours=24 * 7), 5, 50 + 47 + 45 + 42 + 40),
        (rules(enabled=False), 0, 0),
    ],
)
def test_the_rules_of_the_product_decide(settings: Settings, robbed: int, lost: int) -> None:
    played = play(a_pair(1000), settings, QUIET, seed=1)

    assert (played.robbed[1], played.lost[1]) == (robbed, lost)
    assert played.robbed[1] + played.refusals.total() == DAYS


@pytest.mark.parametrize("choice", Choice)
def test_points_are_conserved_however_targets_are_chosen(choice: Choice) -> None:
    people = population(PLAYERS, (), 7)
    played = play(people, rules(), Behaviour(attacks=8, referrals=8, choices={choice: 1}), 7)

    assert played.heists > PLAYERS
    assert sum(played.points) == sum(person.earned for person in people.people)
    assert min(played.points) >= 0


def test_a_season_that_loses_points_is_a_defect() -> None:
    pair = a_pair(1000)
    with pytest.raises(ArithmeticError):
        play(replace(pair, earnings=[[], *pair.earnings[1:]]), rules(), QUIET, 1)


def test_the_same_seed_gives_the_same_season_and_another_gives_another() -> None:
    assert season(seed=3) == season(seed=3)
    assert season(seed=3) != season(seed=4)


def test_the_same_settings_twice_change_nothing() -> None:
    now, then = play_twice(scenario(TODAY, Behaviour(elasticity=2)), seed=5)
    assert now == then


# Behaviour


def test_elasticity_makes_attacks_rarer_when_they_bring_less() -> None:
    heists = [
        play_twice(scenario(rules(percentage=2), Behaviour(elasticity=elasticity)), 2)[1]
        for elasticity in (0, 1)
    ]
    assert heists[1].figures["heists"] < 0.7 * heists[0].figures["heists"]


def test_passive_players_and_those_not_yet_there_take_no_part() -> None:
    people = [
        Person(500, 0, 1),
        Person(500, 0, 1),
        Person(500, 0, 1, passive=1),
        Person(500, DAYS, 1),
    ] * 20
    played = play(
        Population(people, [[(who, 500) for who in range(80)], *[[]] * (DAYS - 1)]),
        rules(),
        Behaviour(attacks=10, referrals=10, choices={Choice.RANDOM: 1}),
        seed=1,
    )
    assert not any(played.robbed[number] for number in range(2, 80, 4))
    assert played.refusals["TARGET_PASSIVE"]
    assert played.refusals["ATTACKER_PASSIVE"]
    assert played.refusals["TARGET_NOT_FOUND"]


def test_newcomers_are_spared_by_their_setting() -> None:
    played = season(rules(newcomer_hours=24 * 7), Behaviour(attacks=8, referrals=8))
    assert played.refusals["TARGET_NEW"]
    assert played.refusals["ATTACKER_NEW"]


def test_at_risk_is_who_loses_more_than_a_fifth_in_a_week() -> None:
    hard = rules(cooldown_hours=0, protection_hours=24, percentage=5)
    assert play(a_pair(1000), hard, QUIET, 1).at_risk == [False, True]
    assert play(a_pair(1000), rules(), QUIET, 1).at_risk == [False, False]


@pytest.mark.parametrize(
    ("typed", "choices"),
    [
        ("board", {Choice.BOARD: 1}),
        ("random=3,richest=1", {Choice.RANDOM: 3, Choice.RICHEST: 1}),
    ],
)
def test_a_choice_of_target_is_a_name_or_shares(typed: str, choices: dict[Choice, float]) -> None:
    assert choices_of(typed) == choices


# Figures


def test_gini_and_lorenz_know_equality_and_its_opposite() -> None:
    assert gini([5, 5, 5, 5]) == 0
    assert gini([0, 0, 0, 8]) == 0.75
    assert gini([0, 0]) == gini([]) == 0
    assert lorenz([1] * 40) == pytest.approx([step / 20 for step in range(21)])
    assert lorenz([0] * 19 + [7])[-2:] == [0, 1]


def test_percentiles_are_by_nearest_rank() -> None:
    hundred = list(range(1, 101))
    assert [percentile(hundred, share) for share in (50, 95, 100)] == [50, 95, 100]
    assert percentile([3], 95) == 3
    assert percentile([], 95) == 0


def test_an_interval_is_student_s() -> None:
    of_two = estimate([1.0, 3.0])
    assert of_two == pytest.approx((2, 12.706))
    twenty = estimate([0.0, 1.0] * 10)
    assert twenty.half == pytest.approx(2.093 * 0.51299 / 20**0.5, rel=1e-4)


def test_newcomers_losses_stand_apart_and_who_earned_nothing_does_not_count() -> None:
    people = [Person(100, 0, 1), Person(100, 5, 1), Person(0, 0, 1)]
    outcome = Outcome([80, 60, 60], [20, 40, 0], [1, 2, 0], [False, True, False])
    figures = measured(Population(people, []), outcome).figures

    assert (figures["loss_median"], figures["loss_95"]) == (20, 40)
    assert (figures["newcomer_loss_median"], figures["newcomer_loss_95"]) == (40, 40)
    assert figures["moved"] == 30
    assert figures["robbed"] == pytest.approx(200 / 3)
    assert figures["at_risk"] == pytest.approx(100 / 3)


def test_milder_settings_move_fewer_points() -> None:
    pairs = [play_twice(scenario(rules(percentage=2)), seed) for seed in range(4)]
    now, then = means(pairs, "moved")
    assert 0 < then < now
    now, then = means(pairs, "per_invented")
    assert 0 < then < now


def test_the_report_fits_80_columns_and_names_each_refusal() -> None:
    pairs = [play_twice(scenario(rules(max_robberies_per_season=2)), seed) for seed in range(2)]
    table = list(rows(figures_of(pairs)))
    lines = list(command.lines_of_table(table))

    assert max(map(len, lines)) <= 80
    labels = [label.strip() for label, *_ in table]
    assert "TARGET_LOSS_LIMIT" in labels
    assert len(set(labels)) == len(labels)


def test_the_picture_is_an_svg_for_light_and_dark() -> None:
    picture = drawing([play_twice(scenario(rules(percentage=2)), seed) for seed in range(2)])

    root = ET.fromstring(picture)
    kinds = [each.get("class") for each in root.iter()]
    assert kinds.count("earned") == 2  # its line and its legend
    assert "prefers-color-scheme: dark" in picture


# What is typed


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ([], "make simulate SET="),
        (["--set", "HEIST_STEAL=3"], "HEIST_STEAL=3: must be NAME=VALUE"),
        (
            ["--set", "HEIST_STEAL_PERCENTAGE=0"],
            "HEIST_STEAL_PERCENTAGE: must be a whole number, 1 to 100, got '0'",
        ),
        (["--seeds", "1"], "--seeds must be a whole number, 2 to 1000, got '1'"),
        (["--players", "many"], "--players must be a whole number, 50 to 200000, got 'many'"),
        (["--attacks", "-1"], "--attacks must be a number, 0 to 100, got '-1'"),
        (["--elasticity", "nan"], "--elasticity must be a number, 0 to 5, got 'nan'"),
        (["--choice", "poorest"], "random, richest, board, revenge, or shares"),
        (["--choice", "random=0"], "must have a share above 0"),
    ],
)
def test_what_is_wrong_is_named_with_what_is_allowed(typed: list[str], says: str) -> None:
    usual = [] if not typed or "--set" in typed else ["--set", "HEIST_STEAL_PERCENTAGE=3"]
    with pytest.raises(OperatorError) as told:
        asked(*usual, *typed)
    assert says in str(told.value)


def test_several_settings_stand_in_one_text_or_in_several() -> None:
    together, seeds = asked("--set", "HEIST_STEAL_PERCENTAGE=3  HEIST_COOLDOWN_HOURS=12")
    apart, _ = asked("--set", "HEIST_STEAL_PERCENTAGE=3", "--set", "HEIST_COOLDOWN_HOURS=12")

    assert together == apart
    assert (together.then.steal_percentage, together.then.cooldown_hours) == (3, 12)
    assert (together.now, len(seeds)) == (Settings(), 20)


def test_variables_here_are_today_s_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEIST_MAX_STEAL_POINTS", "50")
    played, _ = asked("--set", "HEIST_STEAL_PERCENTAGE=3")
    assert (played.now.max_steal_points, played.then.max_steal_points) == (50, 50)


def test_a_run_needs_no_stack_and_two_of_the_same_print_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "PICTURE", tmp_path / ".local" / "simulation.svg")
    monkeypatch.setattr(
        command, "played", lambda scenario, seeds: (play_twice(scenario, seed) for seed in seeds)
    )
    told = []
    for _ in range(2):
        typed = ["--set", "HEIST_STEAL_PERCENTAGE=3", "--players", "100", "--seeds", "2"]
        assert tool.main(["simulate", *typed]) == 0
        told.append(capsys.readouterr())

    assert told[0] == told[1]
    lines = told[0].out.splitlines()
    assert lines[:2] == [
        "100 players, invented; 30 days; 2 seeds from 1",
        "  HEIST_STEAL_PERCENTAGE: 5 → 3",
    ]
    assert max(map(len, lines)) <= 80
    assert (tmp_path / ".local" / "simulation.svg").read_text("utf-8").startswith("<svg")

    assert tool.main(["simulate", *typed, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["proposed"]["HEIST_STEAL_PERCENTAGE"] == 3
    assert set(document["figures"]["moved"]) == {"now", "proposed", "change"}


# Players of a real table


def test_an_export_tells_nobody_s_id_or_name_and_no_exact_number() -> None:
    player = Player(
        "kim@example.com",
        version=9,
        tokens_earned=123,
        first_seen_at=NOW,
        points={SEASON: 12_345},
        losses={SEASON: Losses(2, 678)},
        profile=Profile(name=Dated("Kim", NOW)),
        preferences=Preferences(passive=True),
    )
    assert export.person_of(player, SEASON) == Person(13_000, 22, 120, 1)
    assert export.person_of(replace(player, first_seen_at=None), "2026-10") == Person(0, 0, 120, 1)


@pytest.mark.parametrize(
    ("number", "told"), [(0, 0), (7, 7), (99, 99), (104, 100), (105, 110), (9_951, 10_000)]
)
def test_numbers_are_rounded_to_two_digits(number: int, told: int) -> None:
    assert rounded(number) == told


def test_an_exported_file_is_read_again_and_players_are_drawn_from_it(tmp_path: Path) -> None:
    known = [Person(100, 0, 3, 0), Person(40, 12, 0, 1)]
    file = tmp_path / "players.csv"
    file.write_text("\n".join(lines_of(known)), "utf-8")

    assert read(file) == sorted(known)
    drawn = population(1000, read(file), seed=1)
    assert {person for person in drawn.people if person.passive} == {known[1]}
    assert 400 < sum(person.passive for person in drawn.people) < 600


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the first line must be earned,joined,tokens,passive"),
        ("earned,joined,tokens,passive", "there is no player in it"),
        ("earned,joined,tokens,passive\n1,2,3", "line 2: must have 4 columns"),
        (
            "earned,joined,tokens,passive\n1,0,3,0\n1,31,3,0",
            "line 3: joined must be a whole number, 0 to 30, got '31'",
        ),
        ("earned,joined,tokens,passive\n-1,2,3,0", "line 2: earned must be a whole number"),
        ("earned,joined,tokens,passive\n\udcff,2,3,0", "line 2: earned must be a whole number"),
    ],
)
def test_a_file_that_is_none_is_refused_with_its_line(text: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "players.csv"
    file.write_text(text, "utf-8", errors="surrogateescape")
    with pytest.raises(OperatorError) as told:
        read(file)
    assert says in str(told.value)


def test_what_everybody_earns_comes_whole_and_not_before_they_join() -> None:
    people = population(PLAYERS, (), seed=Random(1).randrange(100))
    earned = [0] * PLAYERS
    for day, earnings in enumerate(people.earnings, start=1):
        for who, points in earnings:
            assert points > 0
            assert day >= people.people[who].joined
            earned[who] += points
    assert earned == [person.earned for person in people.people]
