import polars as pl
import pytest

from ratoon.profiles import LENGTHS, PATTERNS, Binning, ColumnBinning, make_binning, profile


def _row(values, kind="identifier"):
    binning = Binning(columns={"s": ColumnBinning(kind=kind, type="string")})
    return profile(pl.DataFrame({"s": values}, schema={"s": pl.String}), binning).row(0, named=True)


def _pattern(text):
    found = _row([text])["patterns"]
    assert sum(found) == 1
    return PATTERNS[found.index(1)]


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("", "empty"),
        ("0042", "digits"),
        ("-1.5e3", "number"),
        (".5", "number"),
        ("+7", "number"),
        ("EWR", "upper"),
        ("Newark", "letters"),
        ("N14228", "code"),
        ("abc123", "alphanumeric"),
        ("123e4567-e89b-12d3-a456-426614174000", "uuid"),
        ("ann.b@example.org", "email"),
        ("https://example.org/a?b=1", "url"),
        ("2013-01-31", "iso_date"),
        ("2013-01-31T05:00:00Z", "iso_datetime"),
        ("2013-01-31 05:00", "iso_datetime"),
        (" EWR", "padded"),
        ("EWR\t", "padded"),
        (" ", "padded"),
        ("Zürich", "non_ascii"),
        ("a b", "other"),
        ("1.2.3", "other"),
        ("-", "other"),
        ("http://", "other"),
    ],
)
def test_each_text_has_one_form(text, pattern):
    assert _pattern(text) == pattern


@pytest.mark.parametrize(
    ("length", "name"),
    [
        (0, "0"),
        (1, "1"),
        (2, "2"),
        (3, "3-4"),
        (4, "3-4"),
        (5, "5-8"),
        (8, "5-8"),
        (9, "9-16"),
        (64, "33-64"),
        (65, "65+"),
    ],
)
def test_lengths_are_counted_in_characters(length, name):
    for character in ("a", "ü"):
        found = _row([character * length])["lengths"]
        assert LENGTHS[found.index(1)] == name


def test_texts_in_a_row_are_told_apart():
    texts = ["", "12", "", None, "AB", " x", "é", "a@b.cd", ""]
    found = dict(zip(PATTERNS, _row(texts)["patterns"], strict=True))
    assert {name: n for name, n in found.items() if n} == {
        "empty": 3,
        "digits": 1,
        "upper": 1,
        "padded": 1,
        "non_ascii": 1,
        "email": 1,
    }


def test_categories_are_counted_by_row_and_the_unlisted_too():
    frame = pl.DataFrame({"s": ["EWR"] * 400 + ["x1"] * 100 + [None] * 10})
    binning = make_binning(frame.head(400), min_rows=1)
    row = profile(frame, binning).row(0, named=True)
    assert row["kind"] == "category"
    assert row["patterns"] == _row(frame["s"])["patterns"]
    assert row["lengths"] == _row(frame["s"])["lengths"]
    assert (sum(row["patterns"]), row["rest"]) == (500, 100)


def test_booleans_have_no_form():
    frame = pl.DataFrame({"b": [True, False]})
    row = profile(frame, make_binning(frame, min_rows=1)).row(0, named=True)
    assert (row["lengths"], row["patterns"]) == (None, None)
