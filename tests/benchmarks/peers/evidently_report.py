"""Evidently's DataDriftPreset with its defaults."""

from pathlib import Path

import measured


def load() -> measured.Drift:
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    def drift(reference: Path, current: Path) -> list[str]:
        before, after = pd.read_parquet(reference), pd.read_parquet(current)
        texts = [name for name in before.columns if not pd.api.types.is_numeric_dtype(before[name])]
        definition = DataDefinition(
            numerical_columns=[name for name in before.columns if name not in texts], categorical_columns=texts
        )
        made = [Dataset.from_pandas(frame, data_definition=definition) for frame in (after, before)]
        report = Report([DataDriftPreset()]).run(*made)
        return [found["config"]["column"] for found in report.dict()["metrics"] if is_drift(found)]

    return drift


def is_drift(found: dict) -> bool:
    """Return whether a metric of the report is a column's drift: a p-value below, or a distance above its threshold."""
    config = found["config"]
    if not config["type"].endswith("ValueDrift"):
        return False
    value, threshold = float(found["value"]), config["threshold"]
    return value < threshold if config["method"].endswith("p_value") else value >= threshold


if __name__ == "__main__":
    measured.run(load)
