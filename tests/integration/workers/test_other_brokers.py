"""The same way from decision to champion over a broker that is not ours; skipped where none is named."""

import os
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(180)


@pytest.mark.parametrize("variable", ["RATOON_TEST_REDIS_URL", "RATOON_TEST_RABBITMQ_URL"])
def test_a_decision_becomes_a_champion_over_another_broker(bench_type, tmp_path: Path, variable: str) -> None:
    url = os.environ.get(variable)
    if not url:
        pytest.skip(f"{variable} names no server")
    bench = bench_type(tmp_path, broker_url=url)
    bench.plan.write_text("answer")
    try:
        bench.start_worker()
        bench.wait(bench.request("m"), "PROMOTED")
        assert bench.ledger.check_invariants() == []
    finally:
        bench.stop()
