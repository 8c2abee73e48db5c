"""Cancelling a training from the page and from the command line ends it; stopping the stack only puts it off."""

import psutil
import pytest
from tests.e2e.slow_shop import SlowShop, eventually

from ratoon.ledger.records import Retrain
from ratoon.ledger.states import RetrainState

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ROUNDS = 16_000
"""The stack's UI and daemon stop before its workers: the training must outlast them."""

RUNS = "query($t: [ExecutionTag!]!) {runsOrError(filter: {tags: $t}) {... on Runs {results {runId status}}}}"
TERMINATE = "mutation($ids: [String!]!) {terminateRuns(runIds: $ids) {__typename}}"


def a_training(shop: SlowShop) -> tuple[Retrain, psutil.Process]:
    """Let a week land, and return the retrain that it starts with the process that trains."""
    before = len(shop.retrains())
    shop.land_week()
    retrain = shop.training(before + 1)
    return retrain, shop.trainer_of(retrain)


def run_that_shows(shop: SlowShop, retrain: Retrain) -> dict[str, str]:
    """Wait until Dagster shows a retrain, and return the run."""

    def look() -> dict[str, str] | None:
        tag = {"key": "ratoon/retrain", "value": retrain.retrain_id}
        runs = shop.ask(RUNS, {"t": [tag]})["runsOrError"]["results"]
        return next((run for run in runs if run["status"] == "STARTED"), None)

    return eventually(look, "the run that shows the retrain", within_s=60)


def status_of(shop: SlowShop, run_id: str) -> str:
    query = "query($id: ID!) {runOrError(runId: $id) {... on Run {status}}}"
    return str(shop.ask(query, {"id": run_id})["runOrError"]["status"])


def assert_that_nothing_came_of(shop: SlowShop, retrain: Retrain, trainer: psutil.Process) -> None:
    ended = shop.end_of(retrain.retrain_id)
    ledger = shop.app.ledger
    assert ended.state == RetrainState.CANCELLED
    assert not trainer.is_running()
    assert ledger.artifact(retrain.retrain_id) is None
    assert [p for p in ledger.promotions("returns") if p.retrain_id == retrain.retrain_id] == []
    trail = [entry.action for entry in ledger.audit_trail(retrain.retrain_id)]
    assert trail.count("retrain.RUNNING") == 1
    assert ledger.check_invariants() == []


def test_a_stack_that_stops_in_a_training_leaves_nothing_and_the_next_one_finishes_it(shop: SlowShop) -> None:
    retrain, trainer = a_training(shop)
    run_that_shows(shop, retrain)

    assert shop.stop() == 0

    assert shop.left_behind() == []
    assert not trainer.is_running()
    put_off = shop.app.ledger.retrain(retrain.retrain_id)
    assert put_off.state == RetrainState.DISPATCHED
    assert put_off.finished_at is None

    shop.start()
    ended = shop.end_of(retrain.retrain_id)
    ledger = shop.app.ledger
    assert ended.state == RetrainState.PROMOTED
    assert len(shop.retrains()) == len(ledger.versions("returns")) == len(ledger.promotions("returns")) == 1
    assert not [entry for entry in ledger.audit_trail(retrain.retrain_id) if entry.action == "retrain.CANCELLING"]
    eventually(lambda: not ledger.pending_events("returns"), "decisions about all events", within_s=120)
    assert ledger.check_invariants() == []


def test_a_run_terminated_on_the_page_takes_its_training_with_it(shop: SlowShop) -> None:
    champion = shop.app.ledger.champion("returns")
    retrain, trainer = a_training(shop)
    run = run_that_shows(shop, retrain)

    [answer] = [shop.ask(TERMINATE, {"ids": [run["runId"]]})["terminateRuns"]]

    assert answer["__typename"] == "TerminateRunsResult"
    eventually(lambda: not trainer.is_running(), "the trainer's end", within_s=30)
    assert_that_nothing_came_of(shop, retrain, trainer)
    assert shop.app.ledger.champion("returns") == champion
    eventually(lambda: status_of(shop, run["runId"]) == "CANCELED", "the end of the run", within_s=60)


def test_the_command_cancel_ends_a_training(shop: SlowShop) -> None:
    champion = shop.app.ledger.champion("returns")
    retrain, trainer = a_training(shop)
    run = run_that_shows(shop, retrain)

    answer = shop.command("cancel", "returns")

    assert answer["retrain_id"] == retrain.retrain_id
    eventually(lambda: not trainer.is_running(), "the trainer's end", within_s=30)
    assert_that_nothing_came_of(shop, retrain, trainer)
    assert shop.app.ledger.champion("returns") == champion
    eventually(lambda: status_of(shop, run["runId"]) == "FAILURE", "the end of the run", within_s=60)
