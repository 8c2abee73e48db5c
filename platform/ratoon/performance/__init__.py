"""Performance: what a model's predictions turned out to be worth, and what they may be worth before labels are known."""

from ratoon.performance.calibration import Calibration, calibrate
from ratoon.performance.changepoint import (
    ChangeSettings,
    ChangeState,
    ChangeVerdict,
    CohortLoss,
    cohort_loss,
    judge_change,
    observe,
    restart,
)
from ratoon.performance.cohorts import CohortPerformance, cohort_performance, cohort_table, score_sums
from ratoon.performance.estimates import Estimate, EstimateHistory, check, make_estimate
from ratoon.performance.estimation import (
    calibrate_histogram,
    density_ratio,
    estimate,
    estimate_all,
    estimate_from_histograms,
    estimate_histogram,
)
from ratoon.performance.histograms import ScoreHistogram, ScoreSums, merge_histograms, score_histogram
from ratoon.performance.maturity import CohortDelays, Forecast, Maturity, cohort_delays, enough_by, learn_maturity
from ratoon.performance.slices import SliceReport, SliceSettings, judge_slices, merge_slices, slice_sums
from ratoon.performance.sums import Bounded, ClassSums, ErrorSums

__all__ = [
    "Bounded",
    "Calibration",
    "ChangeSettings",
    "ChangeState",
    "ChangeVerdict",
    "ClassSums",
    "CohortDelays",
    "CohortLoss",
    "CohortPerformance",
    "ErrorSums",
    "Estimate",
    "EstimateHistory",
    "Forecast",
    "Maturity",
    "ScoreHistogram",
    "ScoreSums",
    "SliceReport",
    "SliceSettings",
    "calibrate",
    "calibrate_histogram",
    "check",
    "cohort_delays",
    "cohort_loss",
    "cohort_performance",
    "cohort_table",
    "density_ratio",
    "enough_by",
    "estimate",
    "estimate_all",
    "estimate_from_histograms",
    "estimate_histogram",
    "judge_change",
    "judge_slices",
    "learn_maturity",
    "make_estimate",
    "merge_histograms",
    "merge_slices",
    "observe",
    "restart",
    "score_histogram",
    "score_sums",
    "slice_sums",
]
