from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from ratoon.errors import CorruptArtifactError, TrainingError
from ratoon.training import train as train_module
from ratoon.training import xgb
from ratoon.training.manifest import read_manifest
from ratoon.training.orders import ChampionRef
from ratoon.training.scoring import Scorer, score
from ratoon.training.train import train
from ratoon.training.windows import to_micros


def run(world, **changes):
    return train(world.order(**changes), world.source, world.store)


def champion_until(world, until):
    return ChampionRef(artifact="0" * 64, version=1, data_until=until)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_same_retrain_gives_the_same_bytes(make_world, tmp_path, task):
    world = make_world(task=task)
    first = run(world, training={"params": {"subsample": 0.7}})

    assert run(world, training={"params": {"subsample": 0.7}}) == first
    assert run(world, seed=1, training={"params": {"subsample": 0.7}}).refs != first.refs


@pytest.mark.parametrize(("task", "shape"), [("binary", (50,)), ("multiclass", (50, 3)), ("regression", (50,))])
def test_every_task_learns_something(make_world, task, shape):
    world = make_world(task=task)
    outcome = run(world)

    scores = Scorer.load(world.store, outcome.digest, str(world.root)).predict(world.frame.tail(50))

    assert scores.shape == shape
    assert len(np.unique(scores)) > 5


class Recorder:
    """Records what the estimator is fitted on, and fits."""

    def __init__(self, monkeypatch):
        self.fits = []
        real = xgb.fit

        def fit(rows, validation, params, **options):
            self.fits.append(
                (rows.features["row"].to_list(), validation and validation.features["row"].to_list(), options)
            )
            return real(rows, validation, params, **options)

        monkeypatch.setattr(train_module.xgb, "fit", fit)


def number_rows(world):
    world.write_features("def build(rows):\n    return rows.select('load', row='trip')\n")


def test_nothing_of_the_holdout_reaches_the_judged_model_and_all_of_it_the_refit(world, monkeypatch):
    number_rows(world)
    fits = Recorder(monkeypatch).fits
    outcome = run(world, training={"windows": ["all", timedelta(days=7)]})
    times = world.frame["at"].dt.epoch("us").to_list()
    after = to_micros(read_manifest(world.store, outcome.digest).holdout.after)

    (
        (fit_all, stop_all, _),
        (judged_all, _, _),
        (fit_week, stop_week, _),
        (judged_week, _, _),
        (refit, no_stop, options),
    ) = fits
    assert max(times[int(row)] for row in judged_all + judged_week) <= after
    assert max(fit_all) < min(stop_all)
    # What is judged has learned from the rows that stopped it too: the champion knows rows as new as those.
    assert judged_all == fit_all + stop_all
    assert judged_week == fit_week + stop_week
    assert no_stop is None
    assert refit == list(range(3_000 - outcome.data["n_rows"], 3_000))
    assert outcome.data["holdout"]["n_rows"] == sum(time > after for time in times) > 400
    assert options["rounds"] == outcome.metrics["rounds"]
    assert len(fit_week) + len(stop_week) == 7 * 24 * 6


def test_the_window_that_is_best_on_the_newest_rows_wins(make_world):
    world = make_world(n=4_000)
    flipped = (pl.col("trip") < 2_500) ^ pl.col("late")
    world.frame = world.frame.with_columns(late=flipped)

    outcome = run(world, training={"windows": ["all", timedelta(days=7)]})

    by_window = {result["window"]: result["metric"] for result in outcome.metrics["windows"]}
    assert outcome.data["window"] == "7d"
    assert by_window["7d"] > by_window["all"] + 0.1


def test_rows_that_the_champion_has_seen_do_not_judge(world):
    times = world.frame["at"]
    outcome = run(world, champion=champion_until(world, times[-101]))

    assert outcome.data["holdout"]["n_rows"] == 100


def test_a_champion_that_has_seen_everything_still_lets_a_candidate_be_trained(world):
    outcome = run(world, champion=champion_until(world, world.frame["at"][-1]))

    assert outcome.data["holdout"]["n_rows"] == 0
    assert outcome.metrics["holdout"] is None


def test_labels_that_are_unknown_or_later_than_the_order_are_not_learned_from(world):
    world.frame = world.frame.with_columns(late=pl.when(pl.col("trip") >= 10).then(pl.col("late")))
    as_of = world.frame["at"][1_999]

    outcome = run(world, as_of=as_of)

    assert outcome.data["n_rows"] == 1_990
    assert outcome.data["data_until"] == as_of.isoformat().replace("+00:00", "Z")


def test_rows_that_arrive_unsorted_are_sorted_by_event_time(world):
    ordered = run(world)
    world.frame = world.frame.sample(fraction=1.0, shuffle=True, seed=1)

    assert run(world).digest == ordered.digest


