"""A trainer that speaks the protocol and does what its order says, without polars or xgboost.

The behaviour stands in the environment variable ``RATOON_TRAINER_PLAN``, or in the file that it names.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def say(kind: str, **fields: Any) -> None:
    """Write one message."""
    sys.stdout.write(json.dumps({"type": kind, **fields}) + "\n")
    sys.stdout.flush()


def plan() -> str:
    """Return what to do now."""
    text = os.environ.get("RATOON_TRAINER_PLAN", "answer")
    path = Path(text)
    return path.read_text().strip() if path.is_absolute() else text


def answer(order: dict[str, Any]) -> dict[str, Any]:
    """Return a good outcome of either kind."""
    if order.get("kind") == "evaluate":
        checked = {"candidate": order.get("candidate"), "checks": [], "features_changed": False, "notes": []}
        verdict = {"verdict": "promote", "reasons": ["better"], "report_digest": "r", "metrics": {}, "n_rows": 5}
        return {"kind": "evaluate"} | checked | verdict
    made = {"digest": "d" * 64, "size": 10, "metrics": {"auc": 0.9}, "data": {}, "code": {}, "params": {}, "refs": {}}
    return {"kind": "train", "notes": []} | made


def main() -> None:  # noqa: C901 - a list of behaviours
    """Wait for the order, then do what is planned."""
    say("ready")
    line = sys.stdin.readline()
    if not line.strip():
        raise SystemExit(0)
    order = json.loads(line)
    doing = plan()
    say("progress", phase="fit", round=1, metric=0.5)
    print("warning from a library", file=sys.stderr, flush=True)
    if doing == "answer":
        say("outcome", outcome=answer(order))
    elif doing == "slow":
        time.sleep(2)
        say("outcome", outcome=answer(order))
    elif doing == "hang":
        print(f"trainer {os.getpid()} hangs", file=sys.stderr, flush=True)
        time.sleep(600)
    elif doing == "hang-with-helper":
        print(f"trainer {os.getpid()} hangs", file=sys.stderr, flush=True)
        child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
        print(f"helper {child.pid}", file=sys.stderr, flush=True)
        time.sleep(600)
    elif doing == "refuse":
        say("error", error={"code": "RT-EMPTY", "retryable": False, "message": "no rows in the window"})
        raise SystemExit(10)
    elif doing == "orphan":
        child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
        print(f"helper {child.pid}", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    elif doing == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif doing == "exit":
        raise SystemExit(3)
    elif doing == "chatter":
        print("not json")
        print('{"no": "type"}')
        print("{broken json", flush=True)
        for number in range(50_000):
            print(f"line {number} " + "x" * 80, file=sys.stderr)
        say("outcome", outcome=answer(order))
    elif doing == "nonsense":
        say("outcome", outcome={"kind": "train", "digest": 3})


if __name__ == "__main__":
    main()
