"""NannyML's CBPE on its own data, run by NannyML's own Python: ``python nannyml_cbpe.py CHUNK_ROWS REPEATS``.

Prints one line of JSON: the folder of the data set that NannyML ships, the seconds of each repeat (wall and CPU; fit
and estimate apart, without import and reading), and per chunk its rows (first, last) and the estimated and realised
metrics.
"""

import json
import os
import sys
import time
from pathlib import Path

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"

import nannyml as nml
import numpy as np
import pandas as pd

METRICS = ["accuracy", "roc_auc", "f1"]


def timed(work):
    """Return what some work gives, and its seconds: wall and CPU."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = work()
    return found, [time.perf_counter() - wall, time.process_time() - cpu]


def main(chunk_rows: int, repeats: int) -> dict:
    """Run CBPE as its tutorial does."""
    folder = Path(nml.__file__).parent / "datasets" / "data"
    reference = pd.read_parquet(folder / "employment_MA_reference.pq")
    analysis = pd.read_parquet(folder / "employment_MA_analysis.pq")
    names = {"y_true": "employed", "y_pred": "prediction", "y_pred_proba": "predicted_probability"}
    fits, estimates = [], []
    for _ in range(repeats):
        cbpe = nml.CBPE(**names, metrics=METRICS, problem_type="classification_binary", chunk_size=chunk_rows)
        _, spent = timed(lambda cbpe=cbpe: cbpe.fit(reference))
        fits.append(spent)
        result, spent = timed(lambda cbpe=cbpe: cbpe.estimate(analysis))
        estimates.append(spent)
    table = result.filter(period="analysis").to_df()
    spans = table["chunk"][["start_index", "end_index"]].to_numpy().tolist()
    estimated = {name: table[name]["value"].to_numpy(dtype=np.float64).tolist() for name in METRICS}
    errors = {name: table[name]["sampling_error"].to_numpy(dtype=np.float64).tolist() for name in METRICS}
    return {
        "folder": str(folder),
        "fit": fits,
        "estimate": estimates,
        "chunks": spans,
        "estimated": estimated,
        "sampling_error": errors,
        "calibrated": bool(cbpe.needs_calibration),
    }


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]))))
