"""The assets of one dataset: a run takes every file that waits, then profiles what came in."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import dagster as dg

from ratoon.declarations import DatasetSpec
from ratoon_assets import evidence
from ratoon_assets.graph import CONTRACT_CHECK, FAULT_CHECK, dataset_specs
from ratoon_assets.rendering import Metadata, error_text
from ratoon_assets.resources import RESOURCE, app_of

if TYPE_CHECKING:
    from ratoon.bootstrap import Ratoon
    from ratoon.ledger.records import Batch
    from ratoon.loop.reports import BatchReport, ProfileReport

Event = dg.AssetMaterialization | dg.MaterializeResult[None] | dg.AssetCheckResult

_MOST_FILES = 500
"""Files that one run takes: of a longer backlog, the rest goes to the next run."""


def dataset_assets(spec: DatasetSpec) -> dg.AssetsDefinition:
    """Return ``[name, batches]``, ``[name, dataset]`` and ``[name, profile]`` as one operation with its two checks."""
    keys = {asset.key.path[1]: asset.key for asset in dataset_specs(spec)}
    checks = [
        dg.AssetCheckSpec(
            CONTRACT_CHECK,
            asset=keys["dataset"],
            description="No file was refused (error), no row is in quarantine (warning).",
        ),
        dg.AssetCheckSpec(
            FAULT_CHECK,
            asset=keys["profile"],
            description="No batch looks broken, beside the batches before it; while the newest does, no retrain is decided.",
        ),
    ]

    @dg.multi_asset(
        name=f"{spec.name}__arrivals",
        specs=dataset_specs(spec),
        check_specs=checks,
        can_subset=True,
        required_resource_keys={RESOURCE},
    )
    def arrivals(context: dg.AssetExecutionContext) -> Iterator[Event]:
        from ratoon.loop import ingest_arrivals, profile_pending  # loads polars: a listing of assets must not

        app, selected = app_of(context), context.selected_asset_keys
        if selected & {keys["batches"], keys["dataset"]}:
            batches = ingest_arrivals(
                app, spec.name, limit=_MOST_FILES, on_batch=lambda batch: context.log.info(batch_line(batch))
            )
            if keys["batches"] in selected:
                yield from batch_events(app, spec.name, keys["batches"], batches)
            if keys["dataset"] in selected:
                yield from dataset_events(app, spec.name, keys["dataset"], batches)
                yield contract_result(keys["dataset"], batches)
        if keys["profile"] in selected:
            profiles = profile_pending(app, spec.name)
            yield from profile_events(keys["profile"], profiles)
            yield fault_result(keys["profile"], profiles)

    return arrivals


def batch_line(batch: "BatchReport") -> str:
    """Return one line of a run's log about a file."""
    if batch.status != "accepted":
        return f"{batch.name}: {batch.status} {error_text(batch.error)}".rstrip()
    return f"{batch.name}: {batch.rows_kept:,} of {batch.rows_in:,} rows kept, {batch.rows_quarantined:,} in quarantine ({batch.role})"


def batch_events(app: "Ratoon", dataset: str, key: dg.AssetKey, batches: Sequence["BatchReport"]) -> Iterator[Event]:
    """Materialize once per file; without any, say what the ledger knows of the last one."""
    for batch in batches[:-1]:
        yield materialization(key, evidence.batch_metadata(batch), batch.digest, {"ratoon/batch": batch.batch_id})
    if batches:
        last = batches[-1]
        yield result(key, evidence.batch_metadata(last), last.digest, {"ratoon/batch": last.batch_id})
    else:
        latest = _latest(app, dataset)
        yield result(key, evidence.latest_batch_metadata(latest), latest.digest if latest else "none")


def dataset_events(app: "Ratoon", dataset: str, key: dg.AssetKey, batches: Sequence["BatchReport"]) -> Iterator[Event]:
    """Materialize once per accepted file, with the version of the table that it made."""
    accepted = [batch for batch in batches if batch.status == "accepted"]
    for batch in accepted[:-1]:
        yield materialization(
            key, evidence.dataset_metadata(batch), lake_data_version(batch), {"ratoon/batch": batch.batch_id}
        )
    if accepted:
        last = accepted[-1]
        yield result(key, evidence.dataset_metadata(last), lake_data_version(last), {"ratoon/batch": last.batch_id})
    else:
        latest = _latest(app, dataset)
        yield result(key, evidence.latest_batch_metadata(latest), lake_data_version(latest) if latest else "empty")


def profile_events(key: dg.AssetKey, profiles: Sequence["ProfileReport"]) -> Iterator[Event]:
    """Materialize once per profiled batch."""
    for profile in profiles[:-1]:
        yield materialization(
            key, evidence.profile_metadata(profile), profile.batch_id, {"ratoon/batch": profile.batch_id}
        )
    if profiles:
        last = profiles[-1]
        yield result(key, evidence.profile_metadata(last), last.batch_id, {"ratoon/batch": last.batch_id})
    else:
        yield dg.MaterializeResult(asset_key=key, metadata={"new_profiles": 0})


def contract_result(key: dg.AssetKey, batches: Sequence["BatchReport"]) -> dg.AssetCheckResult:
    """Judge a run's files: a refused one is an error, a quarantined row a warning."""
    refused = any(batch.status == "refused" for batch in batches)
    clean = not refused and not any(batch.rows_quarantined for batch in batches)
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=CONTRACT_CHECK,
        passed=clean,
        severity=dg.AssetCheckSeverity.ERROR if refused else dg.AssetCheckSeverity.WARN,
        metadata=evidence.contract_metadata(batches),
    )


def fault_result(key: dg.AssetKey, profiles: Sequence["ProfileReport"]) -> dg.AssetCheckResult:
    """Judge a run's batches: one that looks broken is an error, one that is unclear a warning."""
    verdicts = {profile.diagnosis["verdict"] for profile in profiles if profile.diagnosis}
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=FAULT_CHECK,
        passed=not verdicts & {"broken", "unclear"},
        severity=dg.AssetCheckSeverity.ERROR if "broken" in verdicts else dg.AssetCheckSeverity.WARN,
        metadata=evidence.fault_metadata(profiles),
    )


def materialization(
    key: dg.AssetKey, metadata: Metadata, version: str, tags: dict[str, str]
) -> dg.AssetMaterialization:
    """Return an event for something that a later event of the same step supersedes."""
    return dg.AssetMaterialization(
        key,
        metadata=metadata,
        tags={**tags, "dagster/data_version": version, "dagster/data_version_is_user_provided": "true"},
    )


def result(
    key: dg.AssetKey, metadata: Metadata, version: str, tags: dict[str, str] | None = None
) -> dg.MaterializeResult[None]:
    """Return what an asset is at the end of its step."""
    return dg.MaterializeResult(asset_key=key, metadata=metadata, data_version=dg.DataVersion(version), tags=tags or {})


def lake_data_version(batch: "BatchReport | Batch") -> str:
    """Return the data version of a dataset after a batch: the table's version, by role, since labels have their own table."""
    return f"{batch.role}@{batch.lake_version}"


def _latest(app: "Ratoon", dataset: str) -> "Batch | None":
    return next(iter(app.ledger.batches(dataset, limit=1)), None)
