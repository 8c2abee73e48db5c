"""What a drift measurement and an append cost after 10, 1,000 and 10,000 stored batches.

Run ``python -m tests.benchmarks.bench_history [quick]``. Each history is a lake and a ledger of its own; the drift
measurement is the loop's (:func:`ratoon.loop.references.measure_drift`), with its stored reference.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from deltalake import DeltaTable
from tests.benchmarks.figures import Begin, Benchmark, Figure, medians

from ratoon.bootstrap import Ratoon
from ratoon.contracts import Contract
from ratoon.declarations import DatasetSpec, ModelSpec, Project
from ratoon.lake import Lake
from ratoon.lake.lake import ORIGIN_SCHEMA
from ratoon.ledger import Ledger
from ratoon.ledger.records import Version
from ratoon.ledger.tables import BATCH, PROFILE
from ratoon.loop.references import measure_drift
from ratoon.profiles import PROFILE_SCHEMA, Binning, make_binning, profile
from ratoon.settings import load_settings

HISTORIES = (10, 1_000, 10_000)
_DATASET, _MODEL = "bench", "watched"
_START = datetime(2013, 1, 1, tzinfo=UTC)
_BATCH_ROWS = 400
_LEARNED = 5
_SINGLE = 5
"""Newest batches of each history that are appended one by one, as the loop does; the rest comes 50 at a time."""
_AT_ONCE = 50
_KINDS = 20
"""Different profiles, which repeat."""


def make_contract() -> Contract:
    """Return a contract of 20 columns: a key, a time, 14 numbers, 4 categories."""
    columns: dict[str, dict[str, object]] = {"id": {"type": "int"}, "at": {"type": "datetime"}}
    columns |= {f"x{n:02}": {"type": "float"} for n in range(14)} | {f"s{n}": {"type": "category"} for n in range(4)}
    return Contract.model_validate({"columns": columns, "entity_key": ["id"], "event_time": "at"})


def make_rows(n_rows: int, seed: int) -> pl.DataFrame:
    """Return rows of the contract; no seed differs from another but by chance."""
    random = np.random.default_rng(seed)
    numbers = {f"x{n:02}": random.normal(size=n_rows) for n in range(14)}
    texts = {f"s{n}": random.choice([f"value {k}" for k in range(12)], n_rows) for n in range(4)}
    at = _START + pl.duration(seconds=pl.col("id"))
    return pl.DataFrame({"id": np.arange(n_rows) + seed * n_rows, **numbers, **texts}).with_columns(at=at)


def taken_at(number: int) -> datetime:
    """Return the as-of time of a batch: one an hour."""
    return _START + timedelta(hours=number)


@dataclass(frozen=True, slots=True)
class History:
    """An application with so many stored batches, and a champion that learned from the first five."""

    app: Ratoon
    n_batches: int
    binning: Binning
    profiles: list[pl.DataFrame]
    champion: Version

    def append(self, number: int) -> None:
        """Append one more batch's profile, as the loop does."""
        self.app.lake.append_profiles(
            _DATASET,
            f"batch-{number:06}",
            self.profiles[number % _KINDS],
            as_of=taken_at(number),
            binning=self.binning.digest,
        )

    def measure(self) -> None:
        """Measure the drift of the newest 2,000 rows against the stored reference."""
        now = taken_at(self.n_batches)
        report = measure_drift(self.app, self.app.model(_MODEL), self.champion, event_id="bench", as_of=now)
        if report is None or not report.judged or report.n_rows_current != 2_000:
            raise SystemExit(f"the window of {self.n_batches} batches was not judged: {report}")

    def read_window(self) -> None:
        """Read the window's five profiles from the lake, and nothing else of the measurement."""
        since = taken_at(self.n_batches - 5)
        found = self.app.lake.scan_profiles(
            _DATASET, schema=PROFILE_SCHEMA, since=since, binning=self.binning.digest
        ).collect()
        if found["_batch"].n_unique() != 5:
            raise SystemExit(f"the window of {self.n_batches} batches holds {found['_batch'].n_unique()}")

    def read_all(self) -> None:
        """Read every stored profile, as the measurement did before it had a window."""
        self.app.lake.scan_profiles(_DATASET, schema=PROFILE_SCHEMA).collect()


