import pytest

from ratoon.declarations import Gate
from ratoon.evaluation.gate import Evidence, Interval, RuleOutcome, judge

GATE = Gate(metric="auc", margin=0.01, min_rows=100)


def interval(low, value=None, high=None):
    return Interval(value=low if value is None else value, low=low, high=high)


def evidence(**changes):
    good = {
        "n_rows": 100,
        "candidate": interval(0.8),
        "champion": interval(0.79),
        "baseline": interval(0.5),
        "gain": interval(-0.005, 0.01),
        "baseline_gain": interval(0.2, 0.3),
    }
    return Evidence(**(good | changes))


def failed(gate, found):
    return [check.name for check in judge(gate, found).checks if not check.passed]


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({}, []),
        ({"n_rows": 99}, ["min_rows"]),
        ({"gain": interval(-0.01)}, ["champion"]),
        ({"gain": interval(-0.009_99)}, []),
        ({"gain": interval(-0.5, 0.2)}, ["champion"]),
        ({"gain": None}, ["champion"]),
        ({"gain": Interval(value=0.1, low=None, high=None)}, ["champion"]),
        ({"champion": None}, ["champion"]),
        ({"champion": None, "gain": None, "champion_absent": "first version"}, []),
        ({"baseline_gain": interval(0.0, 0.1)}, ["beats_baseline"]),
        ({"baseline_gain": None}, ["beats_baseline"]),
        ({"candidate": None}, ["beats_baseline", "champion"]),
        ({"rules": [RuleOutcome(name="sane", value=True)]}, []),
        ({"rules": [RuleOutcome(name="sane", value=False)]}, ["rule:sane"]),
        ({"rules": [RuleOutcome(name="sane", value=None)]}, ["rule:sane"]),
        (
            {"rules": [RuleOutcome(name="a", value=True), RuleOutcome(name="b", value=None, problem="no column")]},
            ["rule:b"],
        ),
        ({"n_rows": 0, "gain": interval(-1.0), "baseline_gain": None}, ["min_rows", "beats_baseline", "champion"]),
    ],
)
def test_a_candidate_is_promoted_only_when_every_check_passes(changes, names):
    verdict = judge(GATE, evidence(**changes))

    assert failed(GATE, evidence(**changes)) == names
    assert verdict.verdict == ("reject" if names else "promote")


def test_without_a_margin_a_gain_must_be_proven():
    strict = Gate(metric="auc", margin=0, min_rows=1)

    assert failed(strict, evidence(gain=interval(0.0))) == ["champion"]
    assert failed(strict, evidence(gain=interval(0.001))) == []


def test_the_baseline_is_asked_for_only_where_it_is_declared():
    relaxed = Gate(metric="auc", margin=0.01, min_rows=1, must_beat_baseline=False)

    assert [check.name for check in judge(relaxed, evidence(baseline_gain=None)).checks] == ["min_rows", "champion"]


def test_a_rejection_gives_only_the_sentences_that_failed():
    verdict = judge(GATE, evidence(n_rows=7))

    assert verdict.reasons == ["7 matured rows that no judged model has seen; 100 are needed"]


def test_a_promotion_gives_every_sentence():
    verdict = judge(GATE, evidence())

    assert len(verdict.reasons) == 3
    assert "auc 0.8 against 0.79 of the champion: gain +0.01, at least -0.005 with 95% confidence" in verdict.reasons[2]
