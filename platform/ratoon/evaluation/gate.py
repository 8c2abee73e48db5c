"""Decides whether a candidate may replace the champion. Pure: evidence in, verdict out."""

from typing import Literal

from pydantic import Field

from ratoon.contracts.spec import Strict
from ratoon.declarations import Gate


class Interval(Strict):
    """A value with a bootstrap interval; the bounds are None where they could not be estimated."""

    value: float
    low: float | None
    high: float | None


class RuleOutcome(Strict):
    """What one of the user's rules gave on the holdout."""

    name: str
    value: bool | None = Field(description="None: the rule gave null or could not be evaluated.")
    problem: str | None = Field(default=None, description="Why there is no value.")


class Evidence(Strict):
    """Everything that the gate looks at, measured on the same rows for all models.

    Gains are in the metric's unit and positive where the candidate is better. A metric is None where it isn't
    defined on these rows (no row, or one class for auc).
    """

    n_rows: int
    candidate: Interval | None = None
    champion: Interval | None = None
    baseline: Interval | None = None
    gain: Interval | None = Field(default=None, description="Over the champion, paired.")
    baseline_gain: Interval | None = Field(default=None, description="Over the baseline, paired.")
    champion_absent: str | None = Field(
        default=None, description="Why there is no champion to compare with; None where there is one."
    )
    rules: list[RuleOutcome] = Field(default_factory=list)


class CheckResult(Strict):
    """One check of the gate."""

    name: str
    passed: bool
    value: float | None
    threshold: float | None
    sentence: str


class Verdict(Strict):
    """What the gate decides, and every check behind it. A candidate is promoted when all checks pass."""

    verdict: Literal["promote", "reject"]
    checks: list[CheckResult]

    @property
    def reasons(self) -> list[str]:
        """The sentences of the failed checks, or of all checks where none failed."""
        failed = [check.sentence for check in self.checks if not check.passed]
        return failed or [check.sentence for check in self.checks]


def judge(gate: Gate, evidence: Evidence) -> Verdict:
    """Decide whether the evidence lets a candidate replace the champion.

    Checks, in this order: ``min_rows``; ``beats_baseline`` (lower bound of the paired gain over the naive
    baseline above 0); ``champion`` (lower bound of the paired gain over the champion above minus the margin;
    passes with a note where there is none to compare with); one per rule (``rule:<name>``, null fails).
    """
    checks = [_min_rows(gate, evidence)]
    if gate.must_beat_baseline:
        checks.append(_beats_baseline(gate, evidence))
    checks.append(_against_champion(gate, evidence))
    checks.extend(_rule(outcome) for outcome in evidence.rules)
    return Verdict(verdict="promote" if all(check.passed for check in checks) else "reject", checks=checks)


def _min_rows(gate: Gate, evidence: Evidence) -> CheckResult:
    passed = evidence.n_rows >= gate.min_rows
    sentence = f"{evidence.n_rows:,} matured rows that no judged model has seen; {gate.min_rows:,} are needed"
    return CheckResult(
        name="min_rows", passed=passed, value=evidence.n_rows, threshold=gate.min_rows, sentence=sentence
    )


def _beats_baseline(gate: Gate, evidence: Evidence) -> CheckResult:
    return _bounded(gate, evidence, "beats_baseline", threshold=0.0)


def _against_champion(gate: Gate, evidence: Evidence) -> CheckResult:
    if evidence.champion_absent is not None:
        sentence = f"not compared with a champion: {evidence.champion_absent}"
        return CheckResult(name="champion", passed=True, value=None, threshold=-gate.margin, sentence=sentence)
    return _bounded(gate, evidence, "champion", threshold=0.0 - gate.margin)


def _bounded(
    gate: Gate, evidence: Evidence, name: Literal["beats_baseline", "champion"], *, threshold: float
) -> CheckResult:
    gain, other, whom = {
        "beats_baseline": (evidence.baseline_gain, evidence.baseline, "the naive baseline"),
        "champion": (evidence.gain, evidence.champion, "the champion"),
    }[name]
    if gain is None or gain.low is None or evidence.candidate is None or other is None:
        sentence = f"{gate.metric} against {whom} can't be measured on {evidence.n_rows:,} rows"
        return CheckResult(name=name, passed=False, value=None, threshold=threshold, sentence=sentence)
    passed = gain.low > threshold
    sentence = (
        f"{gate.metric} {evidence.candidate.value:.5g} against {other.value:.5g} of {whom}: gain {gain.value:+.5g}, "
        f"at least {gain.low:+.5g} with {gate.confidence:.0%} confidence; must be above {threshold:+.5g}"
    )
    return CheckResult(name=name, passed=passed, value=gain.low, threshold=threshold, sentence=sentence)


def _rule(outcome: RuleOutcome) -> CheckResult:
    said = (
        outcome.problem or {True: "is true", False: "is false", None: "gave null, which counts as false"}[outcome.value]
    )
    value = None if outcome.value is None else float(outcome.value)
    return CheckResult(
        name=f"rule:{outcome.name}",
        passed=outcome.value is True,
        value=value,
        threshold=1.0,
        sentence=f"rule {outcome.name} {said}",
    )