def make_history(folder: Path, n_batches: int) -> History:
    """Fill a lake and a ledger."""
    folder.mkdir()
    (folder / "ratoon.toml").touch()
    contract = make_contract()
    binning = make_binning(make_rows(5_000, 99), contract)
    profiles = [profile(make_rows(_BATCH_ROWS, kind), binning) for kind in range(_KINDS)]
    app = _application(folder, contract)
    app.artifacts.put(binning.to_json().encode())
    history = History(app, n_batches, binning, profiles, _champion(app))
    _store_profiles(history)
    _record(history)
    history.measure()
    return history


def _application(folder: Path, contract: Contract) -> Ratoon:
    settings = load_settings(folder)
    dataset = DatasetSpec.model_validate({"name": _DATASET, "source": {"path": "x"}, "contract": contract})
    model = ModelSpec.model_validate(
        {
            "name": _MODEL,
            "dataset": _DATASET,
            "features": "features:all",
            "gate": {"metric": "auc"},
            "policy": {"triggers": [{"kind": "new_rows", "rows": 1_000}]},
        }
    )
    ledger = Ledger(f"sqlite:///{folder / 'ledger.db'}")
    ledger.migrate()
    return Ratoon(
        settings=settings,
        project=Project(root=folder, datasets={_DATASET: dataset}, models={_MODEL: model}),
        problems=(),
        ledger=ledger,
        publish=_publish_nothing,
        clock=lambda: _START,
    )


def _publish_nothing(message: object) -> None:
    raise SystemExit(f"a drift measurement must not send {message}")


def _champion(app: Ratoon) -> Version:
    return Version(
        model=_MODEL,
        version=1,
        retrain_id="retrain",
        artifact_digest="a" * 64,
        refs={},
        data={"dataset": _DATASET, "batches": [f"batch-{number:06}" for number in range(_LEARNED)]},
        data_until=taken_at(_LEARNED - 1),
        created_at=taken_at(_LEARNED),
        promoted_at=taken_at(_LEARNED),
        metrics={},
        report_digest=app.artifacts.put(b"{}"),
        is_champion=True,
    )


def _store_profiles(history: History) -> None:
    """Store all but the newest batches 50 a commit, and those one by one."""
    table = history.app.lake._table("profiles", _DATASET)
    for start in range(0, history.n_batches - _SINGLE, _AT_ONCE):
        numbers = range(start, min(start + _AT_ONCE, history.n_batches - _SINGLE))
        origin = [
            history.profiles[number % _KINDS].with_columns(
                pl.lit(f"batch-{number:06}").alias("_batch"),
                pl.lit(taken_at(number), ORIGIN_SCHEMA["_as_of"]).alias("_as_of"),
            )
            for number in numbers
        ]
        table.append(pl.concat(origin), f"many-{start}", found_by=pl.col("_batch") == "none of them")
    table.tidy()
    for number in range(history.n_batches - _SINGLE, history.n_batches):
        history.append(number)
    # The log is read from its newest checkpoint on, and each tenth commit makes one: all start from the same point.
    DeltaTable(table.url).create_checkpoint()


def _record(history: History) -> None:
    batches, profiles = [], []
    for number in range(history.n_batches):
        at, name = taken_at(number), f"batch-{number:06}"
        batches.append(_batch_row(name, at))
        profiles.append(
            {
                "batch_id": name,
                "dataset": _DATASET,
                "as_of": at,
                "binning": history.binning.digest,
                "facts": {},
                "diagnosis": None,
                "recorded_at": at,
            }
        )
    with history.app.ledger.engine.begin() as connection:
        connection.execute(BATCH.insert(), batches)
        connection.execute(PROFILE.insert(), profiles)


def _batch_row(name: str, at: datetime) -> dict[str, Any]:
    return {
        "batch_id": name,
        "dataset": _DATASET,
        "role": "rows",
        "digest": name,
        "source_uri": f"{name}.parquet",
        "state": "INGESTED",
        "as_of": at,
        "owner": "bench",
        "fence": 1,
        "rows_in": _BATCH_ROWS,
        "rows_kept": _BATCH_ROWS,
        "rows_quarantined": 0,
        "event_time_min": at,
        "event_time_max": at,
        "claimed_at": at,
        "finished_at": at,
    }


