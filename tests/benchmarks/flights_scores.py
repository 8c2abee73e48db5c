"""Real scores that age: one model of the flights example, fitted on the first weeks of 2013 and never again."""

import sys
from pathlib import Path

import numpy as np
import polars as pl
import xgboost

_PROJECT = Path(__file__).parents[2] / "examples" / "flights"
_PARAMS = {"objective": "binary:logistic", "max_depth": 5, "eta": 0.1, "min_child_weight": 100, "nthread": 1, "seed": 0}


def static_scores(fit_weeks: int = 6, rounds: int = 60) -> pl.DataFrame:
    """Return every labelled flight after the weeks that were learned from.

    Returns:
        week (Int64, 0 is the first of the year), label (Float64, 0/1), score (Float64), in time order.
    """
    if str(_PROJECT) not in sys.path:
        sys.path.insert(0, str(_PROJECT))
    from flights.features import flight_features
    from flights.history import load_year

    year = load_year().filter(pl.col("late").is_not_null())
    features = flight_features(year.lazy()).collect()
    features = features.with_columns(
        pl.col(name).cast(pl.Enum(features[name].drop_nulls().unique().sort())).to_physical()
        for name, dtype in features.schema.items()
        if dtype == pl.String
    ).cast(pl.Float32)
    label = year["late"].cast(pl.Float32).to_numpy()
    week = ((year["scheduled"] - year["scheduled"].min()).dt.total_hours() // 168).to_numpy()
    learned = week < fit_weeks
    matrix = features.to_numpy()
    booster = xgboost.train(_PARAMS, xgboost.DMatrix(matrix[learned], label[learned]), num_boost_round=rounds)
    score = booster.predict(xgboost.DMatrix(matrix)).astype(np.float64)
    scored = pl.DataFrame({"week": week, "label": label.astype(np.float64), "score": score})
    return scored.filter(pl.col("week") >= fit_weeks)
