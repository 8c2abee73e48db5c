"""Peak memory of a training against the size of its frame: the trainer process as it is, on made data in a lake.

Run ``python -m tests.benchmarks.bench_training_memory [rows]``.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
from tests.benchmarks.bench_ingest import make_contract, make_frame
from tests.benchmarks.figures import Begin, Benchmark, Figure, medians, mib

from ratoon.contracts import Contract
from ratoon.contracts.spec import Label
from ratoon.declarations import Training
from ratoon.lake import Lake
from ratoon.settings import load_settings
from ratoon.training.orders import TrainOrder
from ratoon_workers.trainer import trainer_environment

_BATCHES = 4
_ROUNDS = 30
_FEATURES = """
import polars as pl


def everything(rows: pl.LazyFrame) -> pl.LazyFrame:
    return rows
"""


def fill(folder: Path, n_rows: int) -> tuple[TrainOrder, int, int]:
    """Write made rows and labels into a lake; return the order to train on them, the frame's bytes and its rows."""
    made = make_frame(n_rows).with_row_index("row").with_columns(id=pl.col("row").cast(pl.Int64)).drop("row")
    label = ((pl.col("x2") + pl.col("x3") * pl.col("x4")) > pl.col("n1") / 500 - 1).alias("label")
    labels = made.select("id", label, known_at=pl.col("at") + timedelta(days=1))
    start, lake = datetime(2013, 1, 1, tzinfo=UTC), Lake(str(folder / "lake"))
    share = n_rows // _BATCHES
    for number in range(_BATCHES):
        lake.append_rows("bench", f"rows-{number}", made[number * share : (number + 1) * share], as_of=start)
        lake.append_labels("bench", f"labels-{number}", labels[number * share : (number + 1) * share], as_of=start)
    contract = Contract.model_validate(
        make_contract().model_dump() | {"label": Label(column="label", type="bool", delay="1d").model_dump()}  # type: ignore[arg-type]
    )
    order = TrainOrder(
        retrain_id="bench",
        model="bench",
        dataset="bench",
        project_root=str(folder),
        features="bench_features:everything",
        contract=contract,
        task="binary",
        lake_url=str(folder / "lake"),
        artifacts_url=str(folder / "artifacts"),
        rows_version=lake.rows_version("bench") or 0,
        labels_version=lake.labels_version("bench") or 0,
        as_of=made["at"].max() + timedelta(days=2),  # type: ignore[operator]
        threads=os.cpu_count() or 1,
        training=Training(rounds=_ROUNDS, early_stopping_rounds=_ROUNDS, holdout=timedelta(days=1)),
        metric="auc",
    )
    (folder / "bench_features.py").write_text(_FEATURES)
    names = [*contract.columns, "label", "_batch"]
    frame = lake.labelled("bench", contract, as_of=order.as_of).select(names).collect()
    frame.write_parquet(folder / "frame.parquet")
    return order, frame.estimated_size(), frame.height


def status(pid: int, name: str) -> int:
    """Return a field of a process's status in bytes; 0 once it has gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) << 10 for line in text.splitlines() if line.startswith(f"{name}:")), 0)


def train_in_process(order: TrainOrder, folder: Path) -> tuple[int, int]:
    """Let the trainer process train; return its resident bytes when it was ready, and the most it ever had."""
    (folder / "ratoon.toml").touch()
    env = trainer_environment(load_settings(folder), os.environ)
    command = [sys.executable, "-P", "-m", "ratoon.training.process"]
    process = subprocess.Popen(command, env=env, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["type"] == "ready"
    idle, peak, ended = status(process.pid, "VmRSS"), [0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.01):
            peak[0] = max(peak[0], status(process.pid, "VmHWM"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    process.stdin.write(order.model_dump_json() + "\n")
    process.stdin.flush()
    last = json.loads(process.stdout.readlines()[-1])
    process.wait()
    ended.set()
    watcher.join()
    if last["type"] != "outcome":
        raise SystemExit(f"the training failed: {last}")
    return idle, peak[0]


def make_matrix(folder: Path, names: list[str]) -> dict[str, int]:
    """Make the matrix alone in a process of its own."""
    command = [sys.executable, str(Path(__file__).with_name("bare_matrix.py")), str(folder / "frame.parquet"), *names]
    env = os.environ | {"OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, int] = json.loads(done.stdout)
    return found


def run(n_rows: int = 1_000_000, repeats: int = 3) -> Benchmark:
    """Measure both and return the benchmark."""
    begin = Begin()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        order, size, height = fill(folder, n_rows)
        columns = [c for c in order.contract.columns if c not in ("id", "at")]
        trained, alone = [], []
        for _ in range(repeats):
            trained.append(train_in_process(order, folder))
            alone.append(make_matrix(folder, columns))
    above = [float(peak - idle) for idle, peak in trained]
    bare = [float(one["peak"] - one["idle"]) for one in alone]
    peer = f"the frame, {mib(size)}"
    return Benchmark(
        title="Memory of a training",
        method=(
            f"{height:,} rows x 20 columns (10 floats, 5 integers, 4 texts, a time) with a label, from Delta tables of a "
            f"temporary lake; `python -m ratoon.training.process` with three fits of at most {_ROUNDS} rounds. The peak is "
            "VmHWM above what was resident when the process was ready. The frame is what the training reads "
            "(polars `estimated_size`). The bare peer reads the same frame from Parquet and makes one QuantileDMatrix of it."
        ),
        command=f"python -m tests.benchmarks.bench_training_memory {n_rows}",
        figures=[
            medians("peak of the trainer above idle", above, mib, peer=peer, ratios=[a / size for a in above]),
            medians(
                "the same against the bare peer",
                above,
                mib,
                peer=f"bare: {medians('', bare, mib).figure}",
                ratios=[a / b for a, b in zip(above, bare, strict=True)],
            ),
            medians("frame read and QuantileDMatrix, bare", bare, mib, peer=peer, ratios=[b / size for b in bare]),
            medians("trainer when ready (warm spare)", [float(idle) for idle, _ in trained], mib),
            Figure(what="size of the frame", figure=mib(size)),
        ],
        load=begin.load,
        started=begin.at,
    )


if __name__ == "__main__":
    for row in run(*(int(argument) for argument in sys.argv[1:2]), repeats=1).figures:
        print(row)
