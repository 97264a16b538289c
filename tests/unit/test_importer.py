"""What an import takes, what it rejects and why, and what comes of it; without a table."""

import gzip
from collections.abc import Mapping
from contextlib import closing
from itertools import chain
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from heist_core.storage.audit import audit_items
from heist_core.storage.importing.loading import grouped
from heist_core.storage.importing.mapping import ITEMS_AT_ONCE, Sums, Unit
from heist_core.storage.importing.pace import FIRST, LOWEST, Pace
from heist_core.storage.importing.parts import BrokenPart, Run, parts_of
from heist_core.storage.wire import from_wire
from ops.importer.checked import CheckedExport
from ops.importer.files import ExportError, Rows, find_export
from ops.importer.rows import HeistRow, PointRow, Row, RowError, TokenRow, UserRow
from tests.builders import NOW, each_of
from tests.exports import FakeS3, bucket_of
from tests.fakes import FakeClock
from tests.old_system import play

SAMPLE = Path(__file__).parents[1] / "sample_export"

USER: Mapping[str, object] = {"id": "1", "monthlyPoints": "40"}
TOKENS: Mapping[str, object] = {
    "userId": "1",
    "balance": "1",
    "totalEarned": "3",
    "totalSpent": "2",
}
HEIST: Mapping[str, object] = {
    "id": "9",
    "attackerId": "1",
    "victimId": "2",
    "pointsStolen": "40",
    "attackerPointsBefore": "1000",
    "attackerPointsAfter": "1040",
    "victimPointsBefore": "800",
    "victimPointsAfter": "760",
    "status": "SUCCESS",
    "createdAt": "2026-11-20 12:00:00",
}
POINT: Mapping[str, object] = {
    "id": "5",
    "userId": "1",
    "points": "-10",
    "createdAt": "2026-11-20 12:00:00",
}
RIGHT: Mapping[str, tuple[type[Row], Mapping[str, object]]] = {
    "user": (UserRow, USER),
    "tokens": (TokenRow, TOKENS),
    "heist": (HeistRow, HEIST),
    "point": (PointRow, POINT),
}


def test_a_row_that_is_right_is_taken_whole() -> None:
    taken = HeistRow.of({**HEIST, "ipAddress": "203.0.113.9"}, NOW)
    assert (taken.id, taken.attackerId, taken.victimId, taken.pointsStolen) == ("9", "1", "2", 40)
    assert (taken.attackerPointsBefore, taken.victimPointsBefore) == (1000, 800)
    assert taken.ipAddress == "203.0.113.0/24"
    assert TokenRow.of(TOKENS, NOW).totalEarned == 3
    assert PointRow.of(POINT, NOW).points == -10


WRONG: Mapping[str, Mapping[str, tuple[object, ...]]] = {
    "user": {
        "id": (None, "a b", "1#2", "-1.5e3/", 1.5, True, "x" * 65),
        "monthlyPoints": (
            *(None, "-1", "1.0", "1e3", " 1", "١", "2147483648", "9" * 5000, 10.0, True),
        ),
        "name": (7,),
        "email": ("nobody", "a@b.example\nBcc: c@d.example"),
        "emailOptOut": ("perhaps", 1),
        "locale": ("de_DE", 7),
        "createdAt": (
            *("yesterday", "infinity", "2026-11-20", "2026-02-30 12:00:00", "20261120T120000Z"),
            *("0001-01-01 00:00:00+14", 1763640000),
        ),
        "updatedAt": ("2027-01-01 00:00:00",),
        "referredByUserId": ("1", "no one"),
    },
    "tokens": {
        "userId": (None,),
        "balance": ("2", "-1"),
        "totalSpent": ("4",),
        "lastSpentAt": ("soon",),
    },
    "heist": {
        "id": (None,),
        "victimId": ("1",),
        "pointsStolen": ("0", "-40"),
        "attackerPointsAfter": ("1041",),
        "victimPointsAfter": ("761", None),
        "status": (None,),
        "createdAt": (None, "2026-11-22 12:00:03.118"),
    },
    "point": {"points": ("many",), "createdAt": (None,)},
}


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [(kind, *pair) for kind, fields in WRONG.items() for pair in each_of(fields)],
)
def test_a_row_that_is_wrong_names_the_field_and_what_is_allowed(
    kind: str, field: str, value: object
) -> None:
    row, right = RIGHT[kind]
    row.of(right, NOW)
    with pytest.raises(RowError) as rejected:
        row.of({**right, field: value}, NOW)
    assert rejected.value.field == field or (kind, rejected.value.field) == ("tokens", "balance")
    assert rejected.value.reason.startswith("must ")
    if isinstance(value, str) and len(value) > 3:
        assert value not in str(rejected.value)


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2026-11-20 12:00:00", "2026-11-20T12:00:00.000Z"),
        ("2026-11-20T12:00:00.1", "2026-11-20T12:00:00.100Z"),
        ("2026-11-20 12:00:00.123456", "2026-11-20T12:00:00.123Z"),
        ("2026-11-20 12:00:00+00", "2026-11-20T12:00:00.000Z"),
        ("2026-11-20 12:00:00.5-03:30", "2026-11-20T15:30:00.500Z"),
        ("2026-11-20T12:00:00Z", "2026-11-20T12:00:00.000Z"),
    ],
)
def test_times_are_utc_unless_they_name_their_offset(text: str, iso: str) -> None:
    at = PointRow.of({**POINT, "createdAt": text}, NOW).createdAt
    assert at.isoformat(timespec="milliseconds").replace("+00:00", "Z") == iso


