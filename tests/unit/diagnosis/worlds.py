"""A small world of batches, whose ordinary ways are known exactly, for the tests of diagnosis."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from ratoon.contracts import Contract, validate
from ratoon.diagnosis import BatchFacts, Diagnosis, counts_digest, diagnose, restore_rows
from ratoon.profiles import make_binning, merge, profile

START = datetime(2026, 1, 5, tzinfo=UTC)
"""A Monday."""
N_ROWS, N_PAST = 1_000, 12

CONTRACT = Contract.model_validate(
    {
        "entity_key": ["id"],
        "event_time": "at",
        "columns": {
            "id": {"type": "string"},
            "at": {"type": "datetime"},
            "warmth": {"type": "float", "nullable": True},
            "dew": {"type": "float", "nullable": True},
            "price": {"type": "float", "nullable": True},
            "rain": {"type": "float", "nullable": True},
            "seats": {"type": "int", "nullable": True},
            "site": {"type": "category", "nullable": True},
            "code": {"type": "string", "nullable": True},
            "maker": {"type": "category", "nullable": True},
            "patchy": {"type": "float", "nullable": True},
        },
    }
)


def rows_of(
    day: int, *, n: int = N_ROWS, seed: int = 7, warmer: float = 0.0, patchy: float | None = None
) -> pl.DataFrame:
    """Return one day of the world: 1,000 rows from 8 to 20 h, as the contract's columns.

    warmth: tenths, about 60 with sd 5, whose daily mean wanders by 2; dew 14 lower · price: about 200, sd 20, nearly the
    same mean every day · rain: zero in 70 to 90 % of the rows, else about 4, twice or half as much on other days ·
    seats: 50 (30 %), 150 (50 %) or 180 (20 %), a tenth of them missing · site: A, B or C · code: two capitals and four
    digits · maker: BOEING, AIRBUS or EMBRAER, a fifth missing · patchy: missing in 0 to 60 % of the rows of a day.
    """
    rng = np.random.default_rng([seed, day])
    warm = 60 + warmer + rng.normal(0, 2) + rng.normal(0, 5, n)
    dry, heavy = rng.uniform(0.7, 0.9), float(np.exp(rng.normal(0, 0.7)))
    begin = START + timedelta(days=day, hours=8)
    seconds = np.sort(rng.integers(0, 12 * 3_600, n))
    frame = pl.DataFrame(
        {
            "id": [f"{day}-{i}" for i in range(n)],
            "at": [begin + timedelta(seconds=int(second)) for second in seconds],
            "warmth": np.round(warm, 1),
            "dew": np.round(warm - 14 + rng.normal(0, 1, n), 1),
            "price": rng.normal(200, 20, n),
            "rain": np.where(rng.random(n) < dry, 0.0, rng.gamma(0.8, 5 * heavy, n)),
            "seats": rng.choice([50, 150, 180], n, p=[0.3, 0.5, 0.2]),
            "site": rng.choice(["A", "B", "C"], n, p=[0.4, 0.35, 0.25]),
            "code": [f"QX{i}" for i in rng.integers(1_000, 9_999, n)],
            "maker": rng.choice(["BOEING", "AIRBUS", "EMBRAER"], n),
            "patchy": rng.normal(0, 1, n),
        }
    )
    hidden = {"seats": 0.1, "maker": 0.2, "patchy": float(rng.uniform(0, 0.6)) if patchy is None else patchy}
    return frame.with_columns(
        pl.when(pl.lit(pl.Series(rng.random(n) >= share))).then(pl.col(name)).alias(name)
        for name, share in hidden.items()
    ).with_columns(pl.col("at").cast(pl.Datetime("us", "UTC")))


@dataclass
class World:
    """Twelve days behind, and the next one to be judged."""

    contract: Contract = CONTRACT
    past: list[pl.DataFrame] = field(default_factory=lambda: [rows_of(day) for day in range(N_PAST)])

    def __post_init__(self) -> None:
        self.binning = make_binning(pl.concat(self.past), self.contract)
        self.profiles = [profile(frame, self.binning) for frame in self.past]
        both = zip(self.past, self.profiles, strict=True)
        self.history = [self.facts(frame, day, counted) for day, (frame, counted) in enumerate(both)]
        self.reference = merge(self.profiles)

    def facts(self, frame: pl.DataFrame, day: int, counted: pl.DataFrame | None, **more: object) -> BatchFacts:
        """Return what is known of a day's rows, which arrive an hour after midnight."""
        facts = {
            "batch_id": f"day-{day}",
            "as_of": START + timedelta(days=day + 1, hours=1),
            "n_rows": frame.height,
            "event_time_min": frame["at"].min(),
            "event_time_max": frame["at"].max(),
            "counts_digest": None if counted is None else counts_digest(counted),
        }
        return BatchFacts.model_validate(facts | more)

    def judge(self, frame: pl.DataFrame, *, with_rows: bool = True, **more: object) -> Diagnosis:
        """Validate the next day's rows and diagnose what arrived."""
        checked = validate(frame, self.contract)
        rows = pl.concat([checked.kept, restore_rows(checked.quarantined, self.contract)])
        known = {
            "n_quarantined": checked.quarantined.height,
            "reasons": {reason: n for reason, n in checked.counts.items() if n},
        }
        counted = profile(rows, self.binning)
        return diagnose(
            self.reference,
            counted,
            binning=self.binning,
            facts=self.facts(rows, N_PAST, counted, **known, **more),
            history=self.history,
            past=self.profiles,
            batch=rows if with_rows else None,
            event_time="at",
        )


def first(share: float) -> pl.Expr:
    """Return whether a row is among the first so many in every hundred."""
    return pl.int_range(pl.len()) % 100 < round(100 * share)
