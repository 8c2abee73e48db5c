"""Ratoon against a stored reference: its first argument is the folder that ``store`` wrote."""

import json
from pathlib import Path

import measured


def store(reference: Path, folder: Path) -> None:
    """Make the bins and the profile of a reference file and store both, as the loop does once per champion."""
    import polars as pl

    from ratoon.profiles import encode, make_reference

    made = make_reference(pl.scan_parquet(reference))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "binning.json").write_text(made.binning.to_json())
    (folder / "profile.bin").write_bytes(encode(made.profile))


def load() -> measured.Drift:
    import polars as pl

    from ratoon.drift import compare
    from ratoon.profiles import Binning, decode, profile

    def drift(stored: Path, current: Path) -> list[str]:
        binning = Binning.from_json((stored / "binning.json").read_text())
        report = compare(decode((stored / "profile.bin").read_bytes()), profile(pl.scan_parquet(current), binning))
        if not report.judged:
            raise SystemExit(json.dumps(report.not_judged_reason))
        return report.drifted

    return drift


if __name__ == "__main__":
    measured.run(load)
