"""What a project declares, and how each mistake in it is reported."""

from pathlib import Path

import pytest

from ratoon.errors import ConfigError, DeclarationError
from ratoon.project import LoadedProject, find_project, load_project
from ratoon.project.check import check_project

DATASET = """\
type: ratoon.Dataset
attributes:
  name: orders
  source: {path: orders}
  labels: {path: labels}
  contract:
    entity_key: [id]
    event_time: at
    columns:
      id: {type: string}
      at: {type: datetime}
      amount: {type: float, min: 0}
    label: {column: paid, type: bool, delay: 1d}
"""

MODEL = """\
type: ratoon.RetrainedModel
attributes:
  name: payment
  dataset: orders
  features: shop.features:order_features
  gate: {metric: auc}
  policy:
    triggers:
      - {kind: new_rows, rows: 100}
      - {kind: drift}
"""


def write(root: Path, **texts: str) -> LoadedProject:
    """Write one ``defs.yaml`` per keyword below ``shop/defs`` and load the project."""
    (root / "ratoon.toml").touch()
    for name, text in texts.items():
        folder = root / "shop" / "defs" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "defs.yaml").write_text(text)
    return load_project(root, {})


def only_problem(loaded: LoadedProject) -> DeclarationError:
    assert len(loaded.problems) == 1, [problem.message for problem in loaded.problems]
    return loaded.problems[0]


def test_datasets_and_models_are_loaded_with_the_place_of_each(tmp_path: Path) -> None:
    loaded = write(tmp_path, data=DATASET, model=MODEL)
    assert loaded.problems == []
    assert list(loaded.project.datasets) == ["orders"]
    assert loaded.project.models["payment"].gate.metric == "auc"
    place = loaded.sources["model.payment"]
    assert place.file == tmp_path / "shop/defs/model/defs.yaml"
    assert (place.line, place.line_of("attributes.gate")) == (1, 6)


def test_several_documents_may_share_a_file(tmp_path: Path) -> None:
    loaded = write(tmp_path, both=f"{DATASET}---\n{MODEL}")
    assert loaded.problems == []
    assert loaded.sources["model.payment"].line == DATASET.count("\n") + 2


@pytest.mark.parametrize("folder", ["defs", "shop/defs", "src/shop/defs", "shop/defs/deep/er"])
def test_declarations_are_found_in_every_layout(tmp_path: Path, folder: str) -> None:
    (tmp_path / "ratoon.toml").touch()
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / "defs.yaml").write_text(DATASET)
    assert list(load_project(tmp_path).project.datasets) == ["orders"]


def test_one_bad_file_takes_no_other_down(tmp_path: Path) -> None:
    loaded = write(tmp_path, data=DATASET, model=MODEL, broken="type: [", worse="attributes: {}")
    assert list(loaded.project.models) == ["payment"]
    assert {Path(problem.file).parent.name for problem in loaded.problems} == {"broken", "worse"}


def test_documents_of_other_components_are_left_alone(tmp_path: Path) -> None:
    loaded = write(tmp_path, other="type: dagster.DefsFolderComponent\nattributes: {x: 1}\n")
    assert loaded.problems == []


CASES = {
    "an unknown key": (
        DATASET.replace("min: 0", "mim: 0"),
        12,
        "attributes.contract.columns.amount.mim",
        ["unknown key", "allowed here: allowed, description, max, min", "did you mean 'min'?"],
    ),
    "a missing key": (
        DATASET.replace("    event_time: at\n", ""),
        6,
        "attributes.contract.event_time",
        ["is missing", "Column with the time the row is about"],
    ),
    "a word outside its set": (
        DATASET.replace("type: float", "type: flaot"),
        12,
        "attributes.contract.columns.amount.type",
        ["is 'flaot'", "expected 'int', 'float'", "did you mean 'float'?"],
    ),
    "a duration without unit": (
        DATASET.replace("delay: 1d", "delay: 1x"),
        13,
        "attributes.contract.label.delay",
        ["'1x' is not a duration", "for example 7d"],
    ),
    "a number out of range": (
        DATASET.replace("{path: orders}", "{path: orders, max_rows: -1}"),
        4,
        "attributes.source.max_rows",
        ["greater than 0", "not -1"],
    ),
    "a rule across keys": (
        DATASET.replace("[id]", "[key]"),
        6,
        "attributes.contract",
        ["unknown columns ['key']", "columns are ['amount', 'at', 'id']"],
    ),
    "labels without a column": (
        DATASET.replace("    label: {column: paid, type: bool, delay: 1d}\n", ""),
        5,
        "attributes.labels",
        ["need contract.label"],
    ),
    "a key that is written twice": (
        DATASET.replace("      at:", "      id: {type: int}\n      at:"),
        11,
        "attributes.contract.columns.id",
        ["written twice, first on line 10"],
    ),
    "a word that YAML takes for a boolean": (
        DATASET.replace("{type: string}", "{type: string, allowed: [NO, SE]}"),
        10,
        "attributes.contract.columns.id.allowed[0]",
        ["NO reads as a boolean", '"NO" in quotes'],
    ),
    "a template that is no environment variable": (
        DATASET.replace("{path: orders}", "{path: '{{ context.x }}'}"),
        4,
        "attributes.source.path",
        ["only {{ env('NAME', 'default') }}"],
    ),
    "an unset variable": (
        DATASET.replace("{path: orders}", "{path: \"{{ env('FOLDER') }}\"}"),
        4,
        "attributes.source.path",
        ["FOLDER is not set", "write a default"],
    ),
    "a misspelt type": (
        DATASET.replace("ratoon.Dataset", "ratoon.Datset"),
        1,
        "type",
        ["no type of Ratoon", "did you mean 'ratoon.Dataset'?"],
    ),
    "a key beside attributes": (
        DATASET + "atributes: {}\n",
        14,
        "atributes",
        ["unknown key", "did you mean 'attributes'?"],
    ),
    "a list instead of a mapping": ("- 1\n", 1, "", ["mapping with the keys type and attributes"]),
    "text that is no YAML": ("type: x\n  bad: [\n", 2, "", ["is not YAML", "check indentation"]),
    "an anchor that holds itself": ("&a [*a]\n", 1, "", ["refers to itself"]),
}


