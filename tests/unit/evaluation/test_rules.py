import polars as pl
import pytest

from ratoon.declarations import GateRule
from ratoon.evaluation.rules import evaluate_rules

HOLDOUT = pl.DataFrame(
    {
        "label": [True, False, True, False],
        "score": [0.9, 0.2, 0.6, 0.3],
        "champion_score": pl.Series([None] * 4, dtype=pl.Float64),
        "baseline_score": [0.5] * 4,
        "kind": ["a", "b", "a", "b"],
    }
)


@pytest.mark.parametrize(
    ("check", "value"),
    [
        ("AVG(score) BETWEEN 0.1 AND 0.6", True),
        ("MAX(score) > 0.95", False),
        ("AVG(CASE WHEN kind = 'a' THEN score END) > 0.7", True),
        ("AVG(champion_score) < 1", None),
        ("SUM(CASE WHEN label THEN 1 ELSE 0 END) = 2", True),
    ],
)
def test_a_rule_is_one_aggregate_over_the_holdout(check, value):
    [outcome] = evaluate_rules(HOLDOUT, [GateRule(name="rule", check=check)])

    assert (outcome.value, outcome.problem) == (value, None)


@pytest.mark.parametrize(
    ("check", "what"),
    [
        ("score > 0.1", "gave 4 values of type Boolean"),
        ("AVG(score)", "gave 1 values of type Float64"),
        ("AVG(weight) > 1", "weight"),
        ("AVG(score >", "can't be evaluated"),
    ],
)
def test_a_rule_that_is_no_true_or_false_has_no_value_and_says_why(check, what):
    [outcome] = evaluate_rules(HOLDOUT, [GateRule(name="rule", check=check)])

    assert outcome.value is None
    assert what in (outcome.problem or "")
