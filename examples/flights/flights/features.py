"""What the model looks at: known when the week's schedule is published."""

import polars as pl

PLAIN = (
    "carrier",
    "origin",
    "dest",
    "manufacturer",
    "distance",
    "seats",
    "engines",
    "temp",
    "dewp",
    "humid",
    "wind_dir",
    "wind_speed",
    "wind_gust",
    "precip",
    "pressure",
    "visib",
)


def flight_features(flights: pl.LazyFrame) -> pl.LazyFrame:
    """Return one row of features per flight, in the order of the input."""
    local = pl.col("scheduled").dt.convert_time_zone("America/New_York")
    return flights.select(
        *PLAIN,
        minute_of_day=local.dt.hour().cast(pl.Int32) * 60 + local.dt.minute(),
        weekday=local.dt.weekday(),
        plane_age=local.dt.year() - pl.col("plane_year"),
    )
