"""The check that tries a model's drift configuration on its own reference, when somebody asks for it."""

import base64
from typing import TYPE_CHECKING

import dagster as dg

from ratoon.declarations import ModelSpec
from ratoon_assets.graph import SELFTEST_CHECK, reference_spec
from ratoon_assets.resources import RESOURCE, app_of

if TYPE_CHECKING:
    from ratoon.drift import SelfTest

MOST_FALSE_ALARMS = 0.02
"""Share of reports with a false alarm above which the check fails: twice the default of a report's alpha."""

_LOGGED = 50


def selftest_check(spec: ModelSpec) -> dg.AssetChecksDefinition:
    """Return a check of ``[model, reference]``: since nothing materializes that, no run includes it by the way."""

    @dg.asset_check(  # type: ignore[untyped-decorator, unused-ignore]
        asset=reference_spec(spec).key,
        name=SELFTEST_CHECK,
        description="How often the drift settings cry wolf on the model's own reference, and which shifts they would see. "
        "Execute it after a change of the settings.",
        required_resource_keys={RESOURCE},
    )
    def selftest(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        from ratoon.loop.trials import self_test_model  # loads polars: a listing of assets must not

        test = self_test_model(
            app_of(context),
            spec.name,
            progress=lambda done, total: (
                context.log.info(f"{done} of {total} reports") if done % _LOGGED == 0 else None
            ),
        )
        return selftest_result(test)

    return selftest


def selftest_result(test: "SelfTest") -> dg.AssetCheckResult:
    """Judge a self-test by its false alarms; what it would see is for people to weigh."""
    from ratoon.report import standalone
    from ratoon.report.trials import self_test_picture

    encoded = base64.b64encode(standalone(self_test_picture(test)).encode()).decode()
    return dg.AssetCheckResult(
        passed=test.false_alarm_rate <= MOST_FALSE_ALARMS,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "sentence": test.sentence,
            "false_alarms": test.false_alarms,
            "reports": test.repeats,
            "rows": test.n_rows,
            "chart": dg.MetadataValue.md(f"![power of the drift settings](data:image/svg+xml;base64,{encoded})"),
            "blamed": dg.MetadataValue.json(test.blamed),
        },
    )
