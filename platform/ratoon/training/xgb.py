"""XGBoost, and the only module that imports it. Frames in, bytes out; equal inputs give equal bytes.

XGBoost's own frame support is used with two precautions (measured on 3.2): a frame is taken in the order of its
columns, unchecked, so only :func:`ratoon.training.matrix.encode` makes frames for it; and a damaged UBJSON
can crash the parser, so only bytes whose digest was checked come to :func:`load`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
import xgboost
from numpy.typing import NDArray

from ratoon.declarations import Metric, Task
from ratoon.errors import CorruptArtifactError, TrainingError

OnRound = Callable[[int, str | None, float | None], None]
"""Called after each round: number of rounds so far, the metric's name and its value on the validation rows.

Both are None in a fit without validation rows: computing a metric on the training rows doubles a fit's time.
"""

_OURS: Final = {
    "nthread": "train_threads in the settings", "n_jobs": "train_threads in the settings",
    "seed": "training.seed", "random_state": "training.seed", "verbosity": "nothing: the log shows every round",
    "num_boost_round": "training.rounds", "n_estimators": "training.rounds",
    "early_stopping_rounds": "training.early_stopping_rounds", "num_class": "the label's allowed values",
}  # fmt: skip
_OBJECTIVES: Final[dict[Task, tuple[str, ...]]] = {
    "binary": ("binary:logistic",),
    "multiclass": ("multi:softprob",),
    "regression": (
        "reg:squarederror",
        "reg:absoluteerror",
        "reg:pseudohubererror",
        "reg:squaredlogerror",
        "reg:gamma",
        "reg:tweedie",
        "count:poisson",
    ),
}
_EVAL_METRIC: Final[dict[Task, str]] = {"binary": "logloss", "multiclass": "mlogloss", "regression": "rmse"}
VERSION: Final = f"xgboost {xgboost.__version__}"
_CHUNK_ROWS = 50_000


@dataclass(frozen=True, slots=True)
class Rows:
    """Encoded features and their labels, row by row."""

    features: pl.DataFrame
    label: NDArray[np.float32]

    def slice(self, start: int, end: int) -> "Rows":
        """Return the rows ``start..end`` without copying them."""
        return Rows(self.features.slice(start, end - start), self.label[start:end])


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted model.

    Attributes:
        model: UBJSON.
        rounds: Boosting rounds that it holds.
        importance: Share of the total gain by feature, greatest first; features that no tree uses are left out.
    """

    model: bytes
    rounds: int
    importance: dict[str, float]


def parameters(
    task: Task, user: Mapping[str, Any], *, metric: Metric, n_classes: int | None, threads: int, seed: int
) -> dict[str, Any]:
    """Return the full parameters: the task's defaults, then the user's, then what Ratoon sets.

    Raises:
        TrainingError: The user sets what is set elsewhere, or an objective that doesn't fit the task.
    """
    taken = [f"{name} (set {_OURS[name]})" for name in user if name in _OURS]
    if taken:
        raise TrainingError(f"training.params must not set {', '.join(taken)}")
    eval_metric = metric if metric in ("auc", "mae") else _EVAL_METRIC[task]
    merged = {"objective": _OBJECTIVES[task][0], "eval_metric": eval_metric, "tree_method": "hist"} | dict(user)
    if merged["objective"] not in _OBJECTIVES[task]:
        raise TrainingError(
            f"training.params.objective {merged['objective']!r} does not fit a {task} model; "
            f"expected one of {', '.join(_OBJECTIVES[task])}"
        )
    if n_classes is not None:
        merged["num_class"] = n_classes
    return merged | {"nthread": threads, "seed": seed, "verbosity": 0}


