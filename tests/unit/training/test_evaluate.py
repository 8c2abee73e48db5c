import json

import numpy as np
import polars as pl
import pytest

from ratoon.errors import CorruptArtifactError
from ratoon.training import evaluate as evaluate_module
from ratoon.training.evaluate import evaluate
from ratoon.training.manifest import read_manifest
from ratoon.training.orders import ORDER, OUTCOME, ChampionRef
from ratoon.training.scoring import Scorer
from ratoon.training.train import train


def trained(world, **changes):
    return train(world.order(**changes), world.source, world.store).digest


def champion_of(world, rows):
    """Train on the first rows and return how an order names that champion."""
    everything = world.frame
    world.frame = everything.head(rows)
    digest = trained(world, retrain_id="retrain-0")
    world.frame = everything
    until = read_manifest(world.store, digest).data.event_time_max
    return ChampionRef(artifact=digest, version=4, data_until=until)


def judged(world, candidate, **changes):
    return evaluate(world.evaluation(candidate, **changes), world.source, world.store)


def report_of(world, outcome):
    return json.loads(world.store.get(outcome.report_digest))


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_first_candidate_that_beats_the_baseline_is_promoted(make_world, task):
    world = make_world(task=task)
    outcome = judged(world, trained(world))

    assert outcome.verdict == "promote"
    assert outcome.metrics["baseline_gain_low"] > 0
    assert outcome.metrics["champion"] is None
    assert [check.name for check in outcome.checks] == ["min_rows", "beats_baseline", "champion"]


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_champion_of_the_same_world_is_compared(make_world, task):
    world = make_world(task=task)
    champion = champion_of(world, 2_000)

    outcome = judged(world, trained(world, champion=champion), champion=champion, gate={"margin": 0.1})

    assert outcome.verdict == "promote"
    assert abs(outcome.metrics["gain"]) < 0.1


def test_a_candidate_of_noise_is_rejected(world):
    world.frame = world.frame.with_columns(late=pl.Series(np.random.default_rng(1).random(3_000) < 0.5))

    outcome = judged(world, trained(world))

    assert outcome.verdict == "reject"
    assert [check.name for check in outcome.checks if not check.passed] == ["beats_baseline"]


def test_candidate_and_champion_score_identical_rows_that_neither_has_seen(world, monkeypatch):
    champion = champion_of(world, 2_800)
    candidate = trained(world, champion=champion)
    seen = []
    real = Scorer.predict
    monkeypatch.setattr(Scorer, "predict", lambda self, rows: (seen.append((self.manifest, rows)), real(self, rows))[1])

    judged(world, candidate, champion=champion)

    (first, candidate_rows), (second, champion_rows), *_ = seen  # then its columns are shuffled one by one
    assert (first.retrain_id, second.retrain_id) == ("retrain-1", "retrain-0")
    assert candidate_rows.equals(champion_rows)
    assert candidate_rows["trip"].to_list() == list(range(2_800, 3_000))


def test_the_candidate_is_judged_without_the_holdout_and_the_model_that_would_serve_is_parsed(world, monkeypatch):
    candidate = trained(world)
    loaded = []
    real = Scorer.load.__func__
    monkeypatch.setattr(
        Scorer, "load", classmethod(lambda cls, *a, **k: (loaded.append(k.get("blob", "model")), real(cls, *a, **k))[1])
    )

    judged(world, candidate, champion=champion_of(world, 2_000))

    assert loaded == ["judged", "model", "model"]


def test_a_champion_promoted_meanwhile_shrinks_the_holdout_to_what_it_has_not_seen(world):
    candidate = trained(world)
    champion = champion_of(world, 2_950)

    outcome = judged(world, candidate, champion=champion)

    assert outcome.n_rows == 50
    assert not outcome.checks[0].passed


def test_a_champion_that_knows_fewer_classes_gives_the_others_no_probability(make_world):
    world = make_world(task="multiclass")
    first = (pl.col("trip") < 2_000) & (pl.col("late") == "late")
    world.frame = world.frame.with_columns(late=pl.when(first).then(pl.lit("near")).otherwise("late"))
    champion = champion_of(world, 2_000)
    candidate = trained(world, champion=champion)

    outcome = judged(world, candidate, champion=champion, gate={"metric": "accuracy"})

    rows = world.frame.filter(pl.col("at") > read_manifest(world.store, candidate).holdout.after)
    scorer = Scorer.load(world.store, champion.artifact, str(world.root))
    guesses = [scorer.classes[code] for code in scorer.predict(rows).argmax(axis=1)]
    assert scorer.classes == ["near", "on_time"]
    assert outcome.metrics["champion"] == pytest.approx(np.mean(np.array(guesses) == rows["late"].to_numpy()))


