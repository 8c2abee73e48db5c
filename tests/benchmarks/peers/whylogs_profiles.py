"""whylogs: a profile of each file and its drift scores with their default thresholds."""

import os
import warnings
from pathlib import Path

import measured

os.environ["WHYLOGS_NO_ANALYTICS"] = "True"
warnings.filterwarnings("ignore")


def load() -> measured.Drift:
    import pandas as pd
    import whylogs
    from whylogs.viz.drift.column_drift_algorithms import calculate_drift_scores

    def drift(reference: Path, current: Path) -> list[str]:
        before, after = (whylogs.log(pandas=pd.read_parquet(file)).view() for file in (reference, current))
        scores = calculate_drift_scores(target_view=after, reference_view=before, with_thresholds=True)
        return [name for name, score in scores.items() if score and score["drift_category"] == "DRIFT"]

    return drift


if __name__ == "__main__":
    measured.run(load)
