"""What the graph shows: the assets of a dataset and of a model, their order, words and kinds. Pure; runs nothing.

::

    [ds, batches] → [ds, dataset] → [ds, profile]
                         │                └──────────────────────────────► [m, drift]
                         ├─► [m, training_set] → [m, candidate] → [m, evaluation] ─gate→ [m, champion]
                         └────────────────────────────────────────────────► [m, predictions] ◄┘ → [m, performance]

Beside them stands ``[m, reference]``, which nothing materializes: it carries the self-test of the drift settings.
"""

from pathlib import Path

import dagster as dg

from ratoon.declarations import DatasetSpec, ModelSpec
from ratoon.identity import digest_file, digest_json
from ratoon.project.features import feature_file

DATASET_STAGES = ("batches", "dataset", "profile")
"""Stages of a dataset, in the order of its run."""

RETRAIN_STAGES = ("training_set", "candidate", "evaluation", "champion")
"""Stages of a model that attach to one retrain in the ledger."""

MONITOR_STAGES = ("predictions", "performance", "drift")
"""Stages of a model that one monitoring run refreshes."""

CONTRACT_CHECK = "contract"
FAULT_CHECK = "data_fault"
DRIFT_CHECK = "drift"
SELFTEST_CHECK = "drift_selftest"
GATE_CHECK = "promotion_gate"

JOB = "ratoon"
"""The one job: what a run does is its asset selection."""

_VERSION_LENGTH = 12


def dataset_keys(dataset: str) -> list[dg.AssetKey]:
    """Return the asset keys of a dataset."""
    return [dg.AssetKey([dataset, stage]) for stage in DATASET_STAGES]


def retrain_keys(model: str) -> list[dg.AssetKey]:
    """Return the asset keys that a retrain's run materializes."""
    return [dg.AssetKey([model, stage]) for stage in RETRAIN_STAGES]


def monitor_keys(model: str) -> list[dg.AssetKey]:
    """Return the asset keys that a monitoring run materializes."""
    return [dg.AssetKey([model, stage]) for stage in MONITOR_STAGES]


def dataset_specs(spec: DatasetSpec) -> list[dg.AssetSpec]:
    """Return the three asset specs of a dataset; their code version is the contract's digest."""
    text = {
        "batches": f"Files that landed in `{spec.source.path}`, each taken once by the digest of its content.",
        "dataset": _dataset_text(spec),
        "profile": "One additive profile per batch: counts in fixed bins, nulls, moments. Any window is a sum of them.",
    }
    kinds = {"batches": {"deltalake"}, "dataset": {"deltalake", "polars"}, "profile": {"polars"}}
    version = digest_json(spec.contract.to_json())[:_VERSION_LENGTH]
    above: dict[str, list[str]] = {"batches": [], "dataset": ["batches"], "profile": ["dataset"]}
    return [
        dg.AssetSpec(
            key=dg.AssetKey([spec.name, stage]),
            deps=[dg.AssetKey([spec.name, name]) for name in above[stage]],
            description=text[stage],
            group_name=spec.name,
            kinds=kinds[stage],
            owners=spec.owners,
            code_version=version,
        )
        for stage in DATASET_STAGES
    ]


def model_specs(spec: ModelSpec, root: Path) -> dict[str, dg.AssetSpec]:
    """Return a model's asset specs by stage.

    Args:
        spec: The model's declaration.
        root: The project's folder: the source of the feature module counts into the code version.
    """
    name, data = spec.name, spec.dataset
    above = {
        "training_set": [(data, "dataset")],
        "candidate": [(name, "training_set")],
        "evaluation": [(name, "candidate")],
        "champion": [(name, "evaluation")],
        "predictions": [(name, "champion"), (data, "dataset")],
        "performance": [(name, "predictions")],
        "drift": [(data, "profile")],
    }
    kinds: dict[str, set[str]] = {
        "training_set": {"polars", "deltalake"},
        "candidate": {spec.training.estimator, "celery"},
        "evaluation": {"celery", "polars"},
        "champion": {spec.training.estimator},
        "predictions": {spec.training.estimator, "deltalake"},
        "performance": {"polars"},
        "drift": {"polars"},
    }
    text, version = _model_texts(spec), _model_code_version(spec, root)
    return {
        stage: dg.AssetSpec(
            key=dg.AssetKey([name, stage]),
            deps=[dg.AssetKey(list(path)) for path in above[stage]],
            description=text[stage],
            group_name=name,
            kinds=kinds[stage],
            owners=spec.owners,
            code_version=version,
        )
        for stage in above
    }


def reference_spec(spec: ModelSpec) -> dg.AssetSpec:
    """Return the asset that stands for a model's drift reference: nothing materializes it, its check is for people."""
    return dg.AssetSpec(
        key=dg.AssetKey([spec.name, "reference"]),
        deps=[dg.AssetKey([spec.name, "champion"]), dg.AssetKey([spec.dataset, "profile"])],
        description="What new batches are compared with: the counts of what the champion learned from, made when drift is "
        "first measured against it. Execute its check after a change of the drift settings.",
        group_name=spec.name,
        kinds={"polars"},
        owners=spec.owners,
        code_version=digest_json(spec.monitoring.model_dump(mode="json"))[:_VERSION_LENGTH],
    )


def _dataset_text(spec: DatasetSpec) -> str:
    contract = spec.contract
    rows = [
        f"| `{name}` | {column.type} | {'yes' if column.nullable else 'no'} | {'personal data. ' if column.pii else ''}{column.description} |"
        for name, column in contract.columns.items()
    ]
    rules = [f"- `{rule.name}`: `{rule.check}`" for rule in contract.rules]
    return "\n".join(
        [
            spec.description or f"Rows of `{spec.name}` that keep the contract.",
            "",
            f"Key `{', '.join(contract.entity_key)}`, event time `{contract.event_time}`. Rows that break the contract are in quarantine with their reasons.",
            "",
            "| column | type | null | |",
            "|---|---|---|---|",
            *rows,
            *(["", "Rules:", *rules] if rules else []),
        ]
    )


def _model_texts(spec: ModelSpec) -> dict[str, str]:
    gate = spec.gate
    triggers = ", ".join(trigger.kind for trigger in spec.policy.triggers)
    return {
        "training_set": "The rows and labels that a retrain reads, pinned to versions of the lake.",
        "candidate": f"A model trained by a Celery worker with `{spec.features}`.",
        "evaluation": f"Candidate, champion and a naive baseline on the same newest matured rows. The gate asks for {gate.metric} "
        f"no worse than {gate.margin:g} at {gate.confidence:.0%} confidence on at least {gate.min_rows:,} rows.",
        "champion": f"{spec.description or spec.name}\n\nRetrained on: {triggers}, or when a person asks. Materialize this group to ask for a retrain.",
        "predictions": "Every batch scored by the champion of its time; each row carries the model's version.",
        "performance": f"{gate.metric} per batch on rows whose labels have matured.",
        "drift": "Recent batches against the data that the champion learned from, per column.",
    }


def _model_code_version(spec: ModelSpec, root: Path) -> str:
    source = feature_file(root, spec.features.partition(":")[0])
    return digest_json([spec.model_dump(mode="json"), digest_file(source) if source else ""])[:_VERSION_LENGTH]
