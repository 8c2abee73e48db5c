import json
from functools import partial

import numpy as np
import polars as pl
import pytest

from ratoon.contracts.spec import Contract
from ratoon.drift import DriftReport, DriftSettings, compare
from ratoon.errors import DataError
from ratoon.profiles import PROFILE_SCHEMA, Binning, ColumnBinning, make_binning, merge, profile

N = 5_000
EDGES = np.quantile(np.random.default_rng(0).normal(size=100_000), np.arange(1, 20) / 20)
ZIPF = 1 / np.arange(1, 41) / np.sum(1 / np.arange(1, 41))


def _row(name, kind, counts, **more):
    full = dict.fromkeys(PROFILE_SCHEMA) | dict.fromkeys(("nulls", "nans", "infs", "rest", "rest_singletons"), 0)
    full |= {"column": name, "kind": kind, "binning": "d" * 64, "counts": list(counts), **more}
    full["n"] = sum(counts) + full["nulls"] + full["nans"] + full["infs"] + full["rest"]
    if kind == "category":
        full["categories"] = [f"v{i}" for i in range(len(counts))]
    return full


def _number(rng, name, n=N, *, shift=0.0, null_rate=0.02):
    nulls = rng.binomial(n, null_rate)
    values = rng.normal(shift, 1, n - nulls)
    counts = np.diff([0, *(np.searchsorted(np.sort(values), EDGES, side="right")), n - nulls])
    return _row(name, "numeric", counts.tolist(), nulls=nulls, sum=values.sum(), sum2=(values**2).sum())


def _category(rng, name, n=N, *, new=0.0):
    fresh = rng.binomial(n, new)
    return _row(name, "category", rng.multinomial(n - fresh, ZIPF).tolist(), rest=fresh)


def _null_number(rng, name, n):
    """Draw from the bins' own shares: fast, and the same law as :func:`_number` without a shift."""
    nulls = rng.binomial(n, 0.02)
    return _row(name, "numeric", rng.multinomial(n - nulls, np.full(20, 0.05)).tolist(), nulls=nulls, sum=0.0)


def _frame(rows):
    return pl.DataFrame(rows, schema=PROFILE_SCHEMA, orient="row").sort("column")


def _null_reports(n, settings, repeats, seed):
    rng = np.random.default_rng(seed)
    for _ in range(repeats):
        sides = [
            _frame(
                [_null_number(rng, f"n{i:02d}", n) for i in range(24)] + [_category(rng, f"c{i}", n) for i in range(6)]
            )
            for _ in range(2)
        ]
        yield compare(*sides, settings)


def test_without_a_change_at_most_one_report_in_a_hundred_raises_an_alarm():
    reports = list(_null_reports(N, DriftSettings(), 200, seed=3))
    assert all(report.judged and len(report.columns) == 30 for report in reports)
    assert np.mean([bool(report.drifted) for report in reports]) <= 0.01


def test_error_is_controlled_by_the_correction_alone_where_every_effect_matters():
    settings = DriftSettings(min_effect=1e-9, null_rate_change=1e-9, new_category_share=1e-9, alpha=0.05)
    alarms = sum(bool(report.drifted) for report in _null_reports(2_000, settings, 120, seed=4))
    # at a true rate of 5 %, more than 15 of 120 come once in 3,000 runs; uncorrected, nearly all would
    assert alarms <= 15


def test_small_windows_raise_no_alarm_by_their_noise():
    reports = list(_null_reports(500, DriftSettings(), 60, seed=5))
    assert sum(bool(report.drifted) for report in reports) <= 1


