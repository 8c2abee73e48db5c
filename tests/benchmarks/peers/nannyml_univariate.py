"""NannyML's UnivariateDriftCalculator with its defaults: Jensen-Shannon, ten chunks on each side.

A column counts as flagged when most of the current file's chunks alert. The last chunk holds what ten equal ones
leave over, and alerts by itself.
"""

import os
import warnings
from pathlib import Path

import measured

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"
warnings.filterwarnings("ignore")


def load() -> measured.Drift:
    import nannyml
    import pandas as pd

    def drift(reference: Path, current: Path) -> list[str]:
        before, after = pd.read_parquet(reference), pd.read_parquet(current)
        names = list(before.columns)
        found = nannyml.UnivariateDriftCalculator(column_names=names).fit(before).calculate(after)
        table = found.filter(period="analysis").to_df()
        return [name for name in names if table[name]["jensen_shannon"]["alert"].mean() > 0.5]

    return drift


if __name__ == "__main__":
    measured.run(load)
