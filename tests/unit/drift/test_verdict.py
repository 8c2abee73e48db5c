import json
from functools import partial

import numpy as np
import polars as pl
import pytest

from ratoon.contracts.spec import Contract
from ratoon.drift import DriftReport, DriftSettings, compare
from ratoon.errors import DataError
from ratoon.monitoring import ColumnDials
from ratoon.profiles import PROFILE_SCHEMA, Binning, ColumnBinning, make_binning, make_reference, merge, profile

N = 5_000
EDGES = np.quantile(np.random.default_rng(0).normal(size=100_000), np.arange(1, 20) / 20)
ZIPF = 1 / np.arange(1, 41) / np.sum(1 / np.arange(1, 41))


_ZEROS = ("nulls", "nans", "infs", "rest", "rest_singletons")


def _row(name, kind, counts, **more):
    full = dict.fromkeys(PROFILE_SCHEMA) | dict.fromkeys(_ZEROS, 0) | {"center": 0.0}
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
        (lambda rng: _category(rng, "x", new=0.03), "x", "new_category"),
    ],
    ids=["half a standard deviation", "five points more nulls", "a new category of 3 %"],
)
def test_a_change_that_matters_is_found_every_time_and_blamed_on_its_column(change, column, reason):
    rng = np.random.default_rng(6)
    make = _category if reason == "new_category" else _number
    for _ in range(40):
        others = [[_number(rng, f"n{i:02d}") for i in range(9)] for _ in range(2)]
        report = compare(_frame([make(rng, "x"), *others[0]]), _frame([change(rng), *others[1]]))
        assert report.drifted == [column]
        assert reason in report.columns[0].reasons


def test_a_quarter_of_a_standard_deviation_matters_unless_the_dial_says_otherwise():
    rng = np.random.default_rng(7)
    sides = _frame([_number(rng, "x")]), _frame([_number(rng, "x", shift=0.25)])
    assert compare(*sides).drifted == ["x"]
    assert compare(*sides, DriftSettings(min_effect=0.1)).drifted == []
    assert compare(*sides, DriftSettings(columns={"x": ColumnDials(min_effect=0.1)})).drifted == []


def test_each_column_has_its_own_dials():
    rng = np.random.default_rng(7)
    before = _frame([_number(rng, "x"), _number(rng, "y", null_rate=0), _category(rng, "z")])
    after = _frame([_number(rng, "x"), _number(rng, "y", null_rate=0.05), _category(rng, "z", new=0.03)])
    assert set(compare(before, after).drifted) == {"y", "z"}
    dials = {"y": ColumnDials(null_rate_change=0.1), "z": ColumnDials(new_category_share=0.1, min_effect=1.0)}
    assert compare(before, after, DriftSettings(columns=dials)).drifted == []


