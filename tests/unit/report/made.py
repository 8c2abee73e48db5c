"""Report data of any length, made by arithmetic: a year of days and twenty columns, with every part there."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

from ratoon.drift.values import ColumnDrift, DriftReport, JointDrift, PairDrift
from ratoon.monitoring import DriftSettings
from ratoon.policy.values import GuardResult, TriggerResult
from ratoon.report.values import (
    AgePoint,
    ChampionView,
    Cohort,
    ColumnView,
    DecisionView,
    DiagnosisView,
    Distribution,
    DriftPoint,
    EstimateView,
    FindingView,
    IncidentView,
    MaturityView,
    PromotionView,
    ReportData,
    RetrainView,
    ScorePoint,
    SliceView,
)

START = datetime(2025, 1, 1, 5, tzinfo=UTC)
NUMERIC = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib", "distance")
CATEGORIES = ("carrier", "origin", "dest", "manufacturer", "season")


def bell(centre: float) -> list[int]:
    """Return counts of 22 bins around a centre; the outer two are empty."""
    return [0, *(int(1_000 * math.exp(-(((at - centre) / 5) ** 2))) for at in range(20)), 0]


def distribution(name: str, number: int) -> Distribution:
    if name in CATEGORIES:
        listed = [f"{name.upper()}{at}" for at in range(3 + number % 9)]
        before = [1_000 // (at + 1) for at in range(len(listed))]
        return Distribution(
            kind="category", type="category", categories=listed, reference=before, current=before[::-1], rest_current=40
        )
    if name == "seats":
        return Distribution(
            kind="numeric",
            type="int",
            edges=[0.9, 1.0, 2.0, 4.0],
            reference=[0, 500, 300, 200, 0],
            current=[0, 400, 300, 250, 50],
        )
    if name == "booked":
        hours = [100 + 10 * at for at in range(24)]
        return Distribution(
            kind="time", type="datetime", reference=[*hours, *[200] * 7], current=[*hours[::-1], *[100] * 6, 400]
        )
    edges = [900.0 + 5 * at for at in range(21)]
    return Distribution(kind="numeric", edges=edges, reference=bell(9.5), current=[*bell(9.5 + number % 5)[:-1], 30])


def column(name: str, number: int, *, flagged: bool) -> ColumnDrift:
    return ColumnDrift(
        column=name,
        kind="category" if name in CATEGORIES else "time" if name == "booked" else "numeric",
        n_reference=100_000,
        n_current=5_000,
        score=0.9 / (number + 1) if flagged else 0.004,
        expected_null_score=0.0036,
        js=0.1,
        ks=None if name in CATEGORIES else 0.1,
        wasserstein=None,
        mean_reference=None,
        mean_current=None,
        test="chi_square",
        p_value=1e-9 if flagged else 0.4 + number / 100,
        null_rate_reference=0.01,
        null_rate_current=0.07 if number == 1 else 0.01,
        rest_share_reference=None,
        rest_share_current=None,
        unseen_mass=None,
        importance=1 / (number + 2),
        severity=9 / (number + 1) if flagged else 0.1,
        flagged=flagged,
        reasons=["distribution"] if flagged else [],
        sentence=f"{name}: the mean went from 1017.9 to 1008.0 (-1.2 standard deviations)" if flagged else "no change",
    )


def drift_report(names: list[str]) -> DriftReport:
    columns = [column(name, number, flagged=number < 4) for number, name in enumerate(names)]
    pair = PairDrift(first="dewp", second="temp", correlation_reference=0.77, correlation_current=-0.03, p_value=1e-6)
    return DriftReport(
        judged=True,
        n_rows_reference=100_000,
        n_rows_current=5_000,
        settings=DriftSettings(min_effect=0.1),
        alpha=0.000_55,
        drifted=[row.column for row in columns if row.flagged],
        columns=columns,
        joint=JointDrift(n_pairs=45, p_value=1e-6, pairs=[pair], flagged=True, sentence="Two columns part ways."),
    )


def cohort(day: int, n_days: int) -> Cohort:
    maturity = min(1.0, (n_days - day) / 12)
    value = 0.74 - 0.04 * day / n_days + 0.015 * math.sin(day / 5) if maturity > 0.2 else None
    estimate = 0.735 + 0.01 * math.sin(day / 9)
    return Cohort(
        name=f"batch-{day}",
        at=START + timedelta(days=day),
        version=1 + day // 40,
        n_rows=5_000,
        n_matured=int(5_000 * maturity) if maturity > 0.2 else 0,
        value=value,
        reference=0.74 - 0.004 * (day // 40 % 3),
        estimate=estimate,
        estimate_low=estimate - 0.015,
        estimate_high=estimate + 0.015,
    )


def decision(number: int) -> DecisionView:
    kind = "retrain" if number % 80 == 0 else "held" if number % 33 == 0 else "wait"
    fired = kind != "wait"
    at = START + timedelta(hours=12 * number)
    triggers = [
        TriggerResult(
            key="new_rows", kind="new_rows", value=19_000, threshold=18_500, unit="rows", fired=fired, note="19000 rows"
        ),
        TriggerResult(
            key="performance", kind="performance", value=0.011, threshold=0.03, unit="share", fired=False, note="worse"
        ),
        TriggerResult(
            key="drift", kind="drift", value=None, threshold=9, unit="columns", confirm=2, fired=False, note="no report"
        ),
    ]
    guards = [
        GuardResult(kind="single_flight", passed=True, note="no retrain is active"),
        GuardResult(
            kind="cooldown", passed=kind != "held", lifts_at=at + timedelta(days=2), note="cooldown ends in two days"
        ),
    ]
    return DecisionView(
        number=number,
        at=at,
        outcome="retrain" if kind == "retrain" else "wait",
        reason="new_rows fired (19000 rows, threshold 18500 rows)" if fired else "no trigger fired: new_rows 12 rows",
        event="batch.ingested",
        triggers=triggers,
        guards=guards,
        retrain=retrain(number, at) if kind == "retrain" else None,
    )


def retrain(number: int, at: datetime) -> RetrainView:
    promoted = number % 160 == 0
    return RetrainView(
        retrain_id=f"retrain-{number:024d}",
        state="PROMOTED" if promoted else "REJECTED",
        requested_at=at,
        verdict="promote" if promoted else "reject",
        reasons=["auc 0.7412 against 0.7308 of the champion: gain +0.0104 (95% interval above -0.02)"],
        version=1 + number // 160 if promoted else None,
        candidate=0.7412,
        champion=0.7308,
        n_rows=6_052,
    )


def made_report(days: int = 365, columns: int = 20, **changes: Any) -> ReportData:
    """Return report data: ``days`` cohorts, two decisions a day, ``columns`` columns; ``changes`` replaces parts."""
    spare = [f"feature_{number}" for number in range(columns)]
    names = [*NUMERIC, *CATEGORIES, "seats", "booked", *spare][:columns]
    report = drift_report(names)
    end = START + timedelta(days=days)
    views = {
        name: ColumnView(
            distribution=distribution(name, number),
            history=[
                ScorePoint(at=end, score=0.05 + 0.2 * math.sin(number + at / 3) ** 2, flagged=at % 9 == 0)
                for at in range(30)
            ],
        )
        for number, name in enumerate(names)
    }
    data: dict[str, Any] = {
        "model": "late_arrivals",
        "description": "Will the flight arrive more than 15 minutes late?",
        "dataset": "flights",
        "as_of": end,
        "code_version": "0.1.0",
        "metric": "auc",
        "champion": ChampionView(
            version=1 + (days - 1) // 40,
            promoted_at=end - timedelta(days=9),
            data_until=end - timedelta(days=10),
            metric_at_evaluation=0.74,
        ),
        "data_until": end,
        "drift": report,
        "drift_at": end,
        "drift_history": [
            DriftPoint(
                at=START + timedelta(days=day),
                judged=True,
                n_columns=columns,
                drifted=names[: max(0, day % 13 - 8)],
                joint=day % 50 == 0,
            )
            for day in range(days)
        ],
        "columns": views,
        "cohorts": [cohort(day, days) for day in range(days)],
        "promotions": [
            PromotionView(at=START + timedelta(days=40 * at), version=1 + at, reason="the gate passed")
            for at in range(1 + (days - 1) // 40)
        ],
        "decisions": [decision(number) for number in reversed(range(2 * days))],
        "diagnosis": DiagnosisView(
            at=end,
            batch="batch-364",
            verdict="shift",
            sentence="temp and dewp moved in every part of the data",
            advice="policy",
            findings=[
                FindingView(
                    cause="real_shift",
                    columns=["temp", "dewp"],
                    confidence=0.9,
                    sentence="Winter came: temp moved by -1.2 standard deviations.",
                    advice="policy",
                    evidence={"standard_deviations": -1.234567, "unit": "Fahrenheit"},
                )
            ],
        ),
        "incidents": [
            IncidentView(title="weather feed", sentence="five columns at once", since=end, models=["a", "b"])
        ],
        "alerts": [],
        "slices": [
            SliceView(column="origin", value=value, n_matured=900, metric=metric, rest=0.74)
            for value, metric in (("EWR", 0.75), ("JFK", 0.70), ("LGA", None))
        ],
        "maturity": MaturityView(
            sentence="half of the labels are known after two days",
            enough_by=end + timedelta(days=3),
            curve=[AgePoint(age_s=86_400 * age, share=1 - 0.7**age) for age in range(15)],
        ),
        "estimate": EstimateView(
            method="CBPE",
            assumption="the scores are as well calibrated as on the reference",
            sentence="auc is about 0.735, between 0.720 and 0.750",
            past_error=0.0061,
            coverage=0.94,
            n_past=40,
        ),
    }
    return ReportData.model_validate(data | changes)
