"""The assets that show one retrain: each waits for its part of the ledger's work and reports it. None does the work."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import dagster as dg

from ratoon.declarations import ModelSpec
from ratoon.errors import NotFoundError
from ratoon_assets import evidence
from ratoon_assets.following import CLAIMED, CONCLUDED, EVALUATED, TRAINED, attach, cancelled_with_its_run, follow
from ratoon_assets.graph import GATE_CHECK, model_specs
from ratoon_assets.rendering import Metadata, error_text
from ratoon_assets.resources import RESOURCE, app_of

if TYPE_CHECKING:
    from ratoon.bootstrap import Ratoon
    from ratoon.ledger.records import Promotion, Retrain

Results = Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]
Found = TypeVar("Found")
Report = Callable[[dg.AssetExecutionContext, "Ratoon", str], Results]


def retrain_assets(spec: ModelSpec, root: Path) -> list[dg.AssetsDefinition]:
    """Return ``training_set``, ``candidate``, ``evaluation`` with its blocking gate, and ``champion`` of a model.

    A run attaches to the retrain in its tags, or asks for one; executing it again shows the same retrain again.
    """
    specs = model_specs(spec, root)
    gate = dg.AssetCheckSpec(
        GATE_CHECK,
        asset=specs["evaluation"].key,
        description=f"The candidate may replace the champion of {spec.name}: every check of the gate passed.",
        blocking=True,
    )
    return [
        _attached(spec, specs["training_set"], _training_set),
        _attached(spec, specs["candidate"], _candidate),
        _attached(spec, specs["evaluation"], _evaluation(spec.gate.metric), gate),
        _attached(spec, specs["champion"], _champion(spec)),
    ]


def _attached(
    spec: ModelSpec, asset: dg.AssetSpec, report: Report, check: dg.AssetCheckSpec | None = None
) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=f"{spec.name}__{asset.key.path[1]}",
        specs=[asset],
        check_specs=[check] if check else [],
        required_resource_keys={RESOURCE},
    )
    def stage(context: dg.AssetExecutionContext) -> Results:
        app = app_of(context)
        retrain_id = attach(context, app, spec.name)
        with cancelled_with_its_run(context, app, retrain_id):
            yield from report(context, app, retrain_id)

    return stage


def _training_set(context: dg.AssetExecutionContext, app: "Ratoon", retrain_id: str) -> Results:
    retrain = _followed(context, app, retrain_id, lambda seen: seen.state in CLAIMED)
    app.ledger.mark_run(retrain_id, context.run.run_id)
    yield dg.MaterializeResult(
        metadata=evidence.training_set_metadata(retrain, app.ledger.batches(retrain.dataset, role="rows")),
        data_version=dg.DataVersion(
            f"rows@{retrain.order.get('rows_version')}+labels@{retrain.order.get('labels_version')}"
        ),
        tags=_tags(retrain),
    )


def _candidate(context: dg.AssetExecutionContext, app: "Ratoon", retrain_id: str) -> Results:
    retrain = _followed(context, app, retrain_id, lambda seen: seen.state in TRAINED)
    artifact = _recorded(app.ledger.artifact(retrain_id), retrain_id)
    yield dg.MaterializeResult(
        metadata=evidence.candidate_metadata(retrain, artifact),
        data_version=dg.DataVersion(artifact.digest),
        tags=_tags(retrain),
    )


def _evaluation(metric: str) -> Report:
    def report(context: dg.AssetExecutionContext, app: "Ratoon", retrain_id: str) -> Results:
        retrain = _followed(context, app, retrain_id, lambda seen: seen.state in EVALUATED)
        evaluation = _recorded(app.ledger.evaluation(retrain_id), retrain_id)
        yield dg.MaterializeResult(
            metadata=evidence.evaluation_metadata(evaluation, _judged_picture(evaluation.metrics, metric)),
            data_version=dg.DataVersion(evaluation.report_digest),
            tags=_tags(retrain),
        )
        promoted = evaluation.verdict == "promote"
        if not promoted:
            app.ledger.mark_reported(retrain_id)
        checks = app.artifacts.get_json(evaluation.report_digest)["checks"]
        yield dg.AssetCheckResult(
            check_name=GATE_CHECK,
            passed=promoted,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata=evidence.gate_metadata(evaluation, checks),
        )

    return report


def _champion(spec: ModelSpec) -> Report:
    def report(context: dg.AssetExecutionContext, app: "Ratoon", retrain_id: str) -> Results:
        retrain = _followed(context, app, retrain_id, lambda seen: seen.state in CONCLUDED)
        promotion = next((found for found in app.ledger.promotions(spec.name) if found.retrain_id == retrain_id), None)
        app.ledger.mark_reported(retrain_id)
        if promotion is None:
            why = error_text(retrain.error) or "the gate rejected the candidate"
            raise dg.Failure(
                f"Retrain {retrain_id} of {spec.name} did not replace the champion: {why}", allow_retries=False
            )
        metadata, digest = promotion_report(app, promotion, spec.gate.metric)
        yield dg.MaterializeResult(
            metadata=metadata, data_version=dg.DataVersion(digest), tags=_tags(retrain) | promotion_tags(promotion)
        )

    return report


def promotion_report(app: "Ratoon", promotion: "Promotion", metric: str) -> tuple[Metadata, str]:
    """Return what ``[model, champion]`` says of a promotion or a rollback, and its artifact's digest."""
    version = next(found for found in app.ledger.versions(promotion.model) if found.version == promotion.version)
    return evidence.champion_metadata(
        promotion, version, _judged_picture(version.metrics, metric)
    ), version.artifact_digest


def promotion_tags(promotion: "Promotion") -> dict[str, str]:
    """Return the tags by which a promotion's materialization is found again."""
    return {"ratoon/promotion": str(promotion.revision), "ratoon/version": str(promotion.version)}


def _followed(
    context: dg.AssetExecutionContext, app: "Ratoon", retrain_id: str, until: Callable[["Retrain"], bool]
) -> "Retrain":
    return follow(app, retrain_id, until=until, say=context.log.info, sleep=time.sleep)


def _judged_picture(metrics: dict[str, Any], metric: str) -> str:
    from ratoon_assets.charts import judged  # Altair takes a second to import

    return judged(evidence.judged_scores(metrics), metric=metric)


def _recorded(found: Found | None, retrain_id: str) -> Found:
    """Return what the ledger must hold in a state that was reached."""
    if found is None:
        raise NotFoundError(
            f"retrain {retrain_id} is past a step of which the ledger holds nothing; run `ratoon doctor`"
        )
    return found


def _tags(retrain: "Retrain") -> dict[str, str]:
    return {"ratoon/retrain": retrain.retrain_id, "ratoon/decision": retrain.decision_id}