@pytest.mark.parametrize(
    ("change", "dial"),
    [
        (lambda n: _row("x", "category", [n - n // 50, n // 50], nulls=n // 50), {"null_rate_change": 0.01}),
        (lambda n: _row("x", "category", [n - n // 200, 0], rest=n // 200), {"new_category_share": 0.001}),
        (lambda n: _row("x", "category", [n - n // 40, n // 40]), {"min_effect": 0.001}),
    ],
    ids=["missing values", "new values", "shares"],
)
def test_a_change_that_is_certain_but_small_is_flagged_only_where_so_little_matters(change, dial):
    n = 1_000_000
    before = _frame([_row("x", "category", [n - n // 50, n // 50])])
    if "new_category_share" in dial:
        before = _frame([_row("x", "category", [n, 0])])
    after = _frame([change(n)])
    assert compare(before, after).drifted == []
    assert compare(before, after, DriftSettings(**dial)).drifted == ["x"]


def test_an_ignored_column_is_not_in_the_report():
    before, after = (
        _frame([_row("a", "category", [500, 500]), _row("b", "category", c)]) for c in ([9, 991], [991, 9])
    )
    assert compare(before, after).drifted == ["b"]
    report = compare(before, after, DriftSettings(columns={"b": ColumnDials(ignore=True)}))
    assert [column.column for column in report.columns] == ["a"]
    assert not report.alarm


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
    expected, new = (
        _frame([_row("x", "category", [10_000 - n, *[0] * 300], rest=n, rest_singletons=300)]) for n in (300, 700)
    )
    assert compare(reference, expected).drifted == []
    assert "new_category" in compare(reference, new).columns[0].reasons


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


def test_the_verdict_does_not_depend_on_the_order_of_columns_batches_or_rows():
    rng = np.random.default_rng(11)
    frames = [
        pl.DataFrame(
            {"b": rng.normal(shift, 1, 1_500), "a": rng.normal(size=1_500), "c": rng.choice(list("xyz"), 1_500)}
        )
        for shift in (0, 0.4)
    ]
    binning = make_binning(frames[0])
    reference, current = (profile(frame, binning) for frame in frames)
    report = compare(reference, current)
    assert report.drifted == ["b"]
    assert compare(reference.sample(fraction=1, shuffle=True, seed=1), current.reverse()) == report
    parts = [
        profile(frames[1][at : at + 500].sample(fraction=1, shuffle=True, seed=at), binning) for at in (1_000, 0, 500)
    ]
    again = compare(reference, merge(parts))
    assert again.drifted == report.drifted
    assert [c.p_value for c in again.columns] == [c.p_value for c in report.columns]
    assert [c.sentence for c in again.columns] == [c.sentence for c in report.columns]


def test_small_alpha_flags_less_and_is_what_the_report_says():
    before, after = (_frame([_row("x", "category", counts)]) for counts in ([500, 500], [420, 580]))
    assert compare(before, after).drifted == ["x"]
    report = compare(before, after, alpha=1e-6)
    assert report.drifted == []
    assert (report.alpha, compare(before, after).alpha) == (1e-6, 0.01)
    assert not compare(before, after, alpha=0).alarm


def test_benjamini_hochberg_flags_more_of_many_weak_changes_than_holm():
    counts = {f"c{at:02d}": ([500, 500], [570 - at, 430 + at]) for at in range(20)}
    sides = [_frame([_row(name, "category", both[side]) for name, both in counts.items()]) for side in (0, 1)]
    loose = {"min_effect": 1e-4, "alpha": 0.05}
    found = [set(compare(*sides, DriftSettings(correction=name, **loose)).drifted) for name in ("holm", "fdr")]
    assert found[0] < found[1]


def test_columns_that_miss_nothing_do_not_weaken_the_test_of_the_one_that_does():
    # 11 of 200 against none: twice C(200, 11) / C(400, 11) = .00074, within the null rates' share of alpha
    def side(nulls, others):
        lost = _row("x", "identifier", [], nulls=200) | {"nulls": nulls}
        return _frame([lost, *(_row(f"y{at}", "identifier", [], nulls=200) | {"nulls": others} for at in range(30))])

    settings = DriftSettings(min_rows=100)
    assert compare(side(0, 0), side(11, 0), settings).drifted == ["x"]
    assert compare(side(0, 20), side(11, 20), settings).drifted == []


def test_the_report_is_ranked_by_severity_times_importance():
    reference = _frame([_row(name, "category", [500, 500]) for name in "abc"])
    current = _frame([_row(n, "category", c) for n, c in zip("abc", ([250, 750], [50, 950], [300, 700]), strict=True)])
    report = compare(reference, current, importance={"a": 0.5, "b": 0.01})
    assert report.drifted == ["a", "b", "c"]
    assert [column.importance for column in report.columns] == [0.5, 0.01, 0.0]
    plain = compare(reference, current)
    assert plain.drifted == ["b", "a", "c"]
    assert plain.columns[0].importance is None


def test_nothing_is_known_of_distances_where_nothing_was_counted():
    column = compare(*(_frame([_row("t", "time", [], nulls=600) | {"nulls": 0}]) for _ in "ab")).columns[0]
    assert (column.score, column.js, column.ks, column.wasserstein, column.mean_current) == (None,) * 5
    assert column.test == "null_rate"


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
    assert said["tail"] == "tail: rows without a value went from 0.0% to 40.0% (p < 1e-06, 1,000 against 1,000 rows)"
    assert "the mean went from 10 to 15" in said["dep"]
    assert "(PSI " in said["dep"]
    assert "p < 1e-06, 1,000 against 1,000 rows" in said["dep"]
    assert "'v0' went from 50.0% to 20.0%" in said["carrier"]
    assert "values outside the listed ones went from 0.0% to 10.0%" in said["carrier"]
    assert compare(reference, reference).sentence == "None of 3 columns drifted."
    assert compare(reference, current).sentence == "3 of 3 columns drifted: dep, carrier, tail."


def test_personal_data_is_judged_without_its_mean():
    binning = Binning(
        columns={"age": ColumnBinning(kind="numeric", type="int", pii=True, edges=[0.0, 30.0, 50.0, 90.0])}, joint=[]
    )
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


def _correlated(rng, n, correlation, **more):
    x, e = rng.normal(size=(2, n))
    return pl.DataFrame(
        {"x": x, "y": correlation * x + (1 - correlation**2) ** 0.5 * e, "z": rng.normal(size=n), **more}
    )


def _joint_report(rng, before, after, settings=None, n=5_000):
    made = make_reference(_correlated(rng, n, before))
    return compare(made.profile, profile(_correlated(rng, n, after), made.binning), settings)


def test_a_rotation_that_keeps_every_columns_distribution_is_found_in_the_pair_and_in_no_column():
    report = _joint_report(np.random.default_rng(12), 0.8, -0.8)
    assert report.drifted == []
    assert report.alarm
    assert [(pair.first, pair.second) for pair in report.joint.pairs] == [("x", "y")]
    assert report.joint.pairs[0].correlation_current == pytest.approx(-0.8, abs=0.03)
    assert "the correlation of x and y went from 0.7" in report.sentence


def test_pairs_that_did_not_change_raise_no_alarm():
    rng = np.random.default_rng(13)
    settings = DriftSettings(alpha=1e-4)
    assert not any(_joint_report(rng, r, r, settings, n=500).alarm for r in (0, 0.5, 0.95) for _ in range(12))


def test_a_correlation_that_changes_by_less_than_matters_is_not_flagged():
    report = _joint_report(np.random.default_rng(14), 0.1, 0.5, DriftSettings(correlation_change=0.5))
    assert report.joint.p_value < 1e-6
    assert not report.alarm


def test_an_ignored_column_is_in_no_pair():
    settings = DriftSettings(columns={"y": ColumnDials(ignore=True)})
    assert not _joint_report(np.random.default_rng(15), 0.8, -0.8, settings).alarm


def test_a_column_that_lost_values_is_blamed_for_that_and_not_for_its_thinned_correlation():
    rng = np.random.default_rng(16)
    made = make_reference(_correlated(rng, 5_000, 0.9))
    lost = _correlated(rng, 5_000, 0.9).with_columns(pl.when(pl.int_range(5_000) % 2 == 0).then("y").alias("y"))
    report = compare(made.profile, profile(lost, made.binning))
    assert report.drifted == ["y"]
    assert report.joint.pairs == []


def test_a_column_that_became_constant_has_no_correlation():
    rng = np.random.default_rng(17)
    made = make_reference(_correlated(rng, 1_000, 0.9))
    stuck = _correlated(rng, 1_000, 0.9).with_columns(y=pl.lit(0.1))
    report = compare(made.profile, profile(stuck, made.binning))
    assert report.drifted == ["y"]
    assert report.joint.pairs == []


def test_more_columns_take_no_longer_than_their_number():
    import time

    def seconds(n_columns):
        rng = np.random.default_rng(18)
        sides = [_frame([_null_number(rng, f"n{at:04d}", 5_000) for at in range(n_columns)]) for _ in "ab"]
        taken = []
        for _ in range(3):
            start = time.process_time()
            compare(*sides)
            taken.append(time.process_time() - start)
        return min(taken)

    few, many = seconds(60), seconds(600)
    assert many < 20 * few
    assert many < 1.0