@pytest.mark.parametrize(("text", "line", "key", "parts"), CASES.values(), ids=CASES)
def test_a_mistake_is_reported_with_line_key_and_what_was_expected(
    tmp_path: Path, text: str, line: int, key: str, parts: list[str]
) -> None:
    problem = only_problem(write(tmp_path, data=text))
    assert problem.file.endswith("shop/defs/data/defs.yaml")
    assert (problem.line, problem.key) == (line, key)
    for part in parts:
        assert part in problem.reason


MODEL_CASES = {
    "a dataset that is not there": (
        ("dataset: orders", "dataset: ordres"),
        4,
        "attributes.dataset",
        "did you mean 'orders'?",
    ),
    "a metric of another task": (
        ("metric: auc", "metric: rmse"),
        6,
        "attributes.gate.metric",
        "not defined for task binary",
    ),
    "a task that the label can't teach": (
        ("gate: {metric: auc}", "task: regression\n  gate: {metric: mae}"),
        6,
        "attributes.task",
        "label of type float or int",
    ),
    "a key of another trigger": (
        ("kind: drift", "kind: drift, rows: 3"),
        10,
        "attributes.policy.triggers[1].rows",
        "allowed here: columns, confirm, kind",
    ),
    "a misspelt trigger": (
        ("kind: drift", "kind: drfit"),
        10,
        "attributes.policy.triggers[1]",
        "did you mean 'drift'?",
    ),
    "an age of nothing": (
        ("kind: drift", "kind: max_age, age: 0s"),
        10,
        "attributes.policy.triggers[1].age",
        "longer than 0s",
    ),
    "a holdout of nothing": (
        ("gate:", "training: {holdout: 0s}\n  gate:"),
        6,
        "attributes.training.holdout",
        "longer than 0s",
    ),
    "a window that is no duration": (
        ("gate:", "training: {windows: [all, 28x]}\n  gate:"),
        6,
        "attributes.training.windows[1]",
        "'28x' is not a duration",
    ),
    "a dial of a column that is not there": (
        ("gate:", "monitoring: {drift: {columns: {amuont: {min_effect: 0.1}}}}\n  gate:"),
        6,
        "attributes.monitoring.drift.columns.amuont",
        "did you mean 'amount'?",
    ),
    "a slice by a column that is not there": (
        ("gate:", "monitoring: {slices: [shop]}\n  gate:"),
        6,
        "attributes.monitoring.slices[0]",
        "has no column 'shop'",
    ),
    "a slice by numbers without an end": (
        ("gate:", "monitoring: {slices: [amount]}\n  gate:"),
        6,
        "attributes.monitoring.slices[0]",
        "'amount' is of type float",
    ),
}


@pytest.mark.parametrize(("change", "line", "key", "part"), MODEL_CASES.values(), ids=MODEL_CASES)
def test_a_model_that_does_not_fit_is_left_out(
    tmp_path: Path, change: tuple[str, str], line: int, key: str, part: str
) -> None:
    loaded = write(tmp_path, data=DATASET, model=MODEL.replace(*change))
    problem = only_problem(loaded)
    assert (problem.line, problem.key) == (line, key)
    assert part in problem.reason
    assert loaded.project.models == {}
    assert list(loaded.project.datasets) == ["orders"]


def test_a_slice_by_personal_data_is_refused_since_its_values_are_stored(tmp_path: Path) -> None:
    data = DATASET.replace("amount: {type: float, min: 0}", "name: {type: string, pii: true}")
    model = MODEL.replace("gate:", "monitoring: {slices: [name]}\n  gate:")
    assert "'name' is personal data" in only_problem(write(tmp_path, data=data, model=model)).reason


