"""River's detectors over streams of errors, run by river's own Python: ``python river_detectors.py STREAMS.npz``.

Each array of the file has shape (runs, weeks, rows) and holds a 0/1 error per row. Each detector sees every row in
order, with its default settings; ADWIN and Page-Hinkley are run over weekly means too. Prints one line of JSON:
``{stream: {detector: [[weeks with an alarm], ... per run]}}`` and ``seconds`` per detector. An alarm counts only in a
week that is worse than the mean of the weeks before: improvements are forgiven to all.
"""

import json
import sys
import time

import numpy as np
from river import drift
from river.drift import binary

ROWS = {
    "ADWIN, rows": drift.ADWIN,
    "Page-Hinkley, rows": drift.PageHinkley,
    "DDM, rows": binary.DDM,
    "HDDM_A, rows": binary.HDDMA,
    "HDDM_W, rows": binary.HDDMW,
}
WEEKS = {"ADWIN, weekly means": drift.ADWIN, "Page-Hinkley, weekly means": drift.PageHinkley}


def alarms(detector, weeks, *, by_row: bool) -> list[int]:
    """Return the weeks in which a detector saw a worsening."""
    means, found = weeks.mean(axis=1), []
    for week, errors in enumerate(weeks):
        values = errors.tolist() if by_row else [float(means[week])]
        seen = False
        for value in values:
            detector.update(value)
            seen = seen or detector.drift_detected
        if seen and week and means[week] > means[:week].mean():
            found.append(week)
    return found


def main(path: str) -> dict:
    """Run every detector over every stream."""
    streams, answer, seconds = np.load(path), {}, {}
    for name in streams.files:
        answer[name] = {}
        for what, make in (ROWS | WEEKS).items():
            begin = time.process_time()
            answer[name][what] = [alarms(make(), run, by_row=what in ROWS) for run in streams[name]]
            seconds[what] = seconds.get(what, 0.0) + time.process_time() - begin
    return {"alarms": answer, "seconds": seconds}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
