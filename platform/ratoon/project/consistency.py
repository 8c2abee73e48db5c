"""What must hold between the declarations of a project, beyond the form of each."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import PurePath

from ratoon.declarations import DatasetSpec, Metric, ModelSpec, Source, Task
from ratoon.monitoring import Monitoring
from ratoon.policy.spec import MaxAge
from ratoon.project.documents import KeyPath
from ratoon.project.explain import suggestion

METRICS: Mapping[Task, tuple[Metric, ...]] = {
    "binary": ("auc", "logloss", "accuracy", "brier"),
    "multiclass": ("logloss", "accuracy", "brier"),
    "regression": ("rmse", "mae"),
}
"""The metrics that are defined for each task."""

LABEL_TYPES: Mapping[Task, tuple[str, ...]] = {
    "binary": ("bool", "int", "category"),
    "multiclass": ("int", "category"),
    "regression": ("float", "int"),
}
"""The types of label that each task can learn."""

_SLICED = ("category", "string", "bool", "int")

Finding = tuple[KeyPath, str]
_ZERO = timedelta()


def dataset_problems(spec: DatasetSpec, others: Mapping[str, DatasetSpec]) -> list[Finding]:
    """Return what is wrong with a dataset, as paths below its attributes and messages.

    Args:
        spec: The dataset.
        others: The datasets that were accepted before it.
    """
    return [*_label_findings(spec), *_folder_findings(spec, others), *_dataset_durations(spec)]


def model_problems(spec: ModelSpec, datasets: Mapping[str, DatasetSpec]) -> list[Finding]:
    """Return what is wrong with a model, as paths below its attributes and messages.

    Args:
        spec: The model.
        datasets: The datasets of the project that are sound.
    """
    found = [*_gate_findings(spec), *_model_durations(spec)]
    dataset = datasets.get(spec.dataset)
    if dataset is None:
        known = f"the project has {', '.join(sorted(datasets))}" if datasets else "the project has no sound dataset"
        return [*found, (("dataset",), f"no dataset {spec.dataset!r}; {known}{suggestion(spec.dataset, datasets)}")]
    found += _monitoring_findings(spec.monitoring, dataset)
    label = dataset.contract.label
    if label is None:
        found.append(
            (
                ("dataset",),
                f"dataset {spec.dataset!r} has no contract.label; declare the column that this model predicts",
            )
        )
    elif label.type not in LABEL_TYPES[spec.task]:
        allowed = " or ".join(LABEL_TYPES[spec.task])
        found.append(
            (
                ("task",),
                f"{spec.task} needs a label of type {allowed}; {spec.dataset}.{label.column} has type {label.type}",
            )
        )
    return found


def _monitoring_findings(monitoring: Monitoring, dataset: DatasetSpec) -> Iterator[Finding]:
    columns = dataset.contract.columns
    for name in monitoring.drift.columns:
        if name not in columns:
            yield (
                ("monitoring", "drift", "columns", name),
                f"dataset {dataset.name!r} has no such column{suggestion(name, columns)}",
            )
    for index, name in enumerate(monitoring.slices):
        path: KeyPath = ("monitoring", "slices", index)
        if name not in columns:
            yield path, f"dataset {dataset.name!r} has no column {name!r}{suggestion(name, columns)}"
        elif columns[name].pii:
            yield path, f"{name!r} is personal data, and the values of a slice are stored; slice by another column"
        elif columns[name].type not in _SLICED:
            yield (
                path,
                f"{name!r} is of type {columns[name].type}; a slice is a value of a column of type {' or '.join(_SLICED)}",
            )


def _label_findings(spec: DatasetSpec) -> Iterator[Finding]:
    if spec.labels is not None and spec.contract.label is None:
        yield ("labels",), "label files need contract.label: the label's column, type and delay"
    if spec.labels is None and spec.contract.label is not None:
        yield (
            ("contract", "label"),
            "labels arrive in files of their own; say where they land under labels: {path: ...}",
        )


def _folder_findings(spec: DatasetSpec, others: Mapping[str, DatasetSpec]) -> Iterator[Finding]:
    taken = {
        _place(source): f"dataset {other.name!r}"
        for other in others.values()
        for source in (other.source, other.labels)
        if source
    }
    for key, source in (("source", spec.source), ("labels", spec.labels)):
        if source is None:
            continue
        if _place(source) in taken:
            read = f"{source.path!r} with pattern {source.pattern!r} is also read by {taken[_place(source)]}"
            yield (key, "path"), f"{read}; one file belongs to one dataset"
        taken[_place(source)] = f"{key} of this dataset"


def _place(source: Source) -> tuple[PurePath, str]:
    return PurePath(source.path), source.pattern


def _dataset_durations(spec: DatasetSpec) -> Iterator[Finding]:
    if spec.retention is not None and spec.retention <= _ZERO:
        yield ("retention",), "must be longer than 0s; leave it out to keep every row"
    label = spec.contract.label
    if spec.retention is not None and label is not None and spec.retention <= label.delay:
        yield (
            ("retention",),
            "is not longer than contract.label.delay: rows would be erased before their label is known",
        )


def _gate_findings(spec: ModelSpec) -> Iterator[Finding]:
    if spec.gate.metric not in METRICS[spec.task]:
        yield (
            ("gate", "metric"),
            f"{spec.gate.metric!r} is not defined for task {spec.task}; expected {' or '.join(METRICS[spec.task])}",
        )


def _model_durations(spec: ModelSpec) -> Iterator[Finding]:
    for key, value in (("holdout", spec.training.holdout), ("timeout", spec.training.timeout)):
        if value <= _ZERO:
            yield ("training", key), "must be longer than 0s"
    for index, window in enumerate(spec.training.windows):
        if isinstance(window, timedelta) and window <= _ZERO:
            yield ("training", "windows", index), "must be longer than 0s"
    for index, trigger in enumerate(spec.policy.triggers):
        if not isinstance(trigger, MaxAge):
            continue
        if trigger.age <= _ZERO:
            yield ("policy", "triggers", index, "age"), "must be longer than 0s, or every event would retrain"
        elif trigger.age < spec.policy.guards.cooldown:
            yield (
                ("policy", "triggers", index, "age"),
                "is shorter than guards.cooldown, which would always hold it back",
            )
