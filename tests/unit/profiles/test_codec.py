import hashlib
import json
import math
import zlib
from datetime import datetime

import polars as pl
import pytest

from ratoon.errors import DataError
from ratoon.profiles import PROFILE_SCHEMA, decode, digest, encode, make_binning, merge, profile


def _profile():
    frame = pl.DataFrame(
        {
            "x": [0.1, -0.0, math.nan, None] * 200,
            "y": [float(i % 7) for i in range(800)],
            "big": [1e200, 1.0] * 400,
            "c": ["é", "b"] * 400,
            "s": [f"id{i}" for i in range(800)],
            "at": [datetime(2024, 1, 1)] * 800,
        }
    )
    return profile(frame, make_binning(frame))


def test_a_profile_round_trips():
    found = _profile()
    again = decode(encode(found))
    assert again.schema == PROFILE_SCHEMA
    assert again.equals(found)
    assert found["sum2"].is_infinite().any()


def test_the_empty_profile_round_trips():
    assert decode(encode(merge([]))).equals(merge([]))


def test_the_digest_is_that_of_the_canonical_text_within():
    found = _profile()
    text = zlib.decompress(encode(found)[10:])
    assert digest(found) == hashlib.sha256(text).hexdigest()
    assert text.decode() == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def test_the_digest_of_known_content_never_changes():
    # By hand: the columns of the schema in alphabetical order, each with its values.
    text = "{" + ",".join(f'"{name}":[]' for name in sorted(PROFILE_SCHEMA)) + "}"
    assert digest(merge([])) == hashlib.sha256(text.encode()).hexdigest()


def test_order_of_rows_and_the_sign_of_zero_do_not_change_the_digest():
    found = _profile()
    signed = found.with_columns(pl.when(pl.col("center") == 0).then(-0.0).otherwise("center").alias("center"))
    assert digest(found.reverse()) == digest(signed) == digest(found)


def test_a_profile_of_60_columns_takes_a_few_kilobytes():
    frame = pl.DataFrame({f"x{i}": [math.sin(i * row) for row in range(1, 601)] for i in range(50)})
    assert len(encode(profile(frame, make_binning(frame)))) < 24_000


def test_another_version_is_refused_by_its_number():
    data = bytearray(encode(_profile()))
    data[9] = 9
    with pytest.raises(DataError, match="version 9, this Ratoon reads version 2"):
        decode(bytes(data))


@pytest.mark.parametrize("cut", [0, 5, 9, 10, 11, 200, -1])
def test_bytes_that_are_cut_short_are_refused(cut):
    with pytest.raises(DataError, match="no stored profile|damaged"):
        decode(encode(_profile())[:cut])


def test_every_changed_byte_is_noticed():
    data = encode(_profile())
    for at in range(0, len(data), 97):
        damaged = bytearray(data)
        damaged[at] ^= 0x10
        with pytest.raises(DataError):
            decode(bytes(damaged))


@pytest.mark.parametrize("content", [b"[]", b"{}", b"not json", b"\xff", b'{"column":[1]}'])
def test_content_of_another_form_is_refused(content):
    with pytest.raises(DataError, match="damaged"):
        decode(encode(_profile())[:10] + zlib.compress(content))


def test_a_file_has_the_same_digest_whenever_it_is_profiled(tmp_path):
    frame = pl.DataFrame({"x": [math.sin(i) * 10 ** (i % 9) for i in range(5_300)]})
    binning = make_binning(frame)
    frame.write_parquet(tmp_path / "rows.parquet", row_group_size=700)
    rows = pl.scan_parquet(tmp_path / "rows.parquet")
    assert len({digest(profile(rows, binning)) for _ in range(3)}) == 1
