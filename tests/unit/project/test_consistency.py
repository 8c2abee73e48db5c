"""What the check knows about tasks agrees with what evaluation can measure."""

from ratoon.evaluation.metrics import METRICS_OF_TASK
from ratoon.project.consistency import LABEL_TYPES, METRICS


def test_the_check_accepts_exactly_the_metrics_that_evaluation_defines() -> None:
    assert {task: set(metrics) for task, metrics in METRICS.items()} == {
        task: set(metrics) for task, metrics in METRICS_OF_TASK.items()
    }
    assert set(LABEL_TYPES) == set(METRICS)