@pytest.mark.parametrize(
    ("change", "column", "reason"),
    [
        (lambda rng: _number(rng, "x", shift=0.5), "x", "distribution"),
        (lambda rng: _number(rng, "x", null_rate=0.07), "x", "null_rate"),
        (lambda rng: _category(rng, "x", new=0.03), "x", "rest"),
    ],
    ids=["half a standard deviation", "five points more nulls", "a new category of 3 %"],
)
def test_a_change_that_matters_is_found_every_time_and_blamed_on_its_column(change, column, reason):
    rng = np.random.default_rng(6)
    make = _category if reason == "rest" else _number
    for _ in range(40):
        others = [[_number(rng, f"n{i:02d}") for i in range(9)] for _ in range(2)]
        report = compare(_frame([make(rng, "x"), *others[0]]), _frame([change(rng), *others[1]]))
        assert report.drifted == [column]
        assert reason in report.columns[0].reasons


def test_a_quarter_of_a_standard_deviation_matters_only_where_the_dial_says_so():
    rng = np.random.default_rng(7)
    sides = _frame([_number(rng, "x")]), _frame([_number(rng, "x", shift=0.25)])
    assert compare(*sides).drifted == []
    assert compare(*sides, DriftSettings(min_effect=0.02)).drifted == ["x"]


def test_a_large_effect_that_may_be_chance_is_not_flagged():
    few = [_row("x", "category", counts, nulls=n) for counts, n in (([9, 6], 985), ([5, 10], 985))]
    report = compare(_frame(few[:1]), _frame(few[1:]))
    assert report.columns[0].score > 0.1
    assert report.drifted == []


def test_the_score_is_psi_less_what_it_averages_without_a_change():
    # shares .2 .8 against .4 .6: .2 ln 2 - .2 ln .75 = .196166, less 1 / 1,000 + 1 / 500
    report = compare(_frame([_row("x", "category", [200, 800])]), _frame([_row("x", "category", [200, 300])]))
    assert report.columns[0].expected_null_score == pytest.approx(0.003)
    assert report.columns[0].score == pytest.approx(0.1961659 - 0.003, abs=1e-7)


def test_nan_and_infinity_are_missing_values_like_nulls():
    reference = _frame([_row("x", "numeric", [500, 500], sum=0.0)])
    current = _frame([_row("x", "numeric", [450, 450], nulls=20, nans=50, infs=30, sum=0.0)])
    column = compare(reference, current).columns[0]
    assert (column.null_rate_reference, column.null_rate_current) == (0.0, 0.1)
    assert column.reasons == ["null_rate"]


def test_rare_values_that_the_reference_cannot_have_seen_are_no_new_category():
    # 300 of the reference's 10,000 values are single ones: 3 % of the next batch is expected to be unseen
    reference = _frame([_row("x", "category", [9_700, *[1] * 300])])
    expected, new = (_frame([_row("x", "category", [9_700 - n, *[1] * 300], rest=n)]) for n in (300, 700))
    assert compare(reference, expected).drifted == []
    assert "rest" in compare(reference, new).columns[0].reasons


def test_the_batch_that_made_the_bins_is_a_fair_reference_for_the_next_one():
    rng = np.random.default_rng(9)
    shares = 1 / np.arange(1, 151) / np.sum(1 / np.arange(1, 151))
    columns = [f"c{i}" for i in range(6)]
    keys = {"id": {"type": "int"}, "at": {"type": "datetime"}}
    contract = Contract(
        columns=keys | {name: {"type": "category"} for name in columns}, entity_key=["id"], event_time="at"
    )
    known = {"id": np.arange(500), "at": np.arange(500).astype("datetime64[us]")}
    alarms = 0
    for _ in range(40):
        first, second = (
            pl.DataFrame(known | {name: rng.choice(150, 500, p=shares).astype(str) for name in columns}) for _ in "ab"
        )
        binning = make_binning(first, contract)
        alarms += bool(compare(profile(first, binning), profile(second, binning)).drifted)
    assert alarms <= 1


def test_a_column_that_lost_all_its_values_is_flagged_for_that():
    report = compare(
        _frame([_row("x", "numeric", [500, 500], sum=1.0)]), _frame([_row("x", "numeric", [0, 0], nulls=900)])
    )
    assert report.columns[0].reasons == ["null_rate"]
    assert report.columns[0].score is None