def test_only_the_newest_rows_are_kept(world):
    outcome = run(world, training={"max_rows": 1_000})

    assert outcome.data["n_rows"] == 1_000
    assert outcome.data["batches"] == ["batch-2"]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda frame: frame.head(0), "no labelled row of trips is known"),
        (lambda frame: frame.head(60), "42 rows, fewer than 50"),
        (lambda frame: frame.with_columns(late=pl.lit(value=True)), "rows have the same label"),
        (lambda frame: frame.with_columns(late=pl.lit("yes")), "must be true/false or 0/1"),
        (lambda frame: frame.with_columns(late=pl.lit(2)), "must be true/false or 0/1"),
    ],
)
def test_rows_that_nothing_can_be_learned_from_are_refused_for_good(world, change, what):
    world.frame = change(world.frame)

    with pytest.raises(TrainingError, match=what) as caught:
        run(world)

    assert not caught.value.retryable


@pytest.mark.parametrize(
    "params", [{"nthread": 4}, {"seed": 1}, {"n_estimators": 5}, {"objective": "rank:ndcg"}, {"max_depth": "x"}]
)
def test_parameters_that_are_not_the_users_or_wrong_are_refused(world, params):
    with pytest.raises(TrainingError, match=next(iter(params))):
        run(world, training={"params": params})


def test_features_that_look_at_other_rows_are_refused(world):
    world.write_features("import polars as pl\n\ndef build(rows):\n    return rows.select(x=pl.col('load').rank())\n")

    with pytest.raises(TrainingError, match="may depend on that row alone"):
        run(world)


def test_progress_tells_every_phase_and_round(world):
    seen = []
    train(world.order(), world.source, world.store, seen.append)

    assert [s["phase"] for s in seen if s["phase"] not in ("fit", "fit again", "refit")] == [
        "features",
        "judge",
        "store",
    ]
    rounds = [s["round"] for s in seen if s["phase"] == "refit"]
    assert rounds == list(range(1, len(rounds) + 1))


def test_a_manifest_says_where_the_model_came_from(world):
    manifest = read_manifest(world.store, run(world, spec_digest="spec", environment="env").digest)

    assert manifest.features["model"].names == ["load", "kind", "hour", "heavy"]
    assert manifest.features["model"].columns[1].domain == ["bike", "car", "van"]
    assert manifest.data.batches == ["batch-0", "batch-1", "batch-2"]
    assert (manifest.spec_digest, manifest.code.environment) == ("spec", "env")
    assert manifest.params["seed"] == 0
    assert manifest.to_bytes() == world.store.get(world.store.put(manifest.to_bytes()))


def test_scoring_gives_each_row_its_own_score_whatever_the_order_of_columns_and_rows(world):
    digest = run(world).digest
    scored = score(digest, world.store, world.frame, str(world.root))
    mixed = world.frame.select(reversed(world.frame.columns)).sample(fraction=1.0, shuffle=True, seed=3)

    again = score(digest, world.store, mixed, str(world.root)).sort("trip")

    assert again["score"].to_list() == scored["score"].to_list()


def test_a_feature_function_that_gives_its_columns_in_another_order_scores_the_same(world):
    digest = run(world).digest
    before = Scorer.load(world.store, digest, str(world.root))
    expected = before.predict(world.frame)
    world.write_features(
        "import polars as pl\n\ndef build(rows):\n"
        "    return rows.select('kind', heavy=pl.col('load') > 1, hour=pl.col('at').dt.hour(), load='load')\n"
    )

    after = Scorer.load(world.store, digest, str(world.root))

    assert after.predict(world.frame).tolist() == expected.tolist()
    assert (before.features_changed, after.features_changed) == (False, True)


def test_changed_feature_code_that_no_longer_fits_is_refused(world):
    digest = run(world).digest
    world.write_features("def build(rows):\n    return rows.select('load')\n")

    with pytest.raises(TrainingError, match="'kind' is gone"):
        score(digest, world.store, world.frame, str(world.root))


def test_a_category_that_training_has_not_seen_scores_as_missing(world):
    digest = run(world).digest
    strange, missing = (
        score(digest, world.store, world.frame.with_columns(kind=pl.lit(kind, dtype=pl.String)), str(world.root))
        for kind in ("rocket", None)
    )

    assert strange["score"].to_list() == missing["score"].to_list()


def test_no_rows_give_no_scores(world):
    assert score(run(world).digest, world.store, world.frame.head(0), str(world.root))["score"].dtype == pl.Float64


@pytest.mark.parametrize("blob", ["manifest", "model"])
def test_a_damaged_artifact_is_refused_before_it_is_parsed(world, monkeypatch, blob):
    outcome = run(world)
    digest = outcome.digest if blob == "manifest" else outcome.refs["model"]
    path = world.root / "artifacts" / digest[:2] / digest
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    monkeypatch.setattr(xgb, "load", lambda _: pytest.fail("parsed"))

    with pytest.raises(CorruptArtifactError, match=digest):
        Scorer.load(world.store, outcome.digest, str(world.root))
