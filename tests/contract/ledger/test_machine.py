"""Any order of arrivals, deliveries, losses, crashes, zombies and people keeps what must always hold."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from ratoon.errors import ConflictError, FencedError, RefusedError
from ratoon.ledger import Ledger
from ratoon.ledger.records import Claim, OutboxMessage
from ratoon.ledger.states import TERMINAL, RetrainState


class LedgerMachine(RuleBasedStateMachine):
    """One model, one broker that loses and repeats, workers that sleep and wake up again."""

    open_story: Callable[[Path], Any]
    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="ratoon-machine-"))
        shutil.copy(self.template, self.home / "ledger.db")
        self.story, self.clock = type(self).open_story(self.home / "ledger.db")
        self.ledger: Ledger = self.story.ledger
        self.broker: list[OutboxMessage] = []
        self.holders: list[Claim] = []
        self.ended: dict[str, RetrainState] = {}

    def teardown(self) -> None:
        self.faults_stop()
        self.ledger.close()
        shutil.rmtree(self.home)

    def faults_stop(self) -> None:
        """After the last fault everything comes to its end by sweeping, relaying and working."""
        for _ in range(10):
            self.clock.pass_by(4_000)
            self.ledger.reconcile()
            self.ledger.relay(self.broker.append)
            while self.broker:
                self.deliver(0)
                while self.holders:
                    self.work(0)
        self.ledger.reconcile()
        for retrain in self.ledger.retrains():
            assert retrain.state in TERMINAL, retrain
            assert (
                len([move for move in self.ledger.promotions("delays") if move.retrain_id == retrain.retrain_id]) <= 1
            )
        assert self.ledger.replay_decisions() == []
        assert self.ledger.check_invariants() == []

    @rule(rows=st.integers(0, 3))
    def arrive_and_decide(self, rows: int) -> None:
        event = self.story.arrive()
        first = self.story.decide(event, rows=rows)
        assert self.story.decide(event, rows=3 - rows) == first

    @rule()
    def relay(self) -> None:
        self.ledger.relay(self.broker.append)

    @precondition(lambda self: self.broker)
    @rule(index=st.integers(0, 5), repeat=st.booleans())
    def deliver(self, index: int, repeat: bool = False) -> None:
        message = self.broker[index % len(self.broker)]
        if not repeat:
            self.broker.remove(message)
        claim = self.ledger.claim(message.retrain_id, message.task, owner="worker", lease_s=60)
        if isinstance(claim, Claim):
            self.holders.append(claim)

    @rule()
    def lose_the_broker(self) -> None:
        self.broker.clear()

    @rule(seconds=st.sampled_from([1, 30, 61, 130, 3_700]))
    def time_passes(self, seconds: int) -> None:
        self.clock.pass_by(seconds)

    @rule()
    def sweep(self) -> None:
        self.ledger.reconcile()

    @precondition(lambda self: self.holders)
    @rule(index=st.integers(0, 5), verdict=st.sampled_from(["promote", "reject"]), conclude=st.booleans())
    def work(self, index: int, verdict: Any = "promote", conclude: bool = True) -> None:
        """A holder reports, however long it slept."""
        claim = self.holders.pop(index % len(self.holders))
        retrain_id = claim.retrain.retrain_id
        live = self.ledger.retrain(retrain_id).fence == claim.fence
        try:
            if claim.stage == "train":
                self.ledger.report_trained(retrain_id, claim.fence, artifact=self.story.artifact)
            else:
                evaluation = self.story.evaluation.model_copy(update={"verdict": verdict})
                self.ledger.report_evaluated(retrain_id, claim.fence, evaluation=evaluation)
                if conclude:
                    self.ledger.conclude(retrain_id)
            assert live, "a holder with an old fence wrote"
        except FencedError:
            assert not live or self.ledger.retrain(retrain_id).lease_until is None or self._cancelling(retrain_id)

    @precondition(lambda self: self.holders)
    @rule(retryable=st.booleans())
    def give_up(self, retryable: bool) -> None:
        claim = self.holders.pop()
        try:
            self.ledger.release(claim.retrain.retrain_id, claim.fence, error={"code": "RT-TRAIN"}, retryable=retryable)
        except FencedError:
            self._confirm(claim)

    @precondition(lambda self: self.holders)
    @rule()
    def take_over_and_wake_the_zombie(self) -> None:
        """The compound step that finds a missing fence: expire, hand on, and let the old holder report."""
        old = self.holders[-1]
        self.clock.pass_by(61)
        self.ledger.reconcile()
        self.ledger.relay(self.broker.append)
        claim = self.ledger.claim(old.retrain.retrain_id, old.stage, owner="heir", lease_s=60)
        if isinstance(claim, Claim):
            self.holders.append(claim)
            self.work(len(self.holders) - 2)

    @rule()
    def cancel(self) -> None:
        for retrain in self.ledger.retrains(limit=1):
            try:
                self.ledger.request_cancel(retrain.retrain_id, "me")
            except RefusedError:
                assert retrain.state in TERMINAL

    @rule(back=st.booleans())
    def a_person_moves_the_champion(self, back: bool) -> None:
        model = self.ledger.model("delays")
        try:
            if back:
                self.ledger.rollback("delays", actor="me", reason="r")
            elif model.last_version:
                self.ledger.promote("delays", model.last_version, actor="me", reason="r")
        except (RefusedError, ConflictError):
            assert self.ledger.model("delays") == model

    @invariant()
    def everything_holds(self) -> None:
        assert self.ledger.check_invariants(grace_s=1e9) == []

    @invariant()
    def what_has_ended_stays(self) -> None:
        states = {retrain.retrain_id: retrain.state for retrain in self.ledger.retrains()}
        for retrain_id, state in self.ended.items():
            assert states[retrain_id] is state
        self.ended = {retrain_id: state for retrain_id, state in states.items() if state in TERMINAL}

    def _cancelling(self, retrain_id: str) -> bool:
        return self.ledger.retrain(retrain_id).state in (RetrainState.CANCELLING, *TERMINAL)

    def _confirm(self, claim: Claim) -> None:
        try:
            self.ledger.confirm_cancelled(claim.retrain.retrain_id, claim.fence)
        except FencedError:
            assert self.ledger.retrain(claim.retrain.retrain_id).state is not RetrainState.CANCELLING


@pytest.mark.timeout(300)
def test_any_order_of_steps_keeps_the_invariants(migrated_sqlite: Path, open_story: Callable[[Path], Any]) -> None:
    machine = type("Machine", (LedgerMachine,), {"open_story": staticmethod(open_story), "template": migrated_sqlite})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=15,
            stateful_step_count=25,
            deadline=None,
            database=None,
            phases=[Phase.generate],  # shrinking a failure takes minutes: add Phase.shrink by hand
            suppress_health_check=list(HealthCheck),
        ),
    )
