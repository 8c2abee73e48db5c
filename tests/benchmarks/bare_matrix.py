"""One QuantileDMatrix of a frame, and what it takes: run as ``python bare_matrix.py FRAME.parquet FEATURE...``.

Prints one line of JSON: bytes resident after the imports, the most that was resident with the frame read, and the
most with the matrix made beside it.
"""

import json
import sys
from pathlib import Path

import polars as pl
import xgboost


def status(field: str) -> int:
    """Return a field of this process's status in bytes."""
    text = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) << 10 for line in text.splitlines() if line.startswith(f"{field}:"))


def main(path: str, names: list[str]) -> dict[str, int]:
    """Read the frame, make the matrix, and return the memory at each step."""
    idle = status("VmRSS")
    frame = pl.read_parquet(path)
    read = status("VmHWM")
    features = frame.select(
        pl.col(name).cast(pl.Enum(frame[name].drop_nulls().unique().sort()))
        if dtype == pl.String
        else pl.col(name).cast(pl.Float32)
        for name, dtype in frame.select(names).schema.items()
    ).rechunk()
    label = frame["label"].cast(pl.Float32).to_numpy()
    matrix = xgboost.QuantileDMatrix(features, label=label, enable_categorical=True)
    assert matrix.num_row() == frame.height
    return {"idle": idle, "read": read, "peak": status("VmHWM")}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2:])))
