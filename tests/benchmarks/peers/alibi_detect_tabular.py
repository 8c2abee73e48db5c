"""alibi-detect's TabularDrift with its defaults: KS and chi-squared tests, Bonferroni's correction.

It takes numbers only and never flags a column that holds a NaN, so categories are numbered, and a missing value is
the reference's median.
"""

import os
import warnings
from pathlib import Path

import measured

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
warnings.filterwarnings("ignore")


def load() -> measured.Drift:
    import numpy as np
    import pandas as pd
    from alibi_detect.cd import TabularDrift

    def drift(reference: Path, current: Path) -> list[str]:
        before, after = pd.read_parquet(reference), pd.read_parquet(current)
        names, numbers = list(before.columns), {}
        for index, name in enumerate(names):
            if pd.api.types.is_numeric_dtype(before[name]):
                usual = before[name].median()
                before[name], after[name] = before[name].fillna(usual), after[name].fillna(usual)
            else:
                known = sorted({*before[name].dropna(), *after[name].dropna()})
                numbers[index] = len(known)
                for frame in (before, after):
                    frame[name] = pd.Categorical(frame[name], categories=known).codes
        test = TabularDrift(before.to_numpy(dtype=np.float64), p_val=0.05, categories_per_feature=numbers)
        found = test.predict(after.to_numpy(dtype=np.float64), drift_type="feature")["data"]["is_drift"]
        return [name for name, is_drift in zip(names, found, strict=True) if is_drift]

    return drift


if __name__ == "__main__":
    measured.run(load)