def test_an_age_below_the_cooldown_is_refused(tmp_path: Path) -> None:
    policy = MODEL.replace("kind: drift", "kind: max_age, age: 1d") + "    guards: {cooldown: 2d}\n"
    assert "shorter than guards.cooldown" in only_problem(write(tmp_path, data=DATASET, model=policy)).reason


def test_a_name_is_declared_once_and_the_second_place_is_named(tmp_path: Path) -> None:
    loaded = write(tmp_path, a=DATASET, b=DATASET.replace("path: ", "path: other/"))
    problem = only_problem(loaded)
    assert problem.file.endswith("b/defs.yaml")
    assert "already declared in" in problem.reason and "a/defs.yaml:1" in problem.reason
    assert list(loaded.project.datasets) == ["orders"]


def test_two_datasets_never_read_the_same_files(tmp_path: Path) -> None:
    problem = only_problem(
        write(tmp_path, a=DATASET, b=DATASET.replace("name: orders", "name: bills").replace("path: labels", "path: l2"))
    )
    assert problem.key == "attributes.source.path"
    assert "also read by dataset 'orders'" in problem.reason


def test_a_model_without_labels_to_learn_from_is_refused(tmp_path: Path) -> None:
    unlabelled = DATASET.replace("  labels: {path: labels}\n", "").replace(
        "    label: {column: paid, type: bool, delay: 1d}\n", ""
    )
    assert "has no contract.label" in only_problem(write(tmp_path, data=unlabelled, model=MODEL)).reason


def test_every_mistake_of_a_document_is_reported_at_once(tmp_path: Path) -> None:
    text = (
        DATASET.replace("type: float", "type: flaot")
        .replace("1d", "soon")
        .replace("{path: orders}", "{path: orders, patern: x}")
    )
    assert [problem.line for problem in write(tmp_path, data=text).problems] == [4, 12, 13]


def test_the_environment_fills_a_template(tmp_path: Path) -> None:
    write(tmp_path, data=DATASET.replace("{path: orders}", "{path: \"{{ env('FOLDER', 'here') }}/x\"}"))
    assert load_project(tmp_path, {}).project.datasets["orders"].source.path == "here/x"
    assert load_project(tmp_path, {"FOLDER": "there"}).project.datasets["orders"].source.path == "there/x"


def test_dates_in_a_contract_need_no_quotes(tmp_path: Path) -> None:
    loaded = write(tmp_path, data=DATASET.replace("{type: datetime}", "{type: datetime, min: 2013-01-01}"))
    assert str(loaded.project.datasets["orders"].contract.columns["at"].min).startswith("2013-01-01")


def test_a_project_is_found_from_any_folder_below_it(tmp_path: Path) -> None:
    write(tmp_path, data=DATASET)
    assert find_project(tmp_path / "shop" / "defs" / "data") == tmp_path.resolve()


def test_a_folder_outside_any_project_is_refused_with_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ratoon init my-project"):
        find_project(tmp_path)


def test_a_sound_project_passes_the_check(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "features.py").write_text("def order_features(rows):\n    return rows\n")
    assert check_project(write(tmp_path, data=DATASET, model=MODEL)) == []


@pytest.mark.parametrize(
    ("module", "part"),
    [
        (None, "no module 'shop.features'"),
        ("def order_feature(rows): ...\n", "did you mean 'order_feature'?"),
        ("def order_features(:\n", "is not Python"),
        ("from shop.other import order_features\n", None),
    ],
    ids=["no module", "another name", "a syntax error", "an imported function"],
)
def test_the_feature_function_must_exist(tmp_path: Path, module: str | None, part: str | None) -> None:
    loaded = write(tmp_path, data=DATASET, model=MODEL)
    if module is not None:
        (tmp_path / "shop" / "features.py").write_text(module)
    problems = check_project(loaded)
    if part is None:
        assert problems == []
    else:
        assert [(problem.line, problem.key) for problem in problems] == [(5, "attributes.features")]
        assert part in problems[0].reason


def test_a_rule_that_does_not_compile_is_reported_at_its_contract(tmp_path: Path) -> None:
    rule = '    rules: [{name: odd, check: "amuont > 1"}]\n'
    problems = check_project(write(tmp_path, data=DATASET + rule))
    assert [problem.key.startswith("attributes.contract") for problem in problems] == [True]
    assert "odd" in problems[0].reason


def test_a_project_with_problems_is_not_handed_out_as_sound(tmp_path: Path) -> None:
    loaded = write(tmp_path, data=DATASET.replace("float", "flaot"), model=MODEL)
    with pytest.raises(ConfigError, match="and 1 more; see `ratoon check`"):
        loaded.ensure_sound()