def test_names_are_cleaned_as_those_of_events_are() -> None:
    row = UserRow.of({**USER, "name": "\u202eEve\x00\n" + "e" * 200}, NOW)
    assert row.name == "Eve" + "e" * 97
    assert UserRow.of({**USER, "name": "\u200b"}, NOW).name is None


# Files


def written(folder: Path, **files: str | bytes) -> Path:
    """An export of the given files; `User_csv` is User.csv."""
    for name, content in files.items():
        data = content if isinstance(content, bytes) else content.encode()
        (folder / name.replace("_", ".", 1)).write_bytes(data)
    return folder


def read(folder: Path) -> list[tuple[int, object]]:
    """The rows of User, with the line of each; RowErrors as text."""
    source = find_export(folder).sources[0]
    return [
        (line, str(row) if isinstance(row, RowError) else dict(row)) for line, row in Rows(source)
    ]


def test_a_csv_file_is_read_as_copy_writes_it(tmp_path: Path) -> None:
    content = (
        "\ufeffid,monthly_points,name,email_opt_out,password\r\n"
        '1,40,"Hana ""the cat""\r\nTanaka, Jr.",t,x\r\n'
        '2,0,"",f,x\r\n'
    )
    rows = read(written(tmp_path, User_csv=content))
    assert rows == [
        (
            2,
            {
                "id": "1",
                "monthlyPoints": "40",
                "name": 'Hana "the cat"\r\nTanaka, Jr.',
                "emailOptOut": "t",
            },
        ),
        (4, {"id": "2", "monthlyPoints": "0", "name": None, "emailOptOut": "f"}),
    ]


def test_rows_without_shape_are_rejected_with_their_line_and_the_rest_is_read(
    tmp_path: Path,
) -> None:
    content = b"id,monthlyPoints,name\n1,40\n2,0,\xff\n\n3,1,C,D\n4,7,\x00Jo\n"
    rows = read(written(tmp_path, User_csv=content))
    assert [line for line, _ in rows] == [2, 3, 5, 6]
    assert rows[0][1] == "row: must have 3 values, as the header has, not 2"
    assert rows[1][1] == "row: must be UTF-8"
    assert rows[2][1] == "row: must have 3 values, as the header has, not 4"
    assert rows[3][1] == {"id": "4", "monthlyPoints": "7", "name": "\x00Jo"}


