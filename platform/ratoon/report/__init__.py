"""One model's monitoring as a page: values in, text out. Reads nothing and writes nothing."""

from ratoon.report.page import render
from ratoon.report.power import PowerPoint, power_picture, standalone
from ratoon.report.sparklines import block_sparkline
from ratoon.report.trials import self_test_picture
from ratoon.report.values import ReportData

__all__ = ["PowerPoint", "ReportData", "block_sparkline", "power_picture", "render", "self_test_picture", "standalone"]
