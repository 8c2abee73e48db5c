"""A retrain as a script: read the tables, join the labels, compute the features, fit, judge beside the champion.

The work is that of ``ratoon/training/train.py`` and the scores of ``evaluate.py``, without a ledger, a worker, an
artifact or a bootstrap. Run as ``python bare_retrain.py CONFIG.json``; prints one line of JSON.
"""

import json
import sys
import time

began = time.perf_counter()

import math  # noqa: E402
from datetime import datetime, timedelta  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
import polars as pl  # noqa: E402
import xgboost  # noqa: E402


def read(config: dict[str, Any]) -> pl.DataFrame:
    """Return the labelled rows as of a time, by event time."""
    as_of = datetime.fromisoformat(config["as_of"])
    rows = pl.scan_delta(config["rows"], version=config["rows_version"]).filter(pl.col("_as_of") <= as_of)
    labels = pl.scan_delta(config["labels"], version=config["labels_version"]).filter(
        (pl.col("_as_of") <= as_of) & (pl.col("known_at") <= as_of)
    )
    newest = labels.sort("known_at").unique("flight_id", keep="last").select("flight_id", "late")
    return (
        rows.join(newest, on="flight_id").filter(pl.col("late").is_not_null()).sort("scheduled", "flight_id").collect()
    )


def learn(features: pl.DataFrame) -> dict[str, list[str] | None]:
    """Return the columns, and the categories of those that are texts."""
    return {
        name: sorted(features[name].drop_nulls().unique().to_list()) if dtype == pl.String else None
        for name, dtype in features.schema.items()
    }


def encode(features: pl.DataFrame, columns: dict[str, list[str] | None]) -> pl.DataFrame:
    """Return the columns as XGBoost takes them."""
    return features.select(
        pl.col(name).cast(pl.Enum(known), strict=False) if known else pl.col(name).cast(pl.Float32)
        for name, known in columns.items()
    ).rechunk()


def fit(
    frame: pl.DataFrame, label: np.ndarray, params: dict[str, Any], rounds: int, stop: int = 0, patience: int = 0
) -> xgboost.Booster:
    """Fit all rows, or those before ``stop`` until the others see no gain."""
    threads = params["nthread"]
    n_rows = stop or frame.height
    data = xgboost.QuantileDMatrix(frame[:n_rows], label=label[:n_rows], enable_categorical=True, nthread=threads)
    evals, callbacks = [], []
    if stop:
        held = xgboost.QuantileDMatrix(
            frame[stop:], label=label[stop:], enable_categorical=True, nthread=threads, ref=data
        )
        evals, callbacks = [(held, "validation")], [xgboost.callback.EarlyStopping(rounds=patience, save_best=True)]
    return xgboost.train(params, data, num_boost_round=rounds, evals=evals, callbacks=callbacks, verbose_eval=False)


def auc(label: np.ndarray, score: np.ndarray) -> float:
    """Return the area under the ROC curve; ties count half."""
    rank = pl.Series(score).rank("average").to_numpy()
    ones = label.sum()
    return float((rank[label == 1].sum() - ones * (ones + 1) / 2) / (ones * (len(label) - ones)))


def main(config: dict[str, Any]) -> dict[str, Any]:
    """Do the whole retrain and return both scores and where the time went."""
    marks = {"imports": time.perf_counter()}
    sys.path.insert(0, config["project"])
    from flights.features import flight_features

    rows = read(config)
    label = rows["late"].cast(pl.Float32).to_numpy()
    marks["read and join"] = time.perf_counter()
    features = flight_features(rows.lazy()).collect()
    times = rows["scheduled"]
    after = max(
        times[-1] - timedelta(seconds=config["holdout_s"]),
        times[math.ceil(len(times) * 0.7) - 1],
        datetime.fromisoformat(config["champion"]["data_until"]),
    )
    split = int((times <= after).sum())
    marks["features"] = time.perf_counter()
    columns = learn(features[:split])
    frame = encode(features, columns)
    stop = split - math.ceil(split * config["validation"])
    params = config["params"]
    stopped = fit(frame[:split], label[:split], params, config["rounds"], stop, config["patience"])
    rounds = stopped.num_boosted_rounds()
    judged = fit(frame[:split], label[:split], params, rounds)
    everything = learn(features)
    final = fit(encode(features, everything), label, params, rounds)
    Path(config["model"]).write_bytes(final.save_raw("ubj"))
    marks["three fits"] = time.perf_counter()
    champion = xgboost.Booster(model_file=config["champion"]["model"])
    theirs = encode(features[split:], config["champion"]["columns"])
    scores = {
        "candidate": auc(label[split:], judged.inplace_predict(frame[split:])),
        "champion": auc(label[split:], champion.inplace_predict(theirs)),
    }
    marks["evaluation"] = time.perf_counter()
    ends = list(marks.items())
    taken = {name: end - start for (name, end), start in zip(ends, [began, *marks.values()], strict=False)}
    return {"scores": scores, "rounds": rounds, "n_rows": rows.height, "seconds": taken}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(Path(sys.argv[1]).read_text()))))
