"""What a configuration would do on a user's own data: how often it cries wolf, and what it would see."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import polars as pl
from pydantic import Field

from ratoon.contracts.spec import Contract, Strict
from ratoon.drift.values import DriftReport
from ratoon.drift.verdict import compare
from ratoon.errors import EmptyWindowError
from ratoon.monitoring import DriftSettings
from ratoon.profiles import Binning, Reference, make_reference, profile

ShiftKind = Literal["mean", "variance", "nulls", "new_category", "swap"]
"""mean: numbers move by so many spreads (the robust one of the bins) · variance: it is multiplied · nulls: so large a share
of the rows loses its value · new_category: so large a share gets an unknown value · swap: the two most frequent values
change places."""

LADDER: Final[tuple[tuple[ShiftKind, float], ...]] = (
    ("mean", 0.1),
    ("mean", 0.25),
    ("mean", 0.5),
    ("mean", 1.0),
    ("variance", 1.5),
    ("variance", 2.0),
    ("nulls", 0.02),
    ("nulls", 0.05),
    ("nulls", 0.1),
    ("new_category", 0.01),
    ("new_category", 0.03),
    ("new_category", 0.1),
    ("swap", 1.0),
)
"""Shifts that are tried, each on one column at a time."""

_KINDS: Final[dict[ShiftKind, tuple[str, ...]]] = {
    "mean": ("numeric",),
    "variance": ("numeric",),
    "nulls": ("numeric", "category", "identifier", "time"),
    "new_category": ("category",),
    "swap": ("category",),
}
_WORDS: Final[dict[ShiftKind, str]] = {
    "mean": "a move of the mean by {size:g} spreads",
    "variance": "a variance times {size:g}",
    "nulls": "{size:.0%} more missing values",
    "new_category": "a new category of {size:.0%}",
    "swap": "an exchange of the two most frequent values",
}
_NEW: Final = "\N{REPLACEMENT CHARACTER}new"
"""A value that no data holds."""


class ShiftPower(Strict):
    """How often one shift was found."""

    kind: ShiftKind
    size: float
    n_reports: int
    n_found: int = Field(description="Reports that flagged the shifted column.")

    @property
    def power(self) -> float:
        """Return the share of reports that found it."""
        return self.n_found / self.n_reports


class SelfTest(Strict):
    """What a configuration did on samples of one reference."""

    n_rows: int = Field(description="Rows of each side of every report.")
    n_columns: int = Field(description="Columns that are judged.")
    alpha: float
    repeats: int
    seed: int
    false_alarms: int = Field(description="Reports that raised any alarm between two samples of the same rows.")
    blamed: dict[str, int] = Field(description="How often each column was flagged in them; pairs as 'a, b'.")
    shifts: list[ShiftPower]

    @property
    def false_alarm_rate(self) -> float:
        """Return the share of reports with a false alarm."""
        return self.false_alarms / self.repeats

    @property
    def sentence(self) -> str:
        """Return the result in a sentence."""
        seen = [f"{_WORDS[s.kind].format(size=s.size)} with power {s.power:.0%}" for s in self._told()]
        sees = f", and would see {', '.join(seen)}" if seen else ""
        return (
            f"This configuration would have raised {self.false_alarms} false alarms in {self.repeats} reports of "
            f"{self.n_rows:,} against {self.n_rows:,} rows{sees}."
        )

    def _told(self) -> list[ShiftPower]:
        """Return of each kind the smallest shift that is found four times of five, or else the largest."""
        by_kind: dict[str, ShiftPower] = {}
        for shift in sorted(self.shifts, key=lambda shift: shift.size):
            if shift.kind not in by_kind or by_kind[shift.kind].power < 0.8:
                by_kind[shift.kind] = shift
        return list(by_kind.values())


Progress = Callable[[int, int], None]
"""Told how many reports are done, of how many."""


def self_test(
    frame: pl.DataFrame,
    contract: Contract | None,
    settings: DriftSettings,
    *,
    n_rows: int,
    repeats: int = 200,
    shifted_repeats: int | None = None,
    seed: int,
    progress: Progress | None = None,
) -> SelfTest:
    """Try a configuration on samples of a reference: without a change, and with changes of known size.

    Every repeat draws both sides anew, disjoint and without replacement, makes the bins of the first and compares
    the second with it, by the code that judges real batches. Rows are drawn at random, so what belongs to seasons or to
    an order of the rows is not seen: this is what the configuration does when nothing but chance is at work.

    Args:
        frame: The reference's rows, validated; at least twice ``n_rows``.
        contract: Their contract; None takes the columns' kinds from their dtypes.
        settings: The configuration.
        n_rows: Rows of each side.
        repeats: Reports without a change.
        shifted_repeats: Reports per shift, each on another column; None: a fifth of ``repeats``, at least one.
        seed: Seeds every draw.
        progress: Told after every report.

    Raises:
        EmptyWindowError: The frame has too few rows, or ``n_rows`` is less than a report needs.
    """
    if frame.height < 2 * n_rows or n_rows < settings.min_rows:
        raise EmptyWindowError(
            f"a self-test with {n_rows:,} rows on each side needs {2 * n_rows:,} rows (there are {frame.height:,}) and at "
            f"least min_rows = {settings.min_rows:,}; give more rows, or a smaller n_rows"
        )
    bench = _Bench(frame=frame, contract=contract, settings=settings, n_rows=n_rows)
    each = max(repeats // 5, 1) if shifted_repeats is None else shifted_repeats
    shifts = bench.possible_shifts(seed) if each else []
    total, done = repeats + each * len(shifts), 0
    alarms, blamed, found = 0, Counter[str](), Counter[tuple[ShiftKind, float]]()
    for repeat in range(max(repeats, each)):
        sample = bench.draw(np.random.default_rng([seed, repeat]))
        if repeat < repeats:
            report = bench.report(sample, sample.current)
            alarms, done = alarms + report.alarm, done + 1
            blamed.update(_flags(report))
            _tell(progress, done, total)
        for kind, size, columns in shifts if repeat < each else []:
            column = columns[repeat % len(columns)]
            random = np.random.default_rng([seed, repeat, done])
            report = bench.report(sample, shifted(sample.current, column, kind, size, sample.reference.binning, random))
            found[kind, size] += column in report.drifted
            done += 1
            _tell(progress, done, total)
    return SelfTest(
        n_rows=n_rows,
        n_columns=len(report.columns),
        alpha=settings.alpha,
        repeats=repeats,
        seed=seed,
        false_alarms=alarms,
        blamed=dict(blamed.most_common()),
        shifts=[
            ShiftPower(kind=kind, size=size, n_reports=each, n_found=found[kind, size]) for kind, size, _ in shifts
        ],
    )


def shifted(
    rows: pl.DataFrame, column: str, kind: ShiftKind, size: float, binning: Binning, random: np.random.Generator
) -> pl.DataFrame:
    """Return rows of which one column is shifted.

    Args:
        rows: Typed as the binning's columns are.
        column: Of a kind that the shift can happen to.
        kind: The shift.
        size: How large it is, in the kind's unit; a swap has no size.
        binning: Knows the column's center, spread and most frequent values.
        random: Chooses the rows of a shift that happens to some.
    """
    bins, value = binning.columns[column], pl.col(column)
    center, scale = bins.center or 0.0, bins.scale or 1.0
    hit = pl.lit(pl.Series(random.random(rows.height) < size))
    match kind:
        case "mean":
            changed = value.cast(pl.Float64) + size * scale
        case "variance":
            changed = (value.cast(pl.Float64) - center) * size**0.5 + center
        case "nulls":
            changed = pl.when(~hit).then(value)
        case "new_category":
            changed = pl.when(hit & value.is_not_null()).then(pl.lit(_NEW)).otherwise(value.cast(pl.String))
        case "swap":
            first, second = bins.categories[:2]
            changed = value.cast(pl.String).replace({first: second, second: first})
    return rows.with_columns(changed.alias(column))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sample:
    reference: Reference
    current: pl.DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bench:
    """Draws samples and makes reports of them."""

    frame: pl.DataFrame
    contract: Contract | None
    settings: DriftSettings
    n_rows: int

    def draw(self, random: np.random.Generator) -> _Sample:
        rows = self.frame[random.choice(self.frame.height, 2 * self.n_rows, replace=False)]
        made = make_reference(rows[: self.n_rows], self.contract, min_rows=self.n_rows)
        return _Sample(reference=made, current=rows[self.n_rows :])

    def report(self, sample: _Sample, current: pl.DataFrame) -> DriftReport:
        made = sample.reference
        return compare(made.profile, profile(current, made.binning), self.settings, binning=made.binning)

    def possible_shifts(self, seed: int) -> list[tuple[ShiftKind, float, list[str]]]:
        """Return the ladder's shifts with the columns that each can happen to, in an order of chance."""
        columns = self.draw(np.random.default_rng([seed])).reference.binning.columns
        judged = {
            name: bins
            for name, bins in columns.items()
            if bins.kind != "key" and not (name in self.settings.columns and self.settings.columns[name].ignore)
        }
        order = np.random.default_rng([seed, 1]).permutation(sorted(judged)).tolist()
        possible: list[tuple[ShiftKind, float, list[str]]] = []
        for kind, size in LADDER:
            fits = [name for name in order if judged[name].kind in _KINDS[kind]]
            if kind == "new_category":
                fits = [name for name in fits if judged[name].type != "bool"]
            if kind == "swap":
                fits = [name for name in fits if judged[name].type != "bool" and len(judged[name].categories) > 1]
            if fits:
                possible.append((kind, size, fits))
        return possible


def _flags(report: DriftReport) -> list[str]:
    pairs = report.joint.pairs if report.joint is not None else []
    return [*report.drifted, *(f"{pair.first}, {pair.second}" for pair in pairs)]


def _tell(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None:
        progress(done, total)
