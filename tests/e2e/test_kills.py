"""`kill -9` of the trainer, of the Celery worker and of Dagster's daemon while a training runs, on the real stack."""

import pytest
from tests.e2e.slow_shop import SlowShop, eventually

from ratoon.ledger.states import RetrainState

pytestmark = pytest.mark.e2e

ROUNDS = 4_000

VICTIMS = {
    "worker": ("ratoon_workers", "train.cpu"),
    "daemon": ("dagster._daemon",),
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("victim", ["trainer", *VICTIMS])
def test_a_kill_while_a_training_runs_ends_in_exactly_one_artifact_and_one_promotion(
    shop: SlowShop, victim: str
) -> None:
    before = len(shop.retrains())
    shop.land_week()
    retrain = shop.training(before + 1)
    target = shop.find(*VICTIMS[victim]) if victim in VICTIMS else shop.trainer_of(retrain)
    target.kill()

    ended = shop.end_of(retrain.retrain_id)

    assert not target.is_running()
    assert ended.state == RetrainState.PROMOTED
    # The training's own death costs an attempt; the daemon's does not touch it.
    ledger = shop.app.ledger
    trail = [entry for entry in ledger.audit_trail(retrain.retrain_id) if entry.action == "retrain.RUNNING"]
    assert len(trail) == (1 if victim == "daemon" else 2)
    assert ledger.artifact(retrain.retrain_id) is not None
    assert len([p for p in ledger.promotions("returns") if p.retrain_id == retrain.retrain_id]) == 1
    assert len(ledger.versions("returns")) == len(ledger.promotions("returns")) == before + 1
    assert len(shop.retrains()) == before + 1
    eventually(lambda: not ledger.pending_events("returns"), "decisions about all events", within_s=120)
    assert ledger.check_invariants() == []
    assert ledger.replay_decisions() == []
