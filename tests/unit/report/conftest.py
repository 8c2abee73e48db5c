"""What the report's tests share."""

from collections.abc import Callable

import pytest
from tests.unit.report.made import made_report

from ratoon.report import ReportData


@pytest.fixture(scope="session")
def make_data() -> Callable[..., ReportData]:
    """Return the maker of report data."""
    return made_report
