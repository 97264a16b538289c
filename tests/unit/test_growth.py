"""What the growth benchmark calls flat."""

from xml.etree import ElementTree

from benchmarks.growth import FLAT, Cost, drawing, growth

LEVEL = Cost(calls=3, sent=400, received=600, writes=12, reads=2)


def test_a_cost_that_stays_is_flat_also_where_a_column_is_zero() -> None:
    assert growth([LEVEL, LEVEL]) == 1
    assert growth([LEVEL._replace(writes=0), LEVEL._replace(writes=0)]) == 1


def test_a_growing_column_is_not_flat_whichever_it_is() -> None:
    for grown in (
        LEVEL._replace(calls=4),
        LEVEL._replace(received=700),
        LEVEL._replace(writes=13),
        LEVEL._replace(reads=3),
    ):
        assert growth([LEVEL, grown]) > FLAT


def test_the_drawing_has_a_level_line_for_a_flat_cost_in_each_panel() -> None:
    svg = ElementTree.fromstring(drawing({"a heist": {1_000: LEVEL, 10_000: LEVEL}}))
    lines = [one for one in svg.iter() if one.tag.endswith("polyline")]
    assert len(lines) == 2
    for line in lines:
        (_, first), (_, second) = (point.split(",") for point in line.attrib["points"].split())
        assert first == second
