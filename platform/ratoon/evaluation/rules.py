"""The user's own rules of a gate: SQL aggregates over the holdout."""

from collections.abc import Sequence

import polars as pl

from ratoon.declarations import GateRule
from ratoon.evaluation.gate import RuleOutcome

_MAX_PROBLEM = 300


def evaluate_rules(holdout: pl.DataFrame, rules: Sequence[GateRule]) -> list[RuleOutcome]:
    """Evaluate each rule over the holdout, in order.

    Args:
        holdout: One row per judged row: ``label``, ``score``, ``champion_score`` (null without a champion),
            ``baseline_score`` and the dataset's columns.
        rules: Each ``check`` is one SQL expression that gives one boolean for all rows.

    Returns:
        One outcome per rule. A rule that can't be evaluated has no value and says why; it fails the gate, but
        is no error: the candidate stays judged by everything else.
    """
    return [_evaluate(holdout, rule) for rule in rules]


def _evaluate(holdout: pl.DataFrame, rule: GateRule) -> RuleOutcome:
    try:
        result = holdout.select(value=pl.sql_expr(rule.check))["value"]
    except pl.exceptions.PolarsError as exc:
        known = ", ".join(holdout.columns)
        return RuleOutcome(
            name=rule.name,
            value=None,
            problem=f"can't be evaluated: {str(exc)[:_MAX_PROBLEM]}; columns are {known}"[:1_000],
        )
    if result.dtype not in (pl.Boolean, pl.Null) or len(result) != 1:
        gave = f"gave {len(result)} values of type {result.dtype}"
        problem = f"{gave}; expected one true or false: aggregate, as in AVG(score) > 0.1"
        return RuleOutcome(name=rule.name, value=None, problem=problem)
    return RuleOutcome(name=rule.name, value=result.item())
