"""A short run on the bank; `make bank-run` is the long one."""

import pytest

from tests.engines import Engine

from .bank_run import REFUSALS, BankRun

OPERATIONS = 1000


@pytest.mark.slow
def test_every_point_is_accounted_for_after_a_run_on_the_bank(engine: Engine, table: str) -> None:
    report = BankRun(engine, table).run(OPERATIONS)
    assert not report.deviations, report.text()
    assert report.successes >= OPERATIONS // 8, report.text()
    assert report.faulted_share >= 0.2
    assert len(report.refusals) >= len(REFUSALS) - 2, report.text()
    assert report.counts["snapshots"] > 5
    if engine.name == "dynamodb-local":
        assert report.counts["changes played through the model"] > OPERATIONS
