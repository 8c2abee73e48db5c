"""A domain classifier: whether a model can tell the rows of two windows apart, and by which columns."""

from typing import Final, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from ratoon.contracts.spec import Strict
from ratoon.errors import DataError

Floats = NDArray[np.float64]

_LEAST_AUC: Final = 0.55
_STANDARD_ERRORS: Final = 3.0


class Classifier(Protocol):
    """What tells rows apart; it may offer ``feature_importances_`` (one number per column, >= 0) once it is fitted."""

    def fit(self, x: Floats, y: NDArray[np.int64], /) -> object:
        """Learn from rows x columns (NaN: missing) and classes 0 (reference) and 1 (current); starts afresh."""

    def predict_proba(self, x: Floats, /) -> Floats:
        """Return the chance of class 1 per row: as a vector, or as the last column of a matrix."""


class DomainTest(Strict):
    """Whether two windows can be told apart by all columns together."""

    auc: float = Field(description="Cross-validated area under the ROC curve; 0.5: the windows look the same.")
    standard_error: float
    n_reference: int
    n_current: int
    drifted: bool = Field(description="AUC above .55, and above .5 by three standard errors.")
    columns: list[tuple[str, float]] = Field(
        description="By which columns they are told apart, with their share of the importance, largest first; empty "
        "where the classifier doesn't say."
    )
    left_out: list[str] = Field(
        description="Columns that weren't looked at: times move on, and other types can't be ordered."
    )

    @property
    def sentence(self) -> str:
        """Return the result for a person."""
        named = ", ".join(name for name, share in self.columns[:3] if share > 0)
        by = f", mostly by {named}" if named and self.drifted else ""
        can = "can" if self.drifted else "can't"
        return f"A classifier {can} tell the windows apart (AUC {self.auc:.3f} ± {self.standard_error:.3f}){by}."


def domain_test(
    reference: pl.DataFrame, current: pl.DataFrame, classifier: Classifier, *, seed: int, folds: int = 5
) -> DomainTest:
    """Test by cross-validation whether a classifier can tell the rows of two windows apart.

    It reads raw rows, and is for a person's question, not for every batch. Rows must not occur in both windows. Texts
    become ranks of their frequency.

    Args:
        reference: Rows of the reference window.
        current: Rows of the current one, with the same columns.
        classifier: Fitted once per fold.
        seed: Parts the rows into folds.
        folds: How many, >= 2.

    Returns:
        The verdict; it needs both an AUC above .55 and three standard errors (DeLong 1988), since a row's neighbours in time
        can make any two windows differ by a little.

    Raises:
        DataError: The windows have different columns, none that can be looked at, or fewer rows than folds.
    """
    if set(reference.columns) != set(current.columns) or min(reference.height, current.height) < folds:
        raise DataError(
            f"the windows can't be told apart by a classifier: {reference.height} rows of {sorted(reference.columns)} "
            f"against {current.height} of {sorted(current.columns)}; give both the same columns and {folds} rows or more"
        )
    encoded = {name: _encoded(reference[name], current[name]) for name in reference.columns}
    usable = {name: values for name, values in encoded.items() if values is not None}
    if not usable:
        raise DataError("the windows hold no number, text or truth value that a classifier could look at")
    x = np.column_stack(list(usable.values()))
    y = np.repeat(np.array([0, 1]), [reference.height, current.height])
    auc, error, importance = _cross_validate(classifier, x, y, _folds(y, folds, seed))
    shares = importance / importance.sum() if importance is not None and importance.sum() > 0 else []
    return DomainTest(
        auc=auc,
        standard_error=error,
        n_reference=reference.height,
        n_current=current.height,
        drifted=auc > _LEAST_AUC and auc > 0.5 + _STANDARD_ERRORS * error,
        columns=sorted(
            ((name, float(share)) for name, share in zip(usable, shares, strict=len(shares) > 0)),
            key=lambda entry: (-entry[1], entry[0]),
        ),
        left_out=[name for name in reference.columns if name not in usable],
    )


def auc_with_error(score: Floats, y: NDArray[np.int64]) -> tuple[float, float]:
    """Compute the area under the ROC curve and its standard error (DeLong, DeLong and Clarke-Pearson 1988).

    Args:
        score: Higher for class 1.
        y: Classes 0 and 1, both there.

    Example:
        Of the four pairs, three are in order:

        >>> auc_with_error(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1]))[0]
        0.75
    """
    low, high = np.sort(score[y == 0]), np.sort(score[y == 1])
    of_high = (np.searchsorted(low, high, "left") + np.searchsorted(low, high, "right")) / (2 * len(low))
    of_low = 1 - (np.searchsorted(high, low, "left") + np.searchsorted(high, low, "right")) / (2 * len(high))
    variance = sum(part.var(ddof=1) / len(part) if len(part) > 1 else 0.25 for part in (of_high, of_low))
    return float(of_high.mean()), float(np.sqrt(variance))


def _cross_validate(
    classifier: Classifier, x: Floats, y: NDArray[np.int64], fold: NDArray[np.int64]
) -> tuple[float, float, Floats | None]:
    areas, errors, importances = [], [], []
    for held_out in range(int(fold.max()) + 1):
        is_test = fold == held_out
        classifier.fit(x[~is_test], y[~is_test])
        chance = np.asarray(classifier.predict_proba(x[is_test]), dtype=np.float64)
        area, error = auc_with_error(chance if chance.ndim == 1 else chance[:, -1], y[is_test])
        areas.append(area)
        errors.append(error)
        importances.append(getattr(classifier, "feature_importances_", None))
    known = [np.asarray(importance, dtype=np.float64) for importance in importances if importance is not None]
    mean_error = float(np.sqrt(np.sum(np.square(errors)))) / len(errors)
    return float(np.mean(areas)), mean_error, np.mean(known, axis=0) if known else None


def _folds(y: NDArray[np.int64], folds: int, seed: int) -> NDArray[np.int64]:
    """Give every row a fold; both classes are spread evenly."""
    random, fold = np.random.default_rng(seed), np.empty(len(y), dtype=np.int64)
    for label in (0, 1):
        rows = np.flatnonzero(y == label)
        fold[random.permutation(rows)] = np.arange(len(rows)) % folds
    return fold


def _encoded(reference: pl.Series, current: pl.Series) -> Floats | None:
    """Return numbers as they are and texts by the rank of their frequency, NaN for null; None where neither fits."""
    sides = reference, current
    if all(side.dtype.is_numeric() or side.dtype == pl.Boolean for side in sides):
        return pl.concat([side.cast(pl.Float64) for side in sides]).to_numpy()
    if not all(side.dtype in (pl.String, pl.Categorical, pl.Enum) for side in sides):
        return None
    values = pl.concat([side.cast(pl.String) for side in sides]).alias("value")
    ranked = values.value_counts(name="n").drop_nulls().sort(["n", "value"], descending=[True, False])["value"]
    rank = values.replace_strict(ranked, pl.Series(range(len(ranked)), dtype=pl.Float64), default=None)
    return rank.cast(pl.Float64).to_numpy()
