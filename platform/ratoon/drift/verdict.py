"""The verdict on two profiles: what changed for real, and by enough to matter."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl

from ratoon.drift.scores import (
    expected_null_psi,
    holm,
    homogeneity_p,
    pooled_bins,
    pooled_categories,
    psi,
    share_change,
)
from ratoon.drift.values import ColumnDrift, DriftReport, DriftSettings, Reason
from ratoon.errors import DataError

_SHOWN_VALUE = 40
_Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Finding:
    """One test of one column."""

    reason: Reason
    p_value: float
    severity: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """A column on both sides, with its tests."""

    reference: _Row
    current: _Row
    score: float | None
    expected_null_score: float | None
    findings: list[_Finding]


def compare(reference: pl.DataFrame, current: pl.DataFrame, settings: DriftSettings | None = None) -> DriftReport:
    """Decide which columns of a dataset drifted between two windows.

    Three tests per column: the shares of bins or values (PSI, chi-square of homogeneity), the rate of rows
    without a usable value, and the share of values that are not listed (against the mass that the reference can't
    have seen, Good-Turing). A test counts when its p-value, corrected over all tests of the report (Holm), is at
    most ``alpha`` **and** its effect reaches its threshold. Keys are not judged; of times and identifiers only
    missing values are.

    Args:
        reference: Merged profile (:data:`ratoon.profiles.PROFILE_SCHEMA`) of the reference window.
        current: Merged profile of the current window; it must not be part of the reference.
        settings: Thresholds; None takes the defaults.

    Returns:
        The report; ``judged`` is false, with the reason, where a side has fewer rows than ``min_rows``.

    Raises:
        DataError: The profiles are of different binnings or columns.
    """
    settings = settings or DriftSettings()
    rows = _by_column(reference), _by_column(current)
    n_reference, n_current = (max((row["n"] for row in side.values()), default=0) for side in rows)
    for side, n in (("reference", n_reference), ("current", n_current)):
        if n < settings.min_rows:
            reason = f"the {side} window has {n:,} rows, {settings.min_rows:,} are needed"
            return DriftReport(
                judged=False,
                not_judged_reason=reason,
                n_rows_reference=n_reference,
                n_rows_current=n_current,
                settings=settings,
            )
    binning = _common_binning(*rows)
    measured = [_measure(row, rows[1][name], settings) for name, row in rows[0].items() if row["kind"] != "key"]
    columns = _judged(measured, settings)
    drifted = [column.column for column in columns if column.flagged]
    return DriftReport(
        judged=True,
        n_rows_reference=n_reference,
        n_rows_current=n_current,
        binning=binning,
        settings=settings,
        drifted=drifted,
        columns=columns,
    )


def _judged(measured: list[_Measured], settings: DriftSettings) -> list[ColumnDrift]:
    """Correct every p-value for all tests of the report; worst column first."""
    corrected = iter(holm([finding.p_value for column in measured for finding in column.findings]))
    columns = [_judge(column, [next(corrected) for _ in column.findings], settings.alpha) for column in measured]
    return sorted(
        columns, key=lambda column: (not column.flagged, -column.severity, -(column.score or 0.0), column.column)
    )


def _judge(measured: _Measured, corrected: list[float], alpha: float) -> ColumnDrift:
    real = [finding for finding, p_value in zip(measured.findings, corrected, strict=True) if p_value <= alpha]
    large = [finding for finding in real if finding.severity >= 1]
    reference, current = measured.reference, measured.current
    is_category = reference["kind"] == "category"
    said = "; ".join(finding.text for finding in sorted(large, key=lambda finding: -finding.severity))
    return ColumnDrift(
        column=reference["column"],
        kind=reference["kind"],
        score=measured.score,
        expected_null_score=measured.expected_null_score,
        p_value=min(corrected, default=1.0),
        null_rate_reference=_missing(reference) / reference["n"],
        null_rate_current=_missing(current) / current["n"],
        rest_share_reference=_rest_share(reference) if is_category else None,
        rest_share_current=_rest_share(current) if is_category else None,
        severity=max((finding.severity for finding in real), default=0.0),
        flagged=bool(large),
        reasons=[finding.reason for finding in large],
        sentence=f"{reference['column']}: {said or 'no change that matters'}",
    )


def _measure(reference: _Row, current: _Row, settings: DriftSettings) -> _Measured:
    if reference["kind"] == "category":
        cells = pooled_categories(reference["counts"], current["counts"], (reference["rest"], current["rest"]))
    else:
        cells = pooled_bins(reference["counts"], current["counts"])
    score = null_score = None
    findings = list(_share_findings(reference, current, settings))
    if len(cells[0]) > 1:
        null_score = expected_null_psi(len(cells[0]), cells[0].sum(), cells[1].sum())
        score = max(0.0, psi(*cells) - null_score)
        text = f"{_shift(reference, current)} (PSI {score:.3g}, from {settings.min_effect:g} it matters)"
        findings.append(
            _Finding(
                reason="distribution", p_value=homogeneity_p(*cells), severity=score / settings.min_effect, text=text
            )
        )
    return _Measured(
        reference=reference, current=current, score=score, expected_null_score=null_score, findings=findings
    )


def _share_findings(reference: _Row, current: _Row, settings: DriftSettings) -> Iterator[_Finding]:
    missing = share_change(_missing(reference), reference["n"], _missing(current), current["n"])
    rates = _from_to(_missing(reference) / reference["n"], _missing(current) / current["n"])
    yield _Finding(
        reason="null_rate",
        p_value=missing.p_value,
        severity=abs(missing.effect) / settings.null_rate_change,
        text=f"rows without a value went {rates}",
    )
    n_reference, n_current = _present(reference), _present(current)
    if reference["kind"] == "category" and n_reference and n_current:
        unseen = (reference["rest_singletons"] + sum(count == 1 for count in reference["counts"])) / n_reference
        rest = share_change(reference["rest"], n_reference, current["rest"], n_current, slack=unseen)
        shares = _from_to(_rest_share(reference), _rest_share(current))
        text = f"values outside the listed ones went {shares} (a rise by {unseen:.1%} was expected)"
        yield _Finding(
            reason="rest", p_value=rest.p_value, severity=abs(rest.effect) / settings.new_category_share, text=text
        )


def _shift(reference: _Row, current: _Row) -> str:
    """Say where the values went: the mean of numbers, the category that moved most."""
    if reference["kind"] == "category":
        before, after = (
            [count / max(_present(row), 1) for count in [*row["counts"], row["rest"]]] for row in (reference, current)
        )
        most = max(range(len(before)), key=lambda i: abs(after[i] - before[i]))
        names = [*(f"'{name[:_SHOWN_VALUE]}'" for name in reference["categories"]), "the rest"]
        return f"{names[most]} went {_from_to(before[most], after[most])}"
    if reference["sum"] is None or current["sum"] is None:
        return "values moved between bins"
    means = [row["sum"] / _present(row) for row in (reference, current)]
    return f"the mean went from {means[0]:.6g} to {means[1]:.6g}"


def _from_to(before: float, after: float) -> str:
    return f"from {before:.1%} to {after:.1%}"


def _missing(row: _Row) -> int:
    return int(row["nulls"] + row["nans"] + row["infs"])


def _present(row: _Row) -> int:
    return int(row["n"]) - _missing(row)


def _rest_share(row: _Row) -> float:
    return float(row["rest"]) / max(_present(row), 1)


def _by_column(profile: pl.DataFrame) -> dict[str, _Row]:
    rows = {row["column"]: row for row in profile.iter_rows(named=True)}
    if len(rows) != profile.height:
        raise DataError("a profile holds a column more than once; merge the profiles of a window before comparing them")
    return rows


def _common_binning(reference: dict[str, _Row], current: dict[str, _Row]) -> str:
    digests = sorted({row["binning"] for side in (reference, current) for row in side.values()})
    if len(digests) != 1 or set(reference) != set(current):
        shown = ", ".join(digest[:12] for digest in digests)
        raise DataError(
            f"profiles of different bins ({shown}) can't be compared; profile both windows with one binning"
        )
    return str(digests[0])
