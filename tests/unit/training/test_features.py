from pathlib import Path

import polars as pl
import pytest

from ratoon.errors import TrainingError
from ratoon.training.features import load_features
from ratoon.training.matrix import check_rowwise, compute_features, encode, learn_contract

INPUTS = ["id", "at", "load", "kind"]
EXCLUDED = ["id", "at"]


@pytest.fixture
def rows() -> pl.DataFrame:
    n = 40
    return pl.DataFrame(
        {
            "id": range(n),
            "at": pl.datetime_range(pl.datetime(2026, 1, 1), pl.datetime(2026, 1, 2), interval="36m", eager=True)[:n],
            "load": [float(i % 7) for i in range(n)],
            "kind": ["ab"[i % 2] for i in range(n)],
            "late": [i % 3 == 0 for i in range(n)],
        }
    )


@pytest.fixture
def write(tmp_path: Path):
    def write_module(body: str, name: str = "shape_features"):
        (tmp_path / f"{name}.py").write_text(f"import polars as pl\n\ndef build(rows):\n    return {body}\n")
        return load_features(tmp_path, f"{name}:build")

    return write_module


def compute(function, rows):
    return compute_features(function, rows, INPUTS, EXCLUDED)


def test_numbers_become_floats_and_texts_become_categories(write, rows):
    features = compute(write("rows.select('load', 'kind', odd=pl.col('id') % 2 == 1)"), rows)

    assert dict(features.schema) == {"load": pl.Float32, "kind": pl.Categorical, "odd": pl.Float32}


def test_the_label_is_never_given_to_the_function(write, rows):
    with pytest.raises(TrainingError, match=r"(?s)ColumnNotFoundError.*late"):
        compute(write("rows.select('late')"), rows)


def test_entity_key_and_event_time_are_features_only_under_another_name(write, rows):
    assert compute(write("rows.with_columns(code=pl.col('id'))"), rows).columns == ["load", "kind", "code"]


def test_rows_that_come_back_in_another_order_are_put_right(write, rows):
    features = compute(write("rows.select('_row', 'load').reverse()"), rows)

    assert features["load"].to_list() == rows["load"].to_list()


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("rows.filter(pl.col('load') > 2)", "must keep every row exactly once"),
        ("pl.concat([rows, rows])", "must keep every row exactly once"),
        ("rows.with_columns(_row=pl.lit(0, dtype=pl.UInt32))", "must keep every row exactly once"),
        ("rows.join(rows.select('load').unique(), on='load').select('load')", "may change the order"),
        ("rows.collect()", "expected a polars LazyFrame"),
        ("None", "returned NoneType"),
        ("rows.select('_row', 'at', when=pl.col('at'))", "columns that a model can't take: when"),
        ("rows.select('_row', no_such=pl.col('weight'))", "ColumnNotFoundError"),
        ("1 / 0", "ZeroDivisionError"),
        ("rows.with_columns(x=pl.col('load').map_elements(lambda v: [][1], return_dtype=pl.Float64))", "IndexError"),
    ],
)  # fmt: skip
def test_a_function_that_breaks_its_promise_is_refused_with_the_reason(write, rows, body, what):
    with pytest.raises(TrainingError, match=what) as caught:
        compute(write(body), rows)

    assert "shape_features:build" in caught.value.message


@pytest.mark.parametrize(
    "body",
    [
        "rows.with_columns(share=pl.col('load') / pl.col('load').sum())",
        "rows.with_columns(before=pl.col('load').shift(1))",
        "rows.select('load').sort('load')",
        "rows.select(pl.col('load').shuffle(seed=3))",
    ],
)
def test_a_function_that_looks_at_other_rows_is_refused(write, rows, body):
    function = write(body)

    with pytest.raises(TrainingError, match="may depend on that row alone"):
        check_rowwise(function, rows, compute(function, rows), INPUTS, EXCLUDED)


def test_a_function_of_single_rows_passes(write, rows):
    function = write("rows.select('kind', x=pl.col('load').sqrt(), gone=pl.lit(None), nan=pl.lit(float('nan')))")

    check_rowwise(function, rows, compute(function, rows), INPUTS, EXCLUDED)


def test_infinity_and_nan_count_as_missing(write, rows):
    features = compute(write("rows.select(x=1 / (pl.col('load') - 1), y=(pl.col('load') - 2).sqrt())"), rows)

    assert features["x"].to_list()[:3] == [-1.0, None, 1.0]
    assert features["y"].to_list()[:4] == [None, None, 0.0, 1.0]


def test_encoding_puts_columns_in_the_order_of_training_and_unseen_categories_to_missing():
    types = {"kind": pl.Categorical, "x": pl.Float32}
    seen = pl.DataFrame({"x": [1.0, 2.0, 3.0], "kind": ["b", "a", None]}).cast(types)
    new = pl.DataFrame({"kind": ["c", "a", "b"], "x": [1.0, None, 4.0]}).cast(types)

    encoded = encode(new, learn_contract(seen))

    assert encoded.columns == ["x", "kind"]
    assert encoded.rows() == [(1.0, None), (None, "a"), (4.0, "b")]
    assert encoded["kind"].dtype == pl.Enum(["a", "b"])


def test_a_category_without_any_value_in_training_is_a_missing_number():
    contract = learn_contract(pl.DataFrame({"kind": pl.Series([None, None], dtype=pl.Categorical)}))

    encoded = encode(pl.DataFrame({"kind": pl.Series(["a", "b"], dtype=pl.Categorical)}), contract)

    assert encoded["kind"].to_list() == [None, None]
    assert encoded["kind"].dtype == pl.Float32


def test_a_feature_that_changed_its_kind_or_is_gone_is_refused():
    contract = learn_contract(pl.DataFrame({"x": [1.0]}, schema={"x": pl.Float32}))

    with pytest.raises(TrainingError, match="is now a category"):
        encode(pl.DataFrame({"x": ["1"]}, schema={"x": pl.Categorical}), contract)
    with pytest.raises(TrainingError, match="'x' is gone"):
        encode(pl.DataFrame({"y": [1.0]}), contract)


def test_a_module_that_changed_on_disk_is_imported_anew(write, rows):
    first = write("rows.select(v=pl.col('load') + 1)")
    second = write("rows.select(v=pl.col('load') + 2)")

    assert first.digest != second.digest
    assert compute(second, rows)["v"][0] == compute(first, rows)["v"][0] + 1


def test_two_projects_may_have_modules_of_one_name(tmp_path):
    for project, value in (("one", 1), ("two", 2)):
        package = tmp_path / project / "shop"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("")
        (package / "shared.py").write_text(f"VALUE = {value}\n")
        (package / "features.py").write_text("from shop.shared import VALUE\n\ndef build(rows):\n    return VALUE\n")

    values = [load_features(tmp_path / project, "shop.features:build").call(None) for project in ("one", "two", "one")]

    assert values == [1, 2, 1]


@pytest.mark.parametrize(
    ("ref", "what"),
    [
        ("nowhere:build", "no module 'nowhere'"),
        ("thing:missing", "'missing' does not exist"),
        ("thing:NUMBER", "'NUMBER' is not a function"),
        ("broken:build", "raised NameError"),
    ],
)
def test_what_cannot_be_loaded_is_said(tmp_path, ref, what):
    (tmp_path / "thing.py").write_text("NUMBER = 1\n")
    (tmp_path / "broken.py").write_text("no_such_name\n")

    with pytest.raises(TrainingError, match=what):
        load_features(tmp_path, ref)
