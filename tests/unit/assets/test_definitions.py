import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from ratoon.templates import write_project
from ratoon_assets.definitions import load_project_defs


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_project(tmp_path / "my-project")
    return tmp_path / "my-project"


def edges(definitions: dg.Definitions) -> set[str]:
    graph = definitions.get_repository_def().asset_graph
    return {
        f"{'/'.join(parent.path)} -> {'/'.join(key.path)}"
        for key in graph.get_all_asset_keys()
        for parent in graph.get(key).parent_keys
    }


def test_the_graph_is_the_loop(root: Path) -> None:
    assert edges(load_project_defs(root)) == {
        "deliveries/batches -> deliveries/dataset",
        "deliveries/dataset -> deliveries/profile",
        "deliveries/dataset -> late/training_set",
        "deliveries/dataset -> late/predictions",
        "deliveries/profile -> late/drift",
        "late/training_set -> late/candidate",
        "late/candidate -> late/evaluation",
        "late/evaluation -> late/champion",
        "late/champion -> late/predictions",
        "late/predictions -> late/performance",
        "late/champion -> late/reference",
        "deliveries/profile -> late/reference",
    }


def test_each_asset_has_a_group_an_owner_a_kind_a_description_and_a_code_version(root: Path) -> None:
    graph = load_project_defs(root).get_repository_def().asset_graph
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.group_name == key.path[0]
        assert node.owners == ["team:logistics"]
        assert node.kinds and node.description and node.code_version, key


def test_the_gate_blocks_and_the_other_checks_do_not(root: Path) -> None:
    graph = load_project_defs(root).get_repository_def().asset_graph
    checks = {f"{'/'.join(key.asset_key.path)}:{key.name}": graph.get(key).blocking for key in graph.asset_check_keys}
    assert checks == {
        "deliveries/dataset:contract": False,
        "deliveries/profile:data_fault": False,
        "late/drift:drift": False,
        "late/reference:drift_selftest": False,
        "late/evaluation:promotion_gate": True,
    }


def test_materializing_a_whole_model_runs_no_self_test(root: Path) -> None:
    graph = load_project_defs(root).get_repository_def().asset_graph
    assert dg.AssetKey(["late", "reference"]) in graph.external_asset_keys
    checked = {key.asset_key for key in graph.asset_check_keys if key.name == "drift_selftest"}
    assert not checked & graph.materializable_asset_keys


def test_the_loop_never_runs_the_self_test_which_people_execute(root: Path) -> None:
    repository = load_project_defs(root).get_repository_def()
    graph = repository.get_job("ratoon").asset_layer.asset_graph
    checks = {key.name for key in graph.asset_check_keys}
    assert checks == {"contract", "data_fault", "drift", "promotion_gate"}


def test_there_is_one_job_and_both_sensors_run_from_the_start(root: Path) -> None:
    repository = load_project_defs(root).get_repository_def()
    assert [job.name for job in repository.get_all_jobs() if not job.name.startswith("__")] == ["ratoon"]
    assert {sensor.name: sensor.default_status for sensor in repository.sensor_defs} == {
        "arrivals": dg.DefaultSensorStatus.RUNNING,
        "retrains": dg.DefaultSensorStatus.RUNNING,
    }


def test_the_code_version_follows_the_declaration_and_the_feature_code(root: Path) -> None:
    def version(key: list[str]) -> str | None:
        return load_project_defs(root).get_repository_def().asset_graph.get(dg.AssetKey(key)).code_version

    before = version(["late", "candidate"]), version(["deliveries", "dataset"])
    features = root / "my_project" / "features.py"
    features.write_text(features.read_text() + "\n# changed\n")
    after = version(["late", "candidate"]), version(["deliveries", "dataset"])
    assert before[0] != after[0] and before[1] == after[1]


def test_a_broken_file_is_shown_with_its_error_and_takes_nothing_else_down(root: Path) -> None:
    broken = root / "my_project" / "defs" / "broken" / "defs.yaml"
    broken.parent.mkdir()
    broken.write_text("type: ratoon.RetrainedModel\nattributes:\n  name: other\n  datset: deliveries\n")
    graph = load_project_defs(root).get_repository_def().asset_graph
    [shown] = [graph.get(key) for key in graph.get_all_asset_keys() if key.path[0] == "broken"]
    assert "datset" in (shown.description or "")
    assert not shown.is_materializable
    assert dg.AssetKey(["late", "champion"]) in graph.get_all_asset_keys()


def test_what_only_dagster_refuses_is_shown_too_and_takes_its_models_but_nothing_else(root: Path) -> None:
    good = (root / "my_project" / "defs" / "deliveries" / "defs.yaml").read_text()
    other = root / "my_project" / "defs" / "returns" / "defs.yaml"
    other.parent.mkdir()
    other.write_text(
        good.replace("name: deliveries", "name: returns")
        .replace("path: deliveries", "path: returns")
        .replace("team:logistics", "nobody in particular")
    )
    model = root / "my_project" / "defs" / "returned" / "defs.yaml"
    model.parent.mkdir()
    late = (root / "my_project" / "defs" / "late" / "defs.yaml").read_text()
    model.write_text(late.replace("name: late", "name: returned").replace("dataset: deliveries", "dataset: returns"))
    keys = {"/".join(key.path) for key in load_project_defs(root).get_repository_def().asset_graph.get_all_asset_keys()}
    assert any(key.startswith("broken/") for key in keys)
    assert not {"returns/dataset", "returned/champion"} & keys
    assert {"deliveries/dataset", "late/champion"} <= keys


def test_a_project_without_declarations_loads(tmp_path: Path) -> None:
    (tmp_path / "ratoon.toml").write_text("")
    assert load_project_defs(tmp_path).get_repository_def().asset_graph.get_all_asset_keys() == set()


def test_listing_the_assets_imports_nothing_heavy(root: Path) -> None:
    code = "import sys; from pathlib import Path; from ratoon_assets.definitions import load_project_defs as load; load(Path(sys.argv[1])).get_repository_def();"
    code += "print([name for name in ('polars', 'xgboost', 'deltalake', 'altair', 'celery', 'pyarrow') if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code, str(root)], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
