"""The verdict on two profiles: what changed for real, and by enough to matter."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ratoon.drift import sentences
from ratoon.drift.columns import Distances, Thresholds, measure, tests_of_columns, thresholds
from ratoon.drift.families import Tests, corrected
from ratoon.drift.joint import Pairs, compare_pairs
from ratoon.drift.sides import Side, Sides, n_rows, read_sides
from ratoon.drift.values import ColumnDrift, DriftReport, JointDrift, PairDrift, Reason
from ratoon.monitoring import DriftSettings
from ratoon.profiles import Binning

Floats = NDArray[np.float64]


def compare(
    reference: pl.DataFrame,
    current: pl.DataFrame,
    settings: DriftSettings | None = None,
    *,
    alpha: float | None = None,
    importance: Mapping[str, float] | None = None,
    binning: Binning | None = None,
) -> DriftReport:
    """Decide which columns of a dataset drifted between two windows.

    Tests per column: the shares of bins or values (chi-square of homogeneity), for numbers also their ranks
    (Mann-Whitney) and their spread (Mood); the rate of rows without a usable value (Fisher); and the share of values
    that are not listed, against the mass that the reference can't have seen. Then every pair of numeric columns: its
    correlation. A test counts when its p-value, corrected over all tests of the report, is at most ``alpha`` **and** its
    effect reaches its threshold. Keys are not judged; of times and identifiers only missing values are.

    Args:
        reference: Merged profile (:data:`ratoon.profiles.PROFILE_SCHEMA`) of the reference window.
        current: Merged profile of the current window; it must not be part of the reference.
        settings: Thresholds; None takes the defaults.
        alpha: Most chance of any flag when nothing changed; None takes the settings'.
        importance: Each column's share of the champion's importance, by which the report is ranked; a column that
            isn't there has none. None: not known.
        binning: The bins of both profiles, for the Wasserstein distance; None leaves it out.

    Returns:
        The report; ``judged`` is false, with the reason, where a side has fewer rows than ``min_rows``.

    Raises:
        DataError: The profiles are of different binnings or columns.
    """
    settings = settings or DriftSettings()
    sizes = n_rows(reference), n_rows(current)
    for side, n in zip(("reference", "current"), sizes, strict=True):
        if n < settings.min_rows:
            reason = f"the {side} window has {n:,} rows, {settings.min_rows:,} are needed"
            return DriftReport(
                judged=False,
                not_judged_reason=reason,
                n_rows_reference=sizes[0],
                n_rows_current=sizes[1],
                settings=settings,
            )
    alpha = settings.alpha if alpha is None else alpha
    sides = read_sides(reference, current, _ignored(settings))
    limits = thresholds(sides.names, settings)
    distances = measure(sides, None if binning is None else [binning.columns[name].edges for name in sides.names])
    tests = tests_of_columns(sides, distances, limits)
    pairs = _pairs(sides, limits, settings)
    if pairs is not None:
        tests.append(_test_of_pairs(pairs, settings))
    p_values = corrected(tests, alpha, settings.correction)
    findings = _findings(tests, p_values, alpha)
    columns = [
        _judge(sides, distances, limits, findings[at], at, None if importance is None else importance.get(name, 0.0))
        for at, name in enumerate(sides.names)
    ]
    columns.sort(key=lambda c: (not c.flagged, -c.weight, -c.severity, -(c.score or 0.0), c.column))
    return DriftReport(
        judged=True,
        n_rows_reference=sizes[0],
        n_rows_current=sizes[1],
        binning=sides.binning,
        settings=settings,
        alpha=alpha,
        drifted=[column.column for column in columns if column.flagged],
        columns=columns,
        joint=None if pairs is None else _joint(sides, pairs, p_values[-1], alpha, settings),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Finding:
    """One test of one column."""

    reason: Reason
    test: str
    p_value: float
    """Corrected."""
    severity: float
    is_real: bool


def _ignored(settings: DriftSettings) -> set[str]:
    return {name for name, dials in settings.columns.items() if dials.ignore}


def _findings(tests: list[Tests], p_values: list[Floats], alpha: float) -> dict[int, list[_Finding]]:
    found: dict[int, list[_Finding]] = defaultdict(list)
    for test, corrected_p in zip(tests, p_values, strict=True):
        if test.family == "joint":
            continue
        rows = zip(test.subject.tolist(), corrected_p.tolist(), test.severity.tolist(), strict=True)
        for at, p_value, severity in rows:
            finding = _Finding(
                reason=test.family, test=test.name, p_value=p_value, severity=severity, is_real=p_value <= alpha
            )
            found[at].append(finding)
    return found


def _judge(
    sides: Sides,
    distances: Distances,
    limits: Thresholds,
    findings: list[_Finding],
    at: int,
    importance: float | None,
) -> ColumnDrift:
    real = [finding for finding in findings if finding.is_real]
    large = {f.reason: f.severity for f in real if f.severity >= 1}
    reasons = sorted(large, key=lambda reason: -large[reason])
    best = min(findings, key=lambda finding: finding.p_value, default=None)
    before, after = sides.reference, sides.current
    is_category = sides.kinds[at] == "category"
    texts = [_text(reason, sides, distances, limits, at) for reason in reasons]
    p_value = best.p_value if best is not None else 1.0
    return ColumnDrift(
        column=sides.names[at],
        kind=sides.kinds[at],
        n_reference=int(before.present[at]),
        n_current=int(after.present[at]),
        score=_known(distances.score[at]),
        expected_null_score=_known(distances.expected_null[at]),
        js=_known(distances.js[at]),
        ks=_known(distances.ks[at]),
        wasserstein=_known(distances.wasserstein[at]),
        mean_reference=_known(before.mean[at]),
        mean_current=_known(after.mean[at]),
        test=best.test if best is not None else "none",
        p_value=p_value,
        null_rate_reference=float(before.missing[at] / before.n[at]),
        null_rate_current=float(after.missing[at] / after.n[at]),
        rest_share_reference=_rest_share(before, at) if is_category else None,
        rest_share_current=_rest_share(after, at) if is_category else None,
        unseen_mass=_known(distances.unseen[at]),
        importance=importance,
        severity=max((finding.severity for finding in real), default=0.0),
        flagged=bool(reasons),
        reasons=reasons,
        sentence=sentences.column_sentence(sides.names[at], texts, p_value, (before.n[at], after.n[at])),
    )


def _text(reason: Reason, sides: Sides, distances: Distances, limits: Thresholds, at: int) -> str:
    before, after = sides.reference, sides.current
    match reason:
        case "null_rate":
            rates = before.missing[at] / before.n[at], after.missing[at] / after.n[at]
            return f"rows without a value went {sentences.percents(*rates)}"
        case "new_category":
            shares = sentences.percents(_rest_share(before, at), _rest_share(after, at))
            return f"values outside the listed ones went {shares} (a rise by {distances.unseen[at]:.1%} was expected)"
        case "distribution":
            size = sentences.size_of_move(distances.score[at], distances.expected_null[at], limits.psi[at])
            return f"{_moved(sides, at)} ({size})"


def _moved(sides: Sides, at: int) -> str:
    before, after = sides.reference, sides.current
    if sides.kinds[at] == "category":
        rest = int(before.rest[at]), int(after.rest[at])
        return sentences.moved_categories(sides.categories[at] or [], before.counts[at], after.counts[at], rest)
    return sentences.moved_numbers(before.mean[at], after.mean[at], before.deviation[at])


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _rest_share(side: Side, at: int) -> float:
    return float(side.rest[at] / max(side.present[at], 1))


def _pairs(sides: Sides, limits: Thresholds, settings: DriftSettings) -> Pairs | None:
    """Compare every pair, without columns whose missing rows changed: these score 0, and thin out a correlation."""
    if sides.joint is None:
        return None
    before, after = sides.reference, sides.current
    is_thinned = np.abs(after.missing / after.n - before.missing / before.n) >= limits.null_rate
    thinned = {name for name, is_out in zip(sides.names, is_thinned.tolist(), strict=True) if is_out}
    extent = dict(zip(sides.names, np.fmax(_extent(before), _extent(after)), strict=True))
    known = np.array([extent.get(name, np.inf) for name in sides.joint[0].columns])
    return compare_pairs(*sides.joint, np.nan_to_num(known, nan=np.inf), thinned | _ignored(settings))


def _extent(side: Side) -> Floats:
    """Return how far each column's values lie from their mean at most, in standard deviations."""
    deviation = np.where(side.deviation > 0, side.deviation, np.nan)
    return np.asarray(np.fmax(side.max - side.mean, side.mean - side.min) / deviation)


