"""The cost model: prices by tiers, digests, and the picture."""

from xml.etree import ElementTree

import pytest

from benchmarks import assumptions, cost
from benchmarks.write_units import size_of, units


@pytest.mark.parametrize(
    ("tier", "players", "dollars"),
    [("LITE", 10_000, 0), ("LITE", 300_000, 1_415), ("ESSENTIALS", 300_000, 4_350)],
)
def test_sign_in_is_priced_tier_by_tier(tier: str, players: int, dollars: float) -> None:
    assert cost.sign_in(players, tier) == pytest.approx(dollars)


def test_a_digest_is_one_mail_for_all_of_a_day() -> None:
    few, many = (1_000, 1_000), (1_000, 300_000)
    assert 1_900 < cost.digests(*few, share=1) < 2_000
    assert cost.digests(*many, share=1) < 30_000
    assert cost.digests(*many, share=0.5) == cost.digests(*many, share=1) / 2
    instant, daily = (cost.month(1_000_000, digest=share) for share in (0, 1))
    assert daily.mails < instant.mails


def test_nothing_but_what_is_fixed_is_paid_where_nobody_plays() -> None:
    assert cost.idle() == pytest.approx(10.2)


def test_a_table_too_large_for_one_audit_is_exported_and_was_read_in_part_before() -> None:
    small, large = assumptions.AUDITED_GB, 2 * assumptions.AUDITED_GB
    assert cost.audit(small, assumptions.NOW) == cost.audit(small, assumptions.BEFORE)
    assert cost.audit(large, assumptions.BEFORE) == cost.audit(small, assumptions.BEFORE)
    assert cost.audit(large, assumptions.NOW) == pytest.approx(large * 0.11)


def test_as_many_tokens_are_earned_as_spent() -> None:
    assert assumptions.TOKENS == assumptions.HEISTS


def test_the_picture_has_a_part_for_each_service_and_each_write() -> None:
    drawn = ElementTree.fromstring(cost.picture(1_000_000, 0.0, "LITE"))
    titles = {one.text.partition(":")[0] for one in drawn.iter() if one.text and ": " in one.text}
    assert {"sign-in", "mails", "statistics", "marker"} <= titles


def test_sizes_are_counted_as_dynamodb_counts_them() -> None:
    assert size_of({"pk": {"S": "abc"}, "n": {"N": "100"}, "on": {"BOOL": True}}) == 5 + 4 + 3
    assert size_of({"l": {"L": [{"S": "ab"}]}, "m": {"M": {"k": {"S": "v"}}}}) == 7 + 6
    assert units(None, 1024) == 1
    assert units({"pk": {"S": "a" * 1023}}, 1024) == 2
