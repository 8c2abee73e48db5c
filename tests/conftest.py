"""What every test gets: a clean environment, and in CI no skipped test."""

import os

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Keep the caller's own Ratoon and Dagster out of the tests."""
    for name in list(os.environ):
        if (name.startswith("RATOON_") and not name.startswith("RATOON_TEST_")) or name == "DAGSTER_HOME":
            del os.environ[name]
    os.environ["DAGSTER_DISABLE_TELEMETRY"] = "1"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail where nothing may be skipped and something was."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter is not None else []
    if os.environ.get("RATOON_TEST_NO_SKIP") and skipped and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter.write_line(f"{len(skipped)} tests were skipped; RATOON_TEST_NO_SKIP allows none", red=True)
