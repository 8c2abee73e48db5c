"""Ratoon from two raw files: bins and counts of the reference, counts of the current file, verdict."""

import json
from pathlib import Path

import measured


def load() -> measured.Drift:
    import polars as pl

    from ratoon.drift import compare
    from ratoon.profiles import make_reference, profile

    def drift(reference: Path, current: Path) -> list[str]:
        made = make_reference(pl.scan_parquet(reference))
        report = compare(made.profile, profile(pl.scan_parquet(current), made.binning))
        if not report.judged:
            raise SystemExit(json.dumps(report.not_judged_reason))
        return report.drifted

    return drift


if __name__ == "__main__":
    measured.run(load)
