"""Compares raw rows of a model's windows, when a person asks."""

import polars as pl

from ratoon.bootstrap import Ratoon
from ratoon.drift import DomainTest, domain_test
from ratoon.errors import EmptyWindowError
from ratoon.loop.counting import batch_rows
from ratoon.loop.references import learned_batches, windows

_MOST_ROWS = 20_000


def tell_apart(app: Ratoon, model: str, *, seed: int = 0) -> DomainTest:
    """Test whether a classifier can tell a model's newest batches from what its champion learned from.

    It reads raw rows: at most 20,000 of each window, drawn at random. Keys and the event time are left out.

    Args:
        app: The application.
        model: A declared model.
        seed: Of the draws and the folds.

    Raises:
        NotFoundError: The model is not declared.
        EmptyWindowError: There is no champion, or no batch that it has not learned from.
    """
    from ratoon.training.domain import DomainClassifier  # loads XGBoost

    spec = app.model(model)
    dataset, champion = app.dataset(spec.dataset), app.ledger.champion(model)
    found = None if champion is None else windows(app, spec, champion, as_of=app.clock())
    if champion is None or found is None:
        raise EmptyWindowError(
            f"model {model} has nothing to compare: it needs a champion, and a batch that the champion has not learned from"
        )
    learned = {record.batch_id: record.as_of for record in learned_batches(app, champion)}
    excluded = [*dataset.contract.entity_key, dataset.contract.event_time, "_batch"]
    sides = [batch_rows(app, dataset, batches).drop(excluded) for batches in (learned, found.batches)]
    drawn = [_sample(side, seed) for side in sides]
    classifier = DomainClassifier(threads=app.settings.threads, seed=seed)
    return domain_test(drawn[0], drawn[1], classifier, seed=seed)


def _sample(rows: pl.DataFrame, seed: int) -> pl.DataFrame:
    return rows.sample(min(rows.height, _MOST_ROWS), seed=seed)
