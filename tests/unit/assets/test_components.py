from pathlib import Path

import dagster as dg
import pytest
from dagster.components.testing import create_defs_folder_sandbox

import ratoon
from ratoon.errors import ConfigError
from ratoon.project import load_project
from ratoon_assets.scaffolding import DatasetScaffolder, ModelScaffolder


def scaffold(scaffolder: type, root: Path, name: str) -> Path:
    folder = root / "shop" / "defs" / name
    folder.mkdir(parents=True)
    request = dg.ScaffoldRequest(
        type_name="ratoon.Any", target_path=folder, scaffold_format="yaml", project_root=root, params=None
    )
    scaffolder().scaffold(request)
    return folder


def test_what_is_scaffolded_is_a_sound_project(tmp_path: Path) -> None:
    (tmp_path / "ratoon.toml").write_text("")
    scaffold(DatasetScaffolder, tmp_path, "sales")
    folder = scaffold(ModelScaffolder, tmp_path, "late_sales")
    project = load_project(tmp_path).ensure_sound()
    assert project.models["late_sales"].dataset == "sales"
    assert project.models["late_sales"].features == "shop.defs.late_sales.features:features"
    assert (folder / "features.py").is_file()


def test_scaffolding_keeps_a_feature_module_that_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "shop" / "defs" / "churn"
    folder.mkdir(parents=True)
    (folder / "features.py").write_text("mine = 1\n")
    ModelScaffolder().scaffold(
        dg.ScaffoldRequest(
            type_name="ratoon.RetrainedModel",
            target_path=folder,
            scaffold_format="yaml",
            project_root=tmp_path,
            params=None,
        )
    )
    assert (folder / "features.py").read_text() == "mine = 1\n"


def test_a_folder_whose_name_can_name_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="late-sales"):
        scaffold(DatasetScaffolder, tmp_path, "late-sales")


def test_both_components_are_found_in_the_registered_module() -> None:
    assert issubclass(ratoon.Dataset, dg.Component)
    assert issubclass(ratoon.RetrainedModel, dg.Component)
    assert {"Dataset", "RetrainedModel"} <= set(dir(ratoon))


def test_dagsters_own_loader_builds_a_component_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INBOX_OF_SALES", "elsewhere")
    contract = {
        "columns": {"id": {"type": "string"}, "at": {"type": "datetime"}},
        "entity_key": ["id"],
        "event_time": "at",
    }
    attributes = {"name": "sales", "source": {"path": "{{ env('INBOX_OF_SALES') }}"}, "contract": contract}
    with create_defs_folder_sandbox() as sandbox:
        path = sandbox.scaffold_component(
            component_cls=ratoon.Dataset,
            defs_path="sales",
            defs_yaml_contents={"type": "ratoon.Dataset", "attributes": attributes},
        )
        with sandbox.load_component_and_build_defs(defs_path=path) as (component, definitions):
            assert component.spec.source.path == "elsewhere"
            keys = {key.to_user_string() for key in definitions.get_repository_def().asset_graph.get_all_asset_keys()}
    assert keys == {"sales/batches", "sales/dataset", "sales/profile"}
