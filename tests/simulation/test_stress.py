"""A short run; `make stress` is the long one."""

import pytest

from tests.engines import Engine

from .model import REFUSALS
from .stress import StressRun

OPERATIONS = 500


@pytest.mark.slow
def test_every_point_is_accounted_for_under_stress(engine: Engine, table: str) -> None:
    report = StressRun(engine, table).run(OPERATIONS)
    assert not report.deviations, report.text()
    assert report.successes >= OPERATIONS // 8, report.text()
    assert report.faulted_share >= 0.2
    assert len(report.refusals) >= len(REFUSALS) - 2, report.text()
    assert report.counts["snapshots"] > 5
    assert report.counts["changes checked"] > OPERATIONS
