"""What a failed command says, and the code that it ends with."""

import json
import sys
from typing import Any, TextIO

from ratoon.errors import RatoonError, RefusedError

OK, FAILED, USAGE, REFUSED, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes: done · failed · wrong usage · refused by a guard or gate · interrupted."""

_NEXT_STEP = {
    "RT-DECLARE": "`ratoon check` shows everything that is wrong with the project",
    "RT-CONFLICT": "somebody else was faster: look at `ratoon status`, then try again",
    "RT-BACKEND": "`ratoon doctor` tests the database, the broker and the stores",
    "RT-LEDGER": "`ratoon doctor` tests the ledger's invariants",
    "RT-STACK": "`ratoon doctor` tests what the stack needs",
}


def exit_code(error: RatoonError) -> int:
    """Return 3 for a refusal, so that a script can tell it from a failure (1)."""
    return REFUSED if isinstance(error, RefusedError) else FAILED


def report(error: RatoonError, *, as_json: bool, stream: TextIO | None = None) -> int:
    """Write an error and its next step to standard error, and return the exit code."""
    next_step = _NEXT_STEP.get(error.code, "")
    return _write(error.to_record(), next_step, exit_code(error), as_json=as_json, stream=stream)


def report_usage(message: str, *, as_json: bool, stream: TextIO | None = None) -> int:
    """Write what is wrong with a command line to standard error, and return 2."""
    record = {"code": "RT-USAGE", "retryable": False, "message": message}
    return _write(
        record,
        "`ratoon --help` lists the commands, `ratoon COMMAND --help` the options",
        USAGE,
        as_json=as_json,
        stream=stream,
    )


def _write(record: dict[str, Any], next_step: str, code: int, *, as_json: bool, stream: TextIO | None) -> int:
    target = stream or sys.stderr
    if as_json:
        target.write(
            json.dumps({"error": record, "next": next_step or None, "exit_code": code}, ensure_ascii=False) + "\n"
        )
    else:
        target.write(f"{record['code']} {record['message']}\n" + (f"  next: {next_step}\n" if next_step else ""))
    target.flush()
    return code