def test_json_lines_are_read_one_by_one(tmp_path: Path) -> None:
    content = (
        b'{"id": 1, "monthlyPoints": 40, "other": {"a": 1}}\n'
        b'{"id": 2, "monthly_points": 1, "monthlyPoints": 2}\n'
        b"[1]\n\n"
        b'{"id": 3, "monthlyPoints": 1\n'
        b'{"id": "\xff"}\n' + b"[" * 100_000 + b"\n"
        b'{"id": 4, "monthlyPoints": ' + b"9" * 6000 + b"}\n"
    )
    rows = read(written(tmp_path, User_jsonl=content))
    no_object = "row: must be one JSON object on one line"
    assert rows == [
        (1, {"id": 1, "monthlyPoints": 40}),
        (2, "monthlyPoints: must be there once"),
        (3, no_object),
        (5, no_object),
        (6, "row: must be UTF-8"),
        (7, no_object),
        (8, no_object),
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_csv_file_is_taken_for_what_it_is(tmp_path: Path, delimiter: str, encoding: str) -> None:
    content = "id,monthlyPoints,name\n1,40,Björn\n2,0,\\N\n".replace(",", delimiter)
    assert read(written(tmp_path, User_csv=content.encode(encoding))) == [
        (2, {"id": "1", "monthlyPoints": "40", "name": "Björn"}),
        (3, {"id": "2", "monthlyPoints": "0", "name": None}),
    ]


def test_what_a_file_was_taken_for_is_on_its_report(tmp_path: Path) -> None:
    content = "id;monthlyPoints;createdAt;name\n1;4;2026-11-01 00:00:00;\\N\n"
    checked, _ = load(written(tmp_path, User_csv=content.encode("utf-16")))
    report = checked.files["User"]
    assert (report.form, report.nulls) == ("CSV in UTF-16, separated by semicolons", 1)


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({}, "no User.csv or User.jsonl"),
        ({"Heist_csv": "id\n"}, "no User.csv or User.jsonl"),
        ({"User_csv": ""}, "is empty"),
        ({"User_csv": "id,name\n1,A\n"}, "CSV in UTF-8, separated by commas, lacks monthlyPoints"),
        ({"User_csv": "id\tname\n"}, "separated by tabs, .* Its first line is: id, name."),
        (
            {"User_csv": "id,monthlyPoints\n1,x\n2,y\n"},
            "User.csv was taken for CSV in UTF-8, separated by commas",
        ),
        (
            {"User_csv": b"\xff\xfei\0d\0\n\0\x00\xd8x\0"},
            "begins as CSV in UTF-16, .* export it as",
        ),
        ({"User_csv": "1,40\n2,50\n"}, "lacks id, monthlyPoints"),
        ({"User_csv": "id,ID,monthlyPoints\n"}, "more than one column for id"),
        ({"User_csv": 'id,monthlyPoints\n1,4\n2,"5\n3,6\n'}, "begins on line 3 is not CSV"),
        ({"User_csv": 'id,monthlyPoints\n1,"4"5\n'}, "begins on line 2 is not CSV"),
        ({"User_csv": "id,monthlyPoints\n", "users_jsonl": ""}, "are both User"),
        ({"User_csv": "id,monthlyPoints\n1,4\n"}, "Nothing in the export has a time"),
        (
            {
                "User_csv": "id,monthlyPoints,createdAt\n1,4,2026-10-01 00:00:00\n2,4,\n",
                "Heist_csv": ",".join(HEIST) + "\n" + ",".join(map(str, HEIST.values())) + "\n",
            },
            "There are heists of 2026-11",
        ),
    ],
)
def test_a_folder_that_is_no_export_says_what_is_wrong(
    tmp_path: Path, files: Mapping[str, str | bytes], problem: str
) -> None:
    season = "2026-10" if "Heist_csv" in files and "User_csv" in files else None
    with pytest.raises(ExportError, match=problem):
        load(written(tmp_path, **files), season)