def _test_of_pairs(pairs: Pairs, settings: DriftSettings) -> Tests:
    n_pairs = len(pairs.p_value)
    return Tests(
        family="joint",
        name="correlation",
        subject=np.arange(n_pairs),
        p_value=pairs.p_value,
        severity=np.abs(pairs.current - pairs.reference) / settings.correlation_change,
        reach=np.ones(n_pairs),
        weight=np.ones(n_pairs),
    )


def _joint(sides: Sides, pairs: Pairs, p_values: Floats, alpha: float, settings: DriftSettings) -> JointDrift:
    change = np.abs(pairs.current - pairs.reference)
    flagged = np.flatnonzero((p_values <= alpha) & (change >= settings.correlation_change))
    names = sides.joint[0].columns if sides.joint is not None else []
    shown = [
        PairDrift(
            first=names[pairs.first[at]],
            second=names[pairs.second[at]],
            correlation_reference=float(pairs.reference[at]),
            correlation_current=float(pairs.current[at]),
            p_value=float(p_values[at]),
        )
        for at in sorted(
            flagged.tolist(), key=lambda at: (-change[at], names[pairs.first[at]], names[pairs.second[at]])
        )
    ]
    said = [(pair.first, pair.second, pair.correlation_reference, pair.correlation_current) for pair in shown]
    return JointDrift(
        n_pairs=len(p_values),
        p_value=float(p_values.min(initial=1.0)),
        pairs=shown,
        flagged=bool(shown),
        sentence=sentences.joint_sentence(said, len(p_values)),
    )