def timed(work: Callable[[], None]) -> float:
    """Return the seconds of a call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def in_turn(histories: Sequence[History], work: Callable[[History], None], repeats: int) -> dict[int, list[float]]:
    """Time a call on each history in turn, so that the machine's other load falls on all of them."""
    taken: dict[int, list[float]] = {one.n_batches: [] for one in histories}
    for one in histories:
        work(one)
    for _ in range(repeats):
        for one in histories:
            taken[one.n_batches].append(timed(lambda one=one: work(one)))  # type: ignore[misc]
    return taken


def ms(value: float) -> str:
    """Show seconds as milliseconds."""
    return f"{value * 1_000:,.1f} ms"


def rows_of(what: str, taken: dict[int, list[float]], peer: dict[int, list[float]] | None = None) -> list[Figure]:
    """Return a row per history, beside the smallest history; the ratio is of the medians."""
    least = statistics.median(taken[min(taken)])
    found = []
    for n_batches, values in taken.items():
        beside = "-" if peer is None else f"reading every profile: {ms(statistics.median(peer[n_batches]))}"
        ratio = statistics.median(values) / least
        found.append(medians(f"{what}, {n_batches:,} stored batches", values, ms, peer=beside, ratios=[ratio]))
    return found


def commits(folder: Path, history: History, n_commits: int) -> list[float]:
    """Append so many batches one by one to a new lake; return the seconds of each."""
    lake = Lake(str(folder))
    taken = []
    for number in range(n_commits):
        start = time.perf_counter()
        lake.append_profiles(
            _DATASET,
            f"batch-{number:06}",
            history.profiles[number % _KINDS],
            as_of=taken_at(number),
            binning=history.binning.digest,
        )
        taken.append(time.perf_counter() - start)
    return taken


def run(histories: Sequence[int] = HISTORIES, repeats: int = 40, n_commits: int = 2_000) -> Benchmark:
    """Measure and return the benchmark."""
    begin = Begin()
    with tempfile.TemporaryDirectory() as name:
        made = [make_history(Path(name) / str(n_batches), n_batches) for n_batches in histories]
        drift = in_turn(made, History.measure, repeats)
        window = in_turn(made, History.read_window, repeats)
        everything = in_turn(made, History.read_all, 5)
        numbers = {one.n_batches: iter(range(one.n_batches, one.n_batches + _AT_ONCE)) for one in made}
        appends = in_turn(made, lambda one: one.append(next(numbers[one.n_batches])), _AT_ONCE - 10)
        row = commits(Path(name) / "commits", made[0], n_commits)
    share = max(50, n_commits // 10)
    first, last = row[:share], row[-share:]
    return Benchmark(
        title="Cost against history",
        method=(
            f"One lake and one SQLite ledger per history, {_BATCH_ROWS} rows x 20 columns a batch, one batch an hour. The drift "
            "measurement is the loop's: the newest 2,000 rows (five batches) against the champion's stored reference. "
            f"The histories are written {_AT_ONCE} batches a commit, and the newest {_SINGLE} one by one; what many commits cost is the "
            f"last two rows: {n_commits:,} appends without a pause, where the log is longest, since what it drops must be five "
            "minutes old. All histories are measured in turn; ratios are of the medians, to the smallest history."
        ),
        command="python -m tests.benchmarks.bench_history",
        figures=[
            *rows_of("drift measurement (within 1.10)", drift, everything),
            *rows_of("reading the window from the lake (within 1.10)", window),
            *rows_of("appending a profile", appends),
            medians(f"appending a profile, the first {share}", first, ms),
            medians(
                f"appending a profile, the last {share} of {n_commits:,} in a row",
                last,
                ms,
                ratios=[statistics.median(last) / statistics.median(first)],
            ),
        ],
        load=begin.load,
        started=begin.at,
    )


def main(arguments: list[str]) -> None:
    """Run and print what came out."""
    done = run((10, 200, 2_000), 20, 200) if arguments == ["quick"] else run()
    for row in done.figures:
        print(f"{row.what}: {row.figure} ({row.spread}), {row.peer}, ratio {row.ratio}")
    print(f"load at start {done.load:.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