def fit(
    train: Rows,
    validation: Rows | None,
    params: Mapping[str, Any],
    *,
    rounds: int,
    patience: int = 0,
    on_round: OnRound | None = None,
) -> Fit:
    """Fit boosted trees.

    Args:
        train: Rows to learn from.
        validation: Later rows that stop the training early; without them exactly ``rounds`` are fitted.
        params: From :func:`parameters`.
        rounds: Most rounds.
        patience: Rounds without an improvement on ``validation`` after which the best round is kept.
        on_round: Told of every round.

    Raises:
        TrainingError: XGBoost refuses the parameters or the data.
    """
    try:
        matrix = xgboost.QuantileDMatrix(
            train.features, label=train.label, enable_categorical=True, nthread=params["nthread"]
        )
        evals: list[tuple[xgboost.DMatrix, str]] = []
        callbacks: list[xgboost.callback.TrainingCallback] = [_Rounds(on_round)] if on_round else []
        if validation is not None:
            held = xgboost.QuantileDMatrix(
                validation.features,
                label=validation.label,
                enable_categorical=True,
                nthread=params["nthread"],
                ref=matrix,
            )
            evals = [(held, "validation")]
            callbacks.append(xgboost.callback.EarlyStopping(rounds=patience, data_name="validation", save_best=True))
        booster = xgboost.train(
            dict(params), matrix, num_boost_round=rounds, evals=evals, callbacks=callbacks, verbose_eval=False
        )
    except (xgboost.core.XGBoostError, ValueError, TypeError) as exc:
        raise TrainingError(
            f"XGBoost refused the training: {_short(exc)}; check training.params {dict(params)}"
        ) from exc
    return Fit(bytes(booster.save_raw("ubj")), booster.num_boosted_rounds(), _importance(booster))


def load(model: bytes) -> xgboost.Booster:
    """Return the model of some UBJSON whose digest was checked.

    Raises:
        CorruptArtifactError: XGBoost can't read it.
    """
    try:
        return xgboost.Booster(model_file=bytearray(model))
    except (xgboost.core.XGBoostError, ValueError) as exc:
        raise CorruptArtifactError(
            f"XGBoost {xgboost.__version__} can't read a model of {len(model)} B: {_short(exc)}; retrain"
        ) from exc


def predict(booster: xgboost.Booster, features: pl.DataFrame, *, threads: int = 1) -> NDArray[np.float64]:
    """Return predictions: probabilities (n,) or (n, k), or values (n,).

    Args:
        booster: From :func:`load`.
        features: Encoded by the model's contract.
        threads: Threads to use.

    Raises:
        TrainingError: The columns are not the model's, in its order (XGBoost itself would not notice).
    """
    if features.columns != booster.feature_names:
        raise TrainingError(
            f"columns {features.columns} are not those of the model, {booster.feature_names}; "
            "encode them by its contract"
        )
    booster.set_param({"nthread": threads})
    parts = [booster.inplace_predict(chunk) for chunk in features.iter_slices(_CHUNK_ROWS)]
    return np.concatenate(parts).astype(np.float64)


class _Rounds(xgboost.callback.TrainingCallback):  # type: ignore[misc, unused-ignore]
    def __init__(self, on_round: OnRound) -> None:
        super().__init__()
        self._on_round = on_round

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:  # noqa: ARG002 - xgboost's signature
        found = next(iter(evals_log.values()), None)
        if found is None:
            self._on_round(epoch + 1, None, None)
            return False
        name, values = next(reversed(found.items()))
        self._on_round(epoch + 1, name, float(values[-1]))
        return False


def _importance(booster: xgboost.Booster) -> dict[str, float]:
    gains = {
        name: float(gain)
        for name, gain in booster.get_score(importance_type="total_gain").items()
        if isinstance(gain, int | float)
    }
    total = sum(gains.values())
    shares = {name: gain / total for name, gain in gains.items()} if total > 0 else {}
    return dict(sorted(shares.items(), key=lambda item: (-item[1], item[0])))


def _short(exc: Exception) -> str:
    return str(exc).partition("Stack trace")[0].strip()[:500]
