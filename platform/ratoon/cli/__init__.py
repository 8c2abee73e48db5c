"""The command line ``ratoon``. Importing it, and asking for help, loads no data library, orchestrator or database."""

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 ok, 1 failed, 2 usage, 3 refused by a guard or gate.

    Args:
        arguments: The words after ``ratoon``; those of the process unless given.
    """
    from cyclopts import CycloptsError

    from ratoon.cli.commands import build_app
    from ratoon.cli.failure import INTERRUPTED, OK, report, report_usage
    from ratoon.errors import RatoonError

    words = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in words
    try:
        result = build_app()(words, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as exc:
        return report_usage(str(exc), as_json=as_json)
    except RatoonError as exc:
        return report(exc, as_json=as_json)
    except KeyboardInterrupt:
        return INTERRUPTED
    return result if isinstance(result, int) else OK
