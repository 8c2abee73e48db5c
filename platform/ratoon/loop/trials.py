"""Tries a model's drift configuration on its own reference."""

from collections.abc import Callable

from ratoon.bootstrap import Ratoon
from ratoon.declarations import DatasetSpec
from ratoon.drift import SelfTest, self_test
from ratoon.errors import EmptyWindowError
from ratoon.ledger.records import ProfileRecord
from ratoon.loop.counting import batch_rows

REPEATS = 200
"""Reports without a change, unless a caller asks for another number."""

_USUAL_ROWS = 5_000
_MOST_ROWS = 100_000


def self_test_model(
    app: Ratoon,
    model: str,
    *,
    n_rows: int | None = None,
    repeats: int = REPEATS,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> SelfTest:
    """Say how often a model's drift configuration cries wolf, and what it would see.

    The rows are those that the champion learned from, the newest 100,000 of them; before the first champion, the
    dataset's newest.

    Args:
        app: The application.
        model: A declared model.
        n_rows: Rows of each side of a report; None: 5,000, or half of the reference where that is less.
        repeats: Reports without a change.
        seed: Of all draws.
        progress: Is told how many reports are done, of how many.

    Raises:
        NotFoundError: The model is not declared.
        EmptyWindowError: There are too few rows.
    """
    spec = app.model(model)
    dataset = app.dataset(spec.dataset)
    records = _reference(app, dataset, model)
    if not records:
        raise EmptyWindowError(f"model {model} has no reference: no batch of dataset {spec.dataset} was profiled yet")
    rows = batch_rows(app, dataset, {record.batch_id: record.as_of for record in records}).drop("_batch")
    each = n_rows if n_rows is not None else min(_USUAL_ROWS, rows.height // 2)
    return self_test(
        rows, dataset.contract, spec.monitoring.drift, n_rows=each, repeats=repeats, seed=seed, progress=progress
    )


def _reference(app: Ratoon, dataset: DatasetSpec, model: str) -> list[ProfileRecord]:
    champion = app.ledger.champion(model)
    learned = None if champion is None else set(champion.data.get("batches", []))
    found: list[ProfileRecord] = []
    for record in app.ledger.profiles(dataset.name, limit=None):
        if learned is not None and record.batch_id not in learned:
            continue
        found.append(record)
        if sum(one.rows_kept for one in found) >= _MOST_ROWS:
            break
    return found
