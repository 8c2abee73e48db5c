"""Every query of the reference, run against a live server."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "graphql.md"
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

MODEL, DATASET = "late", "deliveries"


def documented() -> dict[str, tuple[str, dict[str, Any]]]:
    """Return query and variables of each block of the reference, by name."""
    text = REFERENCE.read_text(encoding="utf-8")
    queries = dict(re.findall(r"```graphql (\w+)\n(.*?)```", text, re.DOTALL))
    variables = dict(re.findall(r"```json (\w+)\n(.*?)```", text, re.DOTALL))
    return {name: (query, json.loads(variables.get(name, "{}"))) for name, query in queries.items()}


def entries(materialization: dict[str, Any], kind: str) -> dict[str, Any]:
    return {entry["label"]: entry[kind] for entry in materialization["metadataEntries"] if kind in entry}


def tags(tagged: dict[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in tagged["tags"]}


def test_every_query_of_the_reference_is_tested_here() -> None:
    assert set(documented()) == {"graph", "history", "gate", "lineage", "runs", "retrain"}


def test_the_graph_names_every_asset_with_its_owner_and_code(stack: Any) -> None:
    nodes = {"/".join(node["assetKey"]["path"]): node for node in stack.ask(*documented()["graph"])["assetNodes"]}
    assert len(nodes) == 11
    champion = nodes[f"{MODEL}/champion"]
    assert champion["dependencyKeys"] == [{"path": [MODEL, "evaluation"]}]
    assert champion["owners"] == [{"team": "logistics"}]
    assert all(node["kinds"] for node in nodes.values())
    assert all(node["isMaterializable"] == (name != f"{MODEL}/reference") for name, node in nodes.items())
    assert all(node["opVersion"] for name, node in nodes.items() if name != f"{MODEL}/reference")


def test_the_history_gives_the_metrics_of_every_champion(stack: Any) -> None:
    found = stack.ask(*documented()["history"])["assetOrError"]["assetMaterializations"]
    first = found[-1]
    assert entries(first, "intValue")["version"] == 1
    assert 0.5 < entries(first, "floatValue")["candidate"] <= 1
    assert {"ratoon/retrain", "ratoon/decision", "ratoon/promotion", "dagster/data_version"} <= set(tags(first))


def test_the_gates_history_tells_verdict_and_reasons(stack: Any) -> None:
    first = stack.ask(*documented()["gate"])["assetCheckExecutions"][-1]
    assert first["evaluation"]["success"] is True
    assert "min_rows" in entries(first["evaluation"], "mdStr")["checks"]


def test_batches_code_and_event_stand_behind_the_champion(stack: Any) -> None:
    answer = stack.ask(*documented()["lineage"])
    [champion] = answer["champion"]["assetMaterializations"]
    retrain = entries(champion, "text")["retrain"]
    assert tags(champion["runOrError"])["ratoon/event"].startswith("event-")
    [candidate] = [
        found for found in answer["candidate"]["assetMaterializations"] if tags(found)["ratoon/retrain"] == retrain
    ]
    data, code = (json.loads(entries(candidate, "jsonString")[name]) for name in ("data", "code"))
    assert code["features_digest"] and data["n_rows"] > 1_000
    digests = {
        entries(found, "text")["batch"]: entries(found, "text")["digest"]
        for found in answer["batches"]["assetMaterializations"]
        if "file" in entries(found, "text")
    }
    assert data["batches"] and set(data["batches"]) <= set(digests)
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests.values())


def test_runs_are_found_by_their_tags(stack: Any) -> None:
    runs = stack.ask(*documented()["runs"])["runsOrError"]["results"]
    assert runs and all(tags(run)["ratoon/model"] == MODEL for run in runs)


def test_the_mutation_of_the_reference_starts_a_retrain(stack: Any) -> None:
    launched = stack.ask(*documented()["retrain"])["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    run_id = launched["run"]["runId"]
    stack.eventually(lambda: stack.run_status(run_id) in {"SUCCESS", "FAILURE"}, "the end of the run", within_s=240)
    assert run_id in {found["runId"] for found in stack.materializations(MODEL, "evaluation")}
