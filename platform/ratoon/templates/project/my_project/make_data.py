"""Make deliveries, week by week, and put them where the project's dataset looks for files."""

import argparse
import os
import random
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

WEEK = timedelta(days=7)
ROWS_PER_WEEK = 600
HISTORY_WEEKS = 26


def make_week(start: datetime, *, shift: bool, seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the deliveries of one week and, one row each, whether they were late.

    Args:
        start: First instant of the week.
        shift: Whether parcels are heavier and vans slower than before.
        seed: The same seed gives the same week.
    """
    rng = random.Random(seed)
    rows, labels = [], []
    for number in range(ROWS_PER_WEEK):
        ordered_at = start + WEEK * (number / ROWS_PER_WEEK)
        carrier = rng.choice(["bike", "van", "van", "truck"])
        distance = rng.uniform(0.5, 12.0 if carrier == "bike" else 90.0)
        is_heavy = shift and rng.random() < 0.4
        weight = rng.lognormvariate(2.2 if is_heavy else 0.8, 0.3 if is_heavy else 0.6)
        hurry = 1.5 if 16 <= ordered_at.hour <= 19 else 0.0
        slow = 2.0 if shift and carrier == "van" else 0.0
        is_late = rng.random() < 1 / (1 + 2.718281828 ** -(distance / 25 + weight / 8 + hurry + slow - 3.2))
        key = f"{start:%Y%m%d}-{number:05d}"
        rows.append((key, ordered_at, distance, rng.randint(1, 6), None if rng.random() < 0.03 else weight, carrier))
        labels.append((key, is_late, ordered_at + timedelta(days=1)))
    columns = ["delivery_id", "ordered_at", "distance_km", "items", "weight_kg", "carrier"]
    return (
        pl.DataFrame(rows, schema=columns, orient="row"),
        pl.DataFrame(labels, schema=["delivery_id", "late", "known_at"], orient="row"),
    )


def next_start(inbox: Path, now: datetime) -> datetime:
    """Return the week after the newest one that was made, or the first of the history."""
    made = [found[1] for path in inbox.rglob("*.parquet") if (found := re.search(r"deliveries-(\d{8})", path.name))]
    if made:
        return datetime.strptime(max(made), "%Y%m%d").replace(tzinfo=UTC) + WEEK
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - HISTORY_WEEKS * WEEK


def main() -> None:
    """Write weeks of deliveries and their labels into the inbox."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weeks", type=int, default=1)
    parser.add_argument("--shift", action="store_true", help="heavier parcels and slower vans from here on")
    arguments = parser.parse_args()
    home = Path(os.environ.get("RATOON_HOME", Path(__file__).parents[1] / ".ratoon"))
    inbox = home / "inbox" / "deliveries"
    inbox.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    for _ in range(arguments.weeks):
        start = next_start(inbox, now)
        if start + WEEK + timedelta(days=1) > now:
            raise SystemExit("The history has reached today; delete .ratoon/ to start over.")
        deliveries, labels = make_week(start, shift=arguments.shift, seed=start.toordinal())
        for name, frame in (("deliveries", deliveries), ("labels", labels)):
            part = inbox / f"{name}-{start:%Y%m%d}.parquet.part"
            frame.write_parquet(part)
            part.rename(part.with_suffix(""))
        print(f"{start:%Y-%m-%d}: {deliveries.height} deliveries, {labels['late'].sum()} late")


if __name__ == "__main__":
    main()
