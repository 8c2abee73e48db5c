import json
from datetime import UTC, datetime, timedelta

import pytest

from ratoon.diagnosis import Diagnosis, Finding, Incident, Watched, group_incidents

START = datetime(2026, 1, 5, tzinfo=UTC)


def finding(cause, *columns, advice="hold", partition=None):
    return Finding(
        cause=cause, columns=list(columns), partition=partition, confidence=0.9, sentence=f"{cause}.", advice=advice
    )


def watched(day, *findings, dataset="flights", models=(), verdict="broken"):
    diagnosis = Diagnosis(
        batch_id=f"{dataset}-{day}", verdict=verdict, advice="hold", findings=list(findings), sentence="x"
    )
    return Watched(dataset=dataset, as_of=START + timedelta(days=day), models=list(models), diagnosis=diagnosis)


def test_one_cause_in_many_columns_and_models_is_one_incident():
    burst = finding("null_burst", "dew", "warmth")
    seen = [watched(1, burst, finding("null_burst", "wind"), models=[name]) for name in ("late", "cancelled")]
    (one,) = group_incidents(seen)
    assert (one.columns, one.models, one.batches) == (["dew", "warmth", "wind"], ["cancelled", "late"], ["flights-1"])
    assert one.sentence == "flights (3 columns, 2 models): null_burst."


def test_a_cause_that_lasts_keeps_its_key_and_counts_its_batches():
    first = group_incidents([watched(1, finding("unit_change", "price"))])
    both = group_incidents(
        [watched(2, finding("unit_change", "price", "fee")), watched(1, finding("unit_change", "price"))]
    )
    assert [one.key for one in first] == [one.key for one in both]
    assert (both[0].first_seen, both[0].last_seen) == (START + timedelta(days=1), START + timedelta(days=2))
    assert both[0].sentence.endswith("For 2 batches.")


@pytest.mark.parametrize("cause", ["half_batch", "late_batch", "duplicated_batch", "duplicated_rows"])
def test_two_bad_deliveries_are_two_incidents(cause):
    assert len({one.key for one in group_incidents([watched(1, finding(cause)), watched(2, finding(cause))])}) == 2


def test_datasets_and_causes_are_kept_apart():
    seen = [
        watched(1, finding("null_burst", "x"), finding("unit_change", "y")),
        watched(1, finding("null_burst", "x"), dataset="trips"),
    ]
    found = group_incidents(seen)
    assert [(one.dataset, one.cause) for one in found].count(("trips", "null_burst")) == 1
    assert len(found) == len({one.key for one in found}) == 3


def test_a_shift_is_no_incident_unless_asked_for():
    shift = watched(1, finding("real_shift", "x", advice="policy"), verdict="shift")
    assert group_incidents([shift]) == []
    assert [one.cause for one in group_incidents([shift], verdicts=["shift"])] == ["real_shift"]


def test_what_moved_beside_a_fault_is_no_incident_of_its_own():
    found = group_incidents([watched(1, finding("null_burst", "x"), finding("real_shift", "y", advice="policy"))])
    assert [one.cause for one in found] == ["null_burst"]


def test_parts_are_named_and_the_most_careful_advice_counts():
    parts = [finding("partition_fault", "x", partition=f"site={name}") for name in "BA"]
    (one,) = group_incidents([watched(1, *parts, finding("partition_fault", "y", advice="reingest"))])
    assert (one.partitions, one.advice) == (["site=A", "site=B"], "hold")


def test_the_order_in_which_they_are_given_does_not_matter_and_json_keeps_them():
    seen = [watched(day, finding("null_burst", "x"), finding("half_batch")) for day in (3, 1, 2)]
    found = group_incidents(seen)
    assert found == group_incidents(seen[::-1])
    assert [Incident.model_validate(json.loads(one.model_dump_json())) for one in found] == found
