"""What a person asks about drift: the newest report, what its settings would do, and whether the windows can be told apart."""

import json

import pytest
from tests.integration.loop.conftest import MODEL, orders

from ratoon.cli import main
from ratoon.errors import EmptyWindowError
from ratoon.loop import ingest_arrivals, monitor_model, profile_pending
from ratoon.loop.comparing import tell_apart
from ratoon.loop.trials import self_test_model

pytestmark = pytest.mark.integration


def step(shop) -> None:
    ingest_arrivals(shop.app, "orders")
    profile_pending(shop.app, "orders")
    list(monitor_model(shop.app, "returns"))


@pytest.fixture
def moved(make_shop):
    """Four weeks make a champion; in the fifth, amounts and items go together as they never did."""
    shop = make_shop(model=MODEL.replace("rows: 900", "rows: 1900"))
    for week in range(4):
        shop.land_week(week)
    step(shop)
    made = orders(4)
    together = made.with_columns(
        made["amount"].sort(), items=made["items"].sort(), order_id=made["order_id"], placed=made["placed"]
    )
    shop.land_orders(4, together)
    step(shop)
    return shop


def test_a_person_gets_the_newest_report_the_self_test_and_the_classifiers_answer(moved, capsys, tmp_path) -> None:
    told = tell_apart(moved.app, "returns")
    assert told.drifted
    assert {name for name, _ in told.columns[:2]} == {"amount", "items"}
    newest = moved.app.ledger.drift("returns", limit=1)[0].report
    assert newest["joint"]["flagged"]
    assert newest["drifted"] == []

    project = ["--project", str(moved.root)]
    assert main(["drift", "returns", *project]) == 0
    assert "amount" in capsys.readouterr().out
    picture = tmp_path / "power.svg"
    asked = ["selftest", "returns", "--repeats", "20", "--rows", "500", "--out", str(picture), "--json", *project]
    assert main(asked) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["repeats"] == 20
    assert answer["false_alarms"] <= 1
    power = {(shift["kind"], shift["size"]): shift["n_found"] / shift["n_reports"] for shift in answer["shifts"]}
    assert power["mean", 1.0] == 1.0
    assert picture.read_text().startswith("<svg")


def test_before_a_champion_the_dataset_itself_is_the_reference_and_there_is_nothing_to_tell_apart(shop) -> None:
    with pytest.raises(EmptyWindowError, match="no reference"):
        self_test_model(shop.app, "returns")
    for week in range(3):
        shop.land_orders(week, orders(week))
    step(shop)
    assert self_test_model(shop.app, "returns", n_rows=500, repeats=5).n_columns == 3
    with pytest.raises(EmptyWindowError, match="nothing to compare"):
        tell_apart(shop.app, "returns")