@pytest.mark.parametrize(
    "name",
    ["User.csv", "users.csv", "USERS.CSV", "public.User.csv", "user.jsonl", '"User".csv'],
)
def test_files_may_be_called_as_tables_are(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("")
    (tmp_path / "rejects.csv").write_text("")
    (tmp_path / "notes.txt").write_text("")
    export = find_export(tmp_path)
    assert [source.table.name for source in export.sources] == ["User"]
    assert export.ignored == ("notes.txt",)


def test_a_folder_that_is_called_like_a_file_is_none(tmp_path: Path) -> None:
    (tmp_path / "User.csv").mkdir()
    with pytest.raises(ExportError, match="is no file: export User into one"):
        find_export(tmp_path)


def test_other_files_make_another_fingerprint(tmp_path: Path) -> None:
    first = find_export(written(tmp_path, User_csv="id,monthlyPoints\n")).fingerprint()
    assert find_export(written(tmp_path, notes_txt="x")).fingerprint() == first
    assert find_export(written(tmp_path, User_csv="id,monthlyPoints\n1,1\n")).fingerprint() != first


# What only the whole shows


Rejected = list[tuple[str, int, str]]


def load(folder: Path, season: str | None = None) -> tuple[CheckedExport, Rejected]:
    rejected: Rejected = []
    checked = CheckedExport()
    checked.load(
        find_export(folder),
        season,
        NOW,
        lambda file, line, error: rejected.append((file, line, str(error))),
        lambda position: None,
    )
    return checked, rejected


def units_of(checked: CheckedExport) -> list[Unit]:
    """As they are, which is what they are again after a part of an import was written and read."""
    run, found = Run(bucket_of(FakeS3()), "run"), []
    for kind, total, units in checked.kinds():
        found += (expected := list(units))
        run.write(kind, expected, lambda _: None)
        read = [run.units(f"{kind}-{number:05}") for number in range(parts_of(total))]
        assert list(chain(*read)) == expected
    return found


def test_a_line_of_a_part_that_is_no_unit_is_not_told() -> None:
    s3 = FakeS3()
    s3.objects["run/parts/players-00000.json.gz"] = gzip.compress(b'{"id": "Ada"}')
    with pytest.raises(BrokenPart, match=r"^players-00000, line 1$"):
        list(Run(bucket_of(s3), "run").units("players-00000"))


def table_of(checked: CheckedExport) -> list[dict[str, object]]:
    """What the empty table would hold after the import."""
    items = []
    for unit in units_of(checked):
        for step in unit.steps(None):
            if "Put" in step.action:
                items.append(from_wire(step.action["Put"]["Item"]))  # type: ignore[arg-type]
            else:
                items.append(applied(step.action["Update"]))
    return items


def applied(update: Mapping[str, object]) -> dict[str, object]:
    """What an update makes of nothing: every attribute that it sets."""
    names: Mapping[str, str] = update["ExpressionAttributeNames"]  # type: ignore[assignment]
    values = from_wire(update["ExpressionAttributeValues"])  # type: ignore[arg-type]
    key = from_wire(update["Key"])  # type: ignore[arg-type]
    return {**key, **{name: values[place.replace("#", ":")] for place, name in names.items()}}


def test_rows_of_strangers_and_rows_that_are_there_twice_are_rejected(tmp_path: Path) -> None:
    old = play(seed=3, players=30)
    heists = old.tables["Heist"]
    old.tables["User"].append({**old.tables["User"][0], "name": "Again"})
    old.tables["HeistToken"].append({**old.tables["HeistToken"][0], "userId": 777})
    old.tables["Heist"] += [{**heists[0], "id": 901, "victimId": 777}, heists[1]]
    old.tables["UserPointEvent"].append(
        {**old.tables["UserPointEvent"][0], "id": 9999, "userId": 777}
    )
    sizes = {name: len(rows) for name, rows in old.tables.items()}
    checked, rejected = load(old.write(tmp_path, as_json=True))
    stranger = "must be the id of a row of User that was taken"
    assert sorted(rejected) == [
        ("Heist.jsonl", sizes["Heist"] - 1, f"victimId: {stranger}"),
        ("Heist.jsonl", sizes["Heist"], "id: must not be there twice; the first row counts"),
        ("HeistToken.jsonl", sizes["HeistToken"], f"userId: {stranger}"),
        ("User.jsonl", sizes["User"], "id: must not be there twice; the first row counts"),
        ("UserPointEvent.jsonl", sizes["UserPointEvent"], f"userId: {stranger}"),
    ]
    report = checked.files["Heist"]
    assert (report.rows, report.taken, report.rejected) == (sizes["Heist"], sizes["Heist"] - 2, 2)


def test_two_players_may_share_an_address(tmp_path: Path) -> None:
    content = (
        "id,monthlyPoints,email,createdAt\n1,4,a@b.example,2026-11-01 00:00:00\n2,4,a@b.example,\n"
    )
    _, rejected = load(written(tmp_path, User_csv=content))
    assert rejected == []


def test_heists_that_failed_are_left_out_and_counted(tmp_path: Path) -> None:
    old = play(seed=3, players=30)
    old.tables["Heist"].append({**old.tables["Heist"][0], "id": 901, "status": "FAILED"})
    checked, rejected = load(old.write(tmp_path))
    assert rejected == []
    assert checked.files["Heist"].left_out == {"did not succeed, so it moved nothing": 1}
    assert checked.sums().heists == len(old.tables["Heist"]) - 1


def test_points_belong_to_the_month_of_the_newest_time_unless_told(tmp_path: Path) -> None:
    export = play(seed=3, players=30).write(tmp_path)
    assert load(export)[0].season == "2026-11"
    assert load(export, "2026-12")[0].season == "2026-12"


def test_without_point_events_points_of_earlier_months_are_unknown(tmp_path: Path) -> None:
    export = play(seed=3, players=60).write(tmp_path)
    (export / "UserPointEvent.csv").unlink()
    checked, _ = load(export)
    assert set(+checked.sums().points) == {"2026-11"}
    assert violations(checked) == []


def test_oddities_are_reported_and_stop_nothing(tmp_path: Path) -> None:
    old = play(seed=3, players=60)
    robber = old.tables["Heist"][0]["attackerId"]
    old.tables["HeistToken"] = [
        {**row, "totalEarned": row["balance"], "totalSpent": 0} if row["userId"] == robber else row
        for row in old.tables["HeistToken"]
    ]
    old.tables["User"][5] = {**old.tables["User"][5], "monthlyPoints": 12345}
    old.tables["UserPointEvent"].append(
        {**old.tables["UserPointEvent"][0], "id": 9999, "points": -100_000}
    )
    checked, rejected = load(old.write(tmp_path))
    assert rejected == []
    assert [note.partition(" ")[0] for note in checked.notes] == ["1", "1", "1"]
    assert violations(checked) == []


# What comes of it


def violations(checked: CheckedExport) -> list[object]:
    return list(audit_items(table_of(checked)).violations())


@settings(max_examples=30, deadline=None)
@given(
    seed=some.integers(0, 10**9),
    players=some.integers(3, 15),  # two may be spoilt; an export without users is refused
    heists_each=some.floats(0, 6),
    damage=some.randoms(use_true_random=False),
)
def test_whatever_is_taken_keeps_every_invariant_and_adds_up(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    players: int,
    heists_each: float,
    damage: Random,
) -> None:
    """Also when rows are missing, doubled or changed: what remains is consistent in itself."""
    old = play(seed, players, heists_each=heists_each)
    for rows in old.tables.values():
        for _ in range(damage.randrange(3)):
            if len(rows) > 1:
                spoilt = damage.randrange(len(rows))
                rows[spoilt] = {
                    **rows[spoilt],
                    damage.choice(list(rows[spoilt])): damage.choice((None, -1, 10**12, "x y", 2)),
                }
    checked, _ = load(
        old.write(tmp_path_factory.mktemp("export"), as_json=damage.random() < 0.5), "2026-11"
    )
    with closing(checked):
        items = table_of(checked)
        audit = audit_items(items)
        assert list(audit.violations()) == []
        found = {(str(item["pk"]), str(item["sk"])): item for item in items}
        assert len(found) == len(items)
        held = Sums()
        for unit in units_of(checked):
            part = unit.count(found)
            assert part is not None
            held.add(part)
            assert unit.steps(found[str(unit.key["pk"]), str(unit.key["sk"])]) == ()
        assert held.lines() == checked.sums().lines()
        assert {season: total for season, total in audit.earned.items() if total} == dict(
            +checked.sums().points
        )
        assert not any("owed" in name for item in items for name in item)


def test_the_sample_is_what_its_seed_makes_and_is_taken_whole(tmp_path: Path) -> None:
    """`python -m tests.old_system tests/sample_export --players 20 --seed 5` writes it."""
    made = play(seed=5, players=20).write(tmp_path)
    assert {path.name: path.read_bytes() for path in made.iterdir()} == {
        path.name: path.read_bytes() for path in SAMPLE.iterdir()
    }
    checked, rejected = load(SAMPLE)
    assert rejected == []
    assert checked.sums().heists > 0


def test_no_group_is_larger_than_a_transaction_and_none_is_lost(tmp_path: Path) -> None:
    checked, _ = load(play(seed=3, players=200).write(tmp_path))
    units = units_of(checked)
    groups = list(grouped(units))
    assert [unit.key for group in groups for unit in group] == [unit.key for unit in units]
    sizes = [sum(len(unit.all_keys()) for unit in group) for group in groups]
    assert max(sizes) <= ITEMS_AT_ONCE
    assert min(sizes[:-1]) > ITEMS_AT_ONCE - 6


# --- The pace ------------------------------------------------------------------------------------


def test_the_loader_asks_at_its_pace_and_gains_while_all_goes_well() -> None:
    clock = FakeClock()
    pace = Pace(clock.monotonic, clock.sleep)
    for _ in range(1000):
        pace.wait(100)
        pace.faster(100)
    assert pace.items_a_second == 2 * FIRST
    assert 69 < sum(clock.slept) < 70


def test_one_burst_of_refusals_halves_the_pace_once_and_never_below_the_lowest() -> None:
    clock = FakeClock()
    pace = Pace(clock.monotonic, clock.sleep)
    assert all(pace.slower() for _ in range(8))
    assert pace.items_a_second == FIRST / 2
    for _ in range(10):
        clock.sleep(1)
        pace.slower()
    assert pace.items_a_second == LOWEST
    assert not pace.slower()