def test_no_row_that_may_judge_means_rejection_and_not_an_error(world):
    champion = champion_of(world, 3_000)
    outcome = judged(world, trained(world, champion=champion), champion=champion)

    assert (outcome.verdict, outcome.n_rows, outcome.metrics["candidate"]) == ("reject", 0, None)
    assert outcome.reasons[0].startswith("0 matured rows")


def test_rules_see_label_scores_and_the_datasets_columns(world):
    rules = [
        {"name": "calibrated", "check": "ABS(AVG(score) - AVG(CAST(label AS DOUBLE))) < 0.1"},
        {"name": "no_champion", "check": "COUNT(champion_score) = 0"},
        {"name": "vans", "check": "AVG(CASE WHEN kind = 'van' THEN score END) < 0.01"},
    ]

    outcome = judged(world, trained(world), gate={"rules": rules})

    assert outcome.verdict == "reject"
    assert {check.name: check.passed for check in outcome.checks if check.name.startswith("rule:")} == {
        "rule:calibrated": True,
        "rule:no_champion": True,
        "rule:vans": False,
    }


def test_a_champion_that_todays_feature_code_cannot_serve_is_no_obstacle_and_is_reported(world):
    champion = champion_of(world, 2_000)
    world.write_features("def build(rows):\n    return rows.select('load')\n")

    outcome = judged(world, trained(world, champion=champion), champion=champion)

    assert outcome.verdict == "promote"
    assert outcome.features_changed
    assert any("can't be scored with today's feature code" in reason for reason in outcome.reasons)


def test_changed_feature_code_that_still_fits_is_used_and_reported(world):
    champion = champion_of(world, 2_000)
    module = world.root / "trip_features.py"
    module.write_text(module.read_text() + "\n# a comment\n")

    outcome = judged(world, trained(world, champion=champion), champion=champion, gate={"margin": 0.1})

    assert outcome.features_changed
    assert any("since champion version 4 was trained" in note for note in outcome.notes)


def test_a_champion_whose_bytes_are_damaged_stops_the_evaluation(world):
    champion = champion_of(world, 2_000)
    candidate = trained(world, champion=champion)
    blob = read_manifest(world.store, champion.artifact).blobs["model"]
    (world.root / "artifacts" / blob[:2] / blob).write_bytes(b"{}")

    with pytest.raises(CorruptArtifactError):
        judged(world, candidate, champion=champion)


def test_the_same_evaluation_gives_the_same_report(world):
    champion = champion_of(world, 2_000)
    candidate = trained(world, champion=champion)

    assert judged(world, candidate, champion=champion) == judged(world, candidate, champion=champion)


def test_the_report_holds_what_a_chart_and_a_reader_need(world):
    champion = champion_of(world, 2_000)
    candidate = trained(world, champion=champion)
    report = report_of(world, judged(world, candidate, champion=champion))

    assert report["artifacts"] == {"candidate": candidate, "champion": champion.artifact}
    assert set(report["metrics"]["candidate"]) == {"value", "low", "high"}
    assert len(report["over_time"]) == 20
    assert sum(part["n_rows"] for part in report["over_time"]) == report["holdout"]["n_rows"]
    assert set(report["over_time"][0]) == {"from", "until", "n_rows", "candidate", "champion", "baseline"}
    assert [check["name"] for check in report["checks"]] == ["min_rows", "beats_baseline", "champion"]


def test_orders_and_outcomes_survive_json(world):
    order = world.order()
    outcome = train(order, world.source, world.store)
    evaluation = world.evaluation(outcome.digest)
    verdict = evaluate_module.evaluate(evaluation, world.source, world.store)

    for value in (order, evaluation):
        assert ORDER.validate_json(value.model_dump_json()) == value
    for result in (outcome, verdict):
        assert OUTCOME.validate_json(result.model_dump_json()) == result


def test_the_report_says_which_columns_the_predictions_depend_on(world):
    found = report_of(world, judged(world, trained(world)))["column_importance"]

    assert sum(found.values()) == pytest.approx(1)
    assert set(found) == set(read_manifest(world.store, trained(world)).inputs) - set(
        read_manifest(world.store, trained(world)).excluded
    )
