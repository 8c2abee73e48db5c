"""The command doctor: tests what Ratoon needs, and names the command that repairs it."""

from ratoon.cli.failure import FAILED, OK
from ratoon.cli.options import DEFAULTS, Options
from ratoon.cli.output import Table, answer


def doctor(*, options: Options = DEFAULTS) -> int:
    """Test what Ratoon needs, and name the command that repairs it.

    Fails with exit code 1 where a test fails; a warning alone does not.
    """
    from ratoon.cli.probes import examine

    findings = list(examine(options))
    failed = sum(finding.status == "fail" for finding in findings)
    rows = [[finding.status, finding.name, finding.cause, finding.fix] for finding in findings]
    last = f"{failed} of {len(findings)} tests failed" if failed else f"{len(findings)} tests, none failed"
    answer(
        {"ok": not failed, "tests": findings},
        [Table(columns=["", "test", "found", "repair"], rows=rows), last],
        as_json=options.json,
    )
    return FAILED if failed else OK
