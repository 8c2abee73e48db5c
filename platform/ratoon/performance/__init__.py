"""Scoring: what a model's predictions turned out to be worth, once their labels are known."""

from ratoon.scoring.performance import CohortPerformance, cohort_performance, cohort_table

__all__ = ["CohortPerformance", "cohort_performance", "cohort_table"]
