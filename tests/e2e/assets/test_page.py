"""What a person sees and does on the page, in a real browser against a real stack."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

MODEL, DATASET = "late", "deliveries"
NEWEST = """
query($performance: [String!]!, $drift: AssetKeyInput!) {
  assetOrError(assetKey: {path: $performance}) { ... on Asset { assetMaterializations(limit: 20) { metadataEntries { label } } } }
  assetCheckExecutions(assetKey: $drift, checkName: "drift", limit: 5) { evaluation { success } }
}
"""
ENDED = {"SUCCESS", "FAILURE", "CANCELED"}


def test_the_graph_shows_the_loop(page: Page) -> None:
    page.goto(f"/locations/ratoon/asset-groups/{MODEL}/lineage")
    for stage in ("training_set", "candidate", "evaluation", "champion", "predictions", "performance", "drift"):
        expect(page.get_by_text(stage, exact=True).first).to_be_visible()
    page.goto(f"/locations/ratoon/asset-groups/{DATASET}/lineage")
    for stage in ("batches", "dataset", "profile"):
        expect(page.get_by_text(stage, exact=True).first).to_be_visible()


def test_the_champions_materialization_shows_its_version_and_its_chart(page: Page) -> None:
    page.goto(f"/assets/{MODEL}/champion?view=overview")
    expect(page.get_by_text("data_until", exact=True)).to_be_visible()
    expect(page.get_by_text("artifact", exact=True)).to_be_visible()
    page.get_by_text("[Show Markdown]").first.click()
    chart = page.locator("img[src^='data:image/svg+xml']").first
    expect(chart).to_be_visible()
    width, height = chart.evaluate("image => [image.naturalWidth, image.naturalHeight]")
    assert width > 300 and height > 80


def test_the_gate_is_a_blocking_check_with_every_reason(page: Page) -> None:
    page.goto(f"/assets/{MODEL}/evaluation?view=checks")
    expect(page.get_by_text("promotion_gate").first).to_be_visible()
    expect(page.get_by_text("This is a blocking asset check.")).to_be_visible()
    expect(page.get_by_text("beats_baseline", exact=True).first).to_be_visible()
    page.get_by_text("[Show Markdown]").first.click()
    expect(page.get_by_text(re.compile("matured rows that no judged model has seen")).first).to_be_visible()


def test_the_runs_say_what_caused_them(page: Page) -> None:
    page.goto("/runs")
    expect(page.get_by_text(f"ratoon/dataset: {DATASET}").first).to_be_visible()
    expect(page.get_by_text(re.compile("ratoon/cause: new_rows fired")).first).to_be_visible()
    expect(page.get_by_text(re.compile("ratoon/decision: decision-")).first).to_be_visible()


def test_weeks_that_arrive_later_show_drift_and_performance_on_their_pages(page: Page, stack: Any) -> None:
    stack.deliver("--shift", weeks=2)

    def measured() -> bool:
        answer = stack.ask(NEWEST, {"performance": [MODEL, "performance"], "drift": {"path": [MODEL, "drift"]}})
        rows = {
            entry["label"]
            for found in answer["assetOrError"]["assetMaterializations"]
            for entry in found["metadataEntries"]
        }
        warned = [found["evaluation"]["success"] for found in answer["assetCheckExecutions"] if found["evaluation"]]
        return "rows_matured" in rows and False in warned

    stack.eventually(measured, "matured performance and a drift warning", within_s=180)
    for stage, title in (("performance", "auc over time"), ("drift", "drift per column")):
        page.goto(f"/assets/{MODEL}/{stage}?view=overview")
        row = page.get_by_role("row").or_(page.locator("tr")).filter(has_text="chart").last
        row.get_by_text("[Show Markdown]").click()
        expect(page.locator(f"img[alt='{title}']")).to_be_visible()


def test_the_pages_button_starts_a_retrain_that_the_ledger_knows(page: Page, stack: Any) -> None:
    before = {found["runId"] for found in stack.materializations(MODEL, "evaluation")}
    page.goto(f"/locations/ratoon/asset-groups/{MODEL}/lineage")
    expect(page.get_by_text("training_set", exact=True).first).to_be_visible()
    page.get_by_role("button", name="Materialize all").click()
    expect(page.get_by_text(re.compile("Launched run"))).to_be_visible()

    def judged() -> list[dict[str, Any]]:
        return [found for found in stack.materializations(MODEL, "evaluation") if found["runId"] not in before]

    [new, *_] = stack.eventually(judged, "the evaluation of the retrain that the page asked for", within_s=240)
    tags = stack.ask("query($id: ID!) {runOrError(runId: $id) {... on Run {tags {key value}}}}", {"id": new["runId"]})
    told = {tag["key"]: tag["value"] for tag in tags["runOrError"]["tags"]}
    assert told["ratoon/cause"] == "materialized in Dagster"
    assert {tag["key"]: tag["value"] for tag in new["tags"]}["ratoon/retrain"] == told["ratoon/retrain"]
    stack.eventually(lambda: stack.run_status(new["runId"]) in ENDED, "the end of that run", within_s=60)
    shown = [run["runId"] for run in stack.runs_of(told["ratoon/retrain"])]
    assert shown == [new["runId"]], "the sensor must not start a second run for it"