def test_keys_are_not_judged_and_identifiers_only_by_what_is_missing():
    def side(nulls):
        return _frame(
            [
                _row("id", "key", [], nulls=1_000) | {"nulls": nulls},
                _row("s", "identifier", [], nulls=1_000) | {"nulls": nulls},
            ]
        )

    report = compare(side(0), side(500))
    assert [column.column for column in report.columns] == ["s"]
    assert report.drifted == ["s"]


def test_drifted_columns_come_worst_first():
    reference = _frame([_row(name, "category", [500, 500]) for name in "abc"])
    current = _frame(
        [_row("a", "category", [500, 500]), _row("b", "category", [250, 750]), _row("c", "category", [50, 950])]
    )
    report = compare(reference, current)
    assert report.drifted == ["c", "b"]
    assert [column.column for column in report.columns] == ["c", "b", "a"]
    assert report.worst_score == report.columns[0].score


@pytest.mark.parametrize(("sizes", "side"), [((499, 900), "reference"), ((900, 499), "current")])
def test_too_few_rows_are_not_judged_and_the_report_says_so(sizes, side):
    report = compare(*(_frame([_row("x", "category", [n])]) for n in sizes))
    assert not report.judged
    assert report.not_judged_reason == f"the {side} window has 499 rows, 500 are needed"
    assert (report.n_rows_reference, report.n_rows_current, report.drifted, report.worst_score) == (*sizes, [], None)


def test_an_empty_window_is_not_judged():
    report = compare(merge([]), _frame([_row("x", "category", [900])]))
    assert report.not_judged_reason == "the reference window has 0 rows, 500 are needed"


def test_sentences_say_what_moved_from_where_to_where():
    reference = _frame(
        [
            _row("carrier", "category", [500, 500]),
            _row("dep", "numeric", [500, 500], sum=10_000.0),
            _row("tail", "identifier", [], nulls=1_000) | {"nulls": 0},
        ]
    )
    current = _frame(
        [
            _row("carrier", "category", [200, 700], rest=100),
            _row("dep", "numeric", [100, 900], sum=15_000.0),
            _row("tail", "identifier", [], nulls=1_000) | {"nulls": 400},
        ]
    )
    said = {column.column: column.sentence for column in compare(reference, current).columns}
    assert said["tail"] == "tail: rows without a value went from 0.0% to 40.0%"
    assert "the mean went from 10 to 15 (PSI" in said["dep"]
    assert "'v0' went from 50.0% to 20.0%" in said["carrier"]
    assert "values outside the listed ones went from 0.0% to 10.0%" in said["carrier"]
    assert compare(reference, reference).sentence == "None of 3 columns drifted."
    assert compare(reference, current).sentence == "3 of 3 columns drifted: tail, dep, carrier."


def test_personal_data_is_judged_without_its_mean():
    binning = Binning(columns={"age": ColumnBinning(kind="numeric", type="int", pii=True, edges=[30.0, 50.0])})
    sides = [profile(pl.DataFrame({"age": ages}), binning) for ages in ([20, 40, 60] * 300, [60] * 900)]
    column = compare(*sides).columns[0]
    assert column.flagged
    assert "values moved between bins" in column.sentence


def test_a_report_round_trips_through_json():
    rng = np.random.default_rng(8)
    make = partial(_number, rng, "x")
    report = compare(_frame([make()]), _frame([make(shift=1.0)]))
    text = json.dumps(report.model_dump(mode="json"), allow_nan=False)
    assert DriftReport.model_validate_json(text) == report


def test_profiles_of_other_bins_or_unmerged_ones_are_refused():
    one = _frame([_row("x", "category", [900])])
    with pytest.raises(DataError, match="different bins"):
        compare(one, one.with_columns(binning=pl.lit("e" * 64)))
    with pytest.raises(DataError, match="merge the profiles"):
        compare(pl.concat([one, one]), one)
