"""The faults that are injected into real batches, each with the columns and strengths it is drawn from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import polars as pl

WEATHER: Final = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"]
PLANE: Final = ["plane_year", "manufacturer", "engines", "seats"]

Columns = list[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A file: its rows and when it landed."""

    name: str
    frame: pl.DataFrame
    as_of: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """Where a fault is injected."""

    deliveries: Sequence[Delivery]
    index: int
    column: Any
    strength: float
    rng: np.random.Generator

    @property
    def frame(self) -> pl.DataFrame:
        """Return the rows of the batch."""
        return self.deliveries[self.index].frame

    def hit(self, share: float) -> pl.Expr:
        """Return a Boolean for a random share of the rows."""
        return pl.lit(pl.Series(self.rng.random(self.frame.height) < share))


Injection = Callable[[Draw], pl.DataFrame | Delivery]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A kind of fault with its right cause; tuning and reporting draw from columns of their own."""

    name: str
    cause: str
    apply: Injection
    tuning: Columns
    reported: Columns
    strengths: tuple[float, ...] = (1.0,)
    factor: float | None = None
    """unit_change: the factor that should be named."""

    def inject(
        self, deliveries: Sequence[Delivery], index: int, split: str, rng: np.random.Generator
    ) -> tuple[Delivery, str]:
        """Return the batch with the fault, and what was drawn."""
        columns = self.tuning if split == "tuning" else self.reported
        column, strength = columns[int(rng.integers(len(columns)))], float(rng.choice(self.strengths))
        draw = Draw(deliveries=deliveries, index=index, column=column, strength=strength, rng=rng)
        made = self.apply(draw)
        whole = made if isinstance(made, Delivery) else replace(deliveries[index], frame=made)
        return replace(whole, name=f"{deliveries[index].name}!"), f"{column} {strength:g}"


def season_swap(deliveries: Sequence[Delivery], index: int) -> Delivery:
    """Return the batch half a year away in the place of another: its time moved, everything else as it was."""
    half = len(deliveries) // 2
    other, here = deliveries[(index + half) % len(deliveries)], deliveries[index]
    moved = pl.col("scheduled") + (here.as_of - other.as_of)
    return Delivery(
        name=f"{here.name}~",
        frame=other.frame.sample(fraction=0.95, seed=index).with_columns(
            moved, flight_id=pl.format("{}~", "flight_id")
        ),
        as_of=here.as_of,
    )


def _nulls(draw: Draw) -> pl.DataFrame:
    names = draw.column if isinstance(draw.column, list) else [draw.column]
    hit = draw.hit(draw.strength)
    return draw.frame.with_columns(pl.when(~hit).then(pl.col(name)).alias(name) for name in names)


def _linear(factor: float, offset: float = 0.0) -> Injection:
    def apply(draw: Draw) -> pl.DataFrame:
        names = draw.column if isinstance(draw.column, list) else [draw.column]
        return draw.frame.with_columns(pl.col(name).cast(pl.Float64) * factor + offset for name in names)

    return apply


def _rounded(factor: float, offset: float = 0.0, digits: int = 1) -> Injection:
    def apply(draw: Draw) -> pl.DataFrame:
        names = draw.column if isinstance(draw.column, list) else [draw.column]
        return draw.frame.with_columns((pl.col(name) * factor + offset).round(digits) for name in names)

    return apply


def _whole(factor: float) -> Injection:
    """Convert a column of whole numbers, rounded to whole numbers."""

    def apply(draw: Draw) -> pl.DataFrame:
        return draw.frame.with_columns((pl.col(draw.column).cast(pl.Float64) * factor).round().cast(pl.Int64))

    return apply


def _constant(draw: Draw) -> pl.DataFrame:
    value = draw.frame[draw.column].drop_nulls()
    return draw.frame.with_columns(pl.lit(value[int(draw.rng.integers(len(value)))]).alias(draw.column))


def _same_again(draw: Draw) -> Delivery:
    earlier, here = draw.deliveries[draw.index - int(draw.column)], draw.deliveries[draw.index]
    shuffled = earlier.frame.sample(fraction=draw.strength, shuffle=True, seed=int(draw.rng.integers(1 << 31)))
    return replace(here, frame=shuffled)


def _rows_again(draw: Draw) -> pl.DataFrame:
    repeated = draw.frame.filter(draw.hit(draw.strength))
    return pl.concat([draw.frame, repeated]).sample(fraction=1.0, shuffle=True, seed=int(draw.rng.integers(1 << 31)))


def _fewer_rows(draw: Draw) -> pl.DataFrame:
    return draw.frame.filter(draw.hit(draw.strength))


def _fewer_hours(draw: Draw) -> pl.DataFrame:
    times = draw.frame["scheduled"]
    first, last = times.min(), times.max()
    cut = first + draw.strength * (last - first)  # type: ignore[operator]
    is_early = draw.column == "end missing"
    return draw.frame.filter(pl.col("scheduled") < cut if is_early else pl.col("scheduled") >= cut)


def _late(draw: Draw) -> Delivery:
    here = draw.deliveries[draw.index]
    step = here.as_of - draw.deliveries[draw.index - 1].as_of
    return replace(here, as_of=here.as_of + draw.strength * step)


def _dropped(draw: Draw) -> pl.DataFrame:
    return draw.frame.drop(draw.column)


def _reformatted(draw: Draw) -> pl.DataFrame:
    column, form = draw.column
    text = pl.col(column).cast(pl.String)
    match form:
        case "comma":
            changed = pl.col(column).cast(pl.Float64).cast(pl.String).str.replace(".", ",", literal=True)
        case "unit":
            changed = pl.format("{} mi", text)
        case "day first":
            changed = pl.col(column).dt.strftime("%d/%m/%Y %H:%M")
        case "epoch":
            changed = pl.col(column).dt.epoch("s")
        case _:
            changed = pl.lit("x") + text
    return draw.frame.with_columns(changed.alias(column))


def _swapped(draw: Draw) -> pl.DataFrame:
    one, other = draw.column
    return draw.frame.with_columns(pl.col(other).alias(one), pl.col(one).alias(other))


def _filled(draw: Draw) -> pl.DataFrame:
    column, value = draw.column
    return draw.frame.with_columns(pl.col(column).fill_null(value))


def _defaulted(draw: Draw) -> pl.DataFrame:
    column, value = draw.column
    return draw.frame.with_columns(pl.when(draw.hit(draw.strength)).then(pl.lit(value)).otherwise(column).alias(column))


def _moved_hours(draw: Draw) -> pl.DataFrame:
    return draw.frame.with_columns(pl.col("scheduled") + timedelta(hours=draw.column))


def _garbled(draw: Draw) -> pl.DataFrame:
    column, how = draw.column
    text = pl.col(column)
    changed = {
        "lower": text.str.to_lowercase(),
        "padded": pl.format("{}  ", text),
        "quoted": pl.format('"{}"', text),
        "encoding": text.str.replace_all("[AEIOU]", "Ã©").str.replace_all("[0-9]", "Â£"),
        "cut": text.str.head(1),
        "coded": text.hash(1).mod(90).add(10).cast(pl.String),
    }[how]
    return draw.frame.with_columns(pl.when(draw.hit(draw.strength)).then(changed).otherwise(text).alias(column))


def _one_part(draw: Draw) -> pl.DataFrame:
    (part, value), columns, how = draw.column
    is_part = (pl.col(part) == value) & draw.hit(draw.strength)
    changed = {
        "nulls": lambda name: pl.when(~is_part).then(pl.col(name)),
        "x1000": lambda name: pl.when(is_part).then(pl.col(name) * 1_000).otherwise(pl.col(name)),
        "minus one": lambda name: pl.when(is_part).then(-1).otherwise(pl.col(name)),
    }[how]
    return draw.frame.with_columns(changed(name).alias(name) for name in columns)


def _cut(draw: Draw) -> pl.DataFrame:
    column, most = draw.column
    return draw.frame.with_columns(pl.when(pl.col(column) > most).then(most).otherwise(pl.col(column)).alias(column))


_WIND = ["wind_speed", "wind_gust"]
FAULTS: Final = [
    Fault(
        name="nulls in one column",
        cause="null_burst",
        apply=_nulls,
        tuning=["temp", "seats", "tailnum", "humid"],
        reported=["dewp", "visib", "engines", "dest", "distance", "manufacturer"],
        strengths=(0.4, 0.7, 1.0),
    ),
    Fault(
        name="nulls in many columns",
        cause="null_burst",
        apply=_nulls,
        tuning=[WEATHER, ["temp", "seats", "dest"]],
        reported=[PLANE, ["dewp", "humid", "visib"], ["carrier", "distance", "precip", "engines"]],
        strengths=(0.4, 0.7, 1.0),
    ),
    Fault(
        name="x1000",
        cause="unit_change",
        apply=_linear(1_000.0),
        factor=1_000.0,
        tuning=["distance", "pressure"],
        reported=["seats", "wind_speed", "humid", "visib", "temp"],
    ),
    Fault(
        name="x0.001",
        cause="unit_change",
        apply=_linear(0.001),
        factor=0.001,
        tuning=["distance", "temp"],
        reported=["pressure", "humid", "wind_speed"],
    ),
    Fault(
        name="x100",
        cause="unit_change",
        apply=_linear(100.0),
        factor=100.0,
        tuning=["humid"],
        reported=["temp", "wind_speed", "distance"],
    ),
    Fault(
        name="F as C",
        cause="unit_change",
        apply=_linear(5 / 9, -160 / 9),
        factor=5 / 9,
        tuning=["temp"],
        reported=["dewp", ["temp", "dewp"]],
    ),
    Fault(
        name="F as C, rounded",
        cause="unit_change",
        apply=_rounded(5 / 9, -160 / 9),
        factor=5 / 9,
        tuning=[["temp", "dewp"]],
        reported=["temp", ["temp", "dewp"]],
    ),
    Fault(
        name="F converted twice",
        cause="unit_change",
        apply=_linear(9 / 5, 32.0),
        factor=9 / 5,
        tuning=["temp"],
        reported=["dewp"],
    ),
    Fault(
        name="mph as km/h",
        cause="unit_change",
        apply=_linear(1.609344),
        factor=1.609344,
        tuning=["wind_speed"],
        reported=[_WIND, "visib"],
    ),
    Fault(
        name="mph as knots",
        cause="unit_change",
        apply=_linear(0.868976),
        factor=0.868976,
        tuning=[_WIND],
        reported=["wind_speed"],
    ),
    Fault(
        name="miles as km",
        cause="unit_change",
        apply=_whole(1.609344),
        factor=1.609344,
        tuning=["distance"],
        reported=["distance"],
    ),
    Fault(
        name="constant column",
        cause="constant_column",
        apply=_constant,
        tuning=["temp", "carrier", "distance"],
        reported=["humid", "pressure", "dest", "wind_speed", "seats"],
    ),
    Fault(
        name="batch sent twice",
        cause="duplicated_batch",
        apply=_same_again,
        tuning=[1, 2],
        reported=[1, 3, 5],
        strengths=(0.9, 1.0),
    ),
    Fault(
        name="rows repeated",
        cause="duplicated_rows",
        apply=_rows_again,
        tuning=[""],
        reported=[""],
        strengths=(0.05, 0.3, 1.0),
    ),
    Fault(
        name="rows missing",
        cause="half_batch",
        apply=_fewer_rows,
        tuning=[""],
        reported=[""],
        strengths=(0.2, 0.35, 0.5),
    ),
    Fault(
        name="hours missing",
        cause="half_batch",
        apply=_fewer_hours,
        tuning=["end missing"],
        reported=["end missing", "begin missing"],
        strengths=(0.4, 0.5, 0.6),
    ),
    Fault(name="late", cause="late_batch", apply=_late, tuning=[""], reported=[""], strengths=(1.0, 2.0, 3.0)),
    Fault(
        name="column dropped",
        cause="schema_change",
        apply=_dropped,
        tuning=["temp", "carrier"],
        reported=["flight_id", "scheduled", "engines", "dest"],
    ),
    Fault(
        name="format changed",
        cause="schema_change",
        apply=_reformatted,
        tuning=[("temp", "comma"), ("scheduled", "day first"), ("flight", "prefix")],
        reported=[("humid", "comma"), ("distance", "unit"), ("scheduled", "epoch"), ("scheduled", "day first")],
    ),
    Fault(
        name="columns swapped",
        cause="swapped_columns",
        apply=_swapped,
        tuning=[("temp", "dewp"), ("origin", "dest"), ("distance", "seats"), ("carrier", "tailnum")],
        reported=[
            ("humid", "pressure"),
            ("carrier", "origin"),
            ("distance", "flight"),
            ("dest", "carrier"),
            ("temp", "dewp"),
        ],
    ),
    Fault(
        name="nulls filled",
        cause="default_value_fill",
        apply=_filled,
        tuning=[("plane_year", 0), ("seats", -1)],
        reported=[("engines", 0), ("manufacturer", "UNKNOWN"), ("plane_year", 9999), ("wind_gust", 0.0)],
    ),
    Fault(
        name="defaults for values",
        cause="default_value_fill",
        apply=_defaulted,
        tuning=[("temp", 0.0), ("distance", -1), ("pressure", 9999.0)],
        reported=[("humid", -999.0), ("flight", 0), ("dewp", 999.0), ("seats", 0), ("wind_speed", -1.0)],
        strengths=(0.15, 0.3, 0.6),
    ),
    Fault(
        name="sign flipped",
        cause="sign_flip",
        apply=_linear(-1.0),
        tuning=["temp", "distance"],
        reported=["humid", "wind_speed", "pressure", "temp"],
    ),
    Fault(
        name="time zone changed",
        cause="time_shift",
        apply=_moved_hours,
        tuning=[-5, 8],
        reported=[4, 5, -3, -8, 9],
    ),
    Fault(
        name="text garbled",
        cause="text_garbled",
        apply=_garbled,
        tuning=[("carrier", "lower"), ("manufacturer", "encoding"), ("tailnum", "padded"), ("manufacturer", "cut")],
        reported=[
            ("dest", "lower"),
            ("tailnum", "encoding"),
            ("origin", "padded"),
            ("carrier", "coded"),
            ("dest", "cut"),
            ("tailnum", "quoted"),
        ],
        strengths=(0.5, 1.0),
    ),
    Fault(
        name="one part broken",
        cause="partition_fault",
        apply=_one_part,
        tuning=[(("origin", "JFK"), ["temp"], "nulls"), (("carrier", "UA"), ["seats", "engines"], "nulls")],
        reported=[
            (("origin", "LGA"), ["dewp", "humid", "visib"], "nulls"),
            (("origin", "EWR"), ["tailnum"], "nulls"),
            (("carrier", "B6"), ["distance"], "x1000"),
            (("origin", "JFK"), ["wind_speed"], "nulls"),
            (("carrier", "DL"), ["seats", "engines"], "minus one"),
        ],
        strengths=(0.8, 1.0),
    ),
    Fault(
        name="values cut",
        cause="clipped_values",
        apply=_cut,
        tuning=[("flight", 2_000), ("distance", 1_500)],
        reported=[("flight", 999), ("distance", 1_000), ("seats", 255), ("distance", 2_000)],
    ),
]
