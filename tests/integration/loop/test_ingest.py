"""Files of every kind of badness, through the real lake and ledger."""

import gzip
import json
from datetime import timedelta

import polars as pl
import pytest
from tests.integration.loop.conftest import DATASET, START, orders

from ratoon import replay
from ratoon.loop import ingest, ingest_arrivals, replay_quarantine

AT = START + timedelta(weeks=1)


def rows_in_lake(shop) -> int:
    contract = shop.app.dataset("orders").contract
    return shop.app.lake.scan_rows("orders", contract=contract).select(pl.len()).collect().item()


def with_bad_rows(share: float) -> pl.DataFrame:
    made = orders(0).drop("returned")
    n_bad = int(made.height * share)
    bad = pl.int_range(pl.len()) < n_bad
    return made.with_columns(
        amount=pl.when(bad).then(-1.0).otherwise("amount"), shop=pl.when(bad).then(pl.lit("west")).otherwise("shop")
    )


def test_the_same_content_twice_changes_nothing(shop) -> None:
    shop.land("a.parquet", orders(0).drop("returned"), at=AT)
    [first] = ingest_arrivals(shop.app, "orders")
    shop.land("again.parquet", orders(0).drop("returned"), at=AT + timedelta(hours=1))
    [second] = ingest_arrivals(shop.app, "orders")

    assert (first.status, second.status) == ("accepted", "duplicate")
    assert second.batch_id == first.batch_id
    assert rows_in_lake(shop) == 500
    assert len(shop.app.ledger.batches("orders")) == 1
    assert list((shop.inbox / "orders").glob("*.parquet")) == []


def test_five_per_cent_of_bad_rows_go_to_quarantine_with_all_their_reasons(shop) -> None:
    shop.land("a.parquet", with_bad_rows(0.05), at=AT)
    [report] = ingest_arrivals(shop.app, "orders")

    assert (report.rows_in, report.rows_kept, report.rows_quarantined) == (500, 475, 25)
    quarantine = shop.app.lake.scan_quarantine("orders").collect()
    assert quarantine.height == 25
    assert set(quarantine["reasons"][0]) == {"min:amount", "allowed:shop", "rule:worth_an_item"}
    assert rows_in_lake(shop) == 475


def test_quarantined_rows_come_back_once_the_contract_is_mended(shop, make_shop) -> None:
    shop.land("a.parquet", with_bad_rows(0.05), at=AT)
    ingest_arrivals(shop.app, "orders")
    assert replay_quarantine(shop.app, "orders") is None

    mended = DATASET.replace("min: 0,", "min: -5,").replace("[north, south]", "[north, south, west]")
    mended = mended.replace("amount >= items", "amount >= -items")
    again = make_shop(dataset=mended)
    report = replay_quarantine(again.app, "orders")

    assert report is not None
    assert report.rows_kept == 25
    assert rows_in_lake(again) == 500
    assert replay_quarantine(again.app, "orders") is None
    assert again.app.ledger.check_invariants() == []


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("truncated.parquet", "truncated", "RT-UNREADABLE"),
        ("empty.parquet", b"", "RT-UNREADABLE"),
        ("empty.csv", b"", "RT-UNREADABLE"),
        ("missing.csv", b"order_id,placed,amount,items\n1,2026-01-05T00:00:00Z,10,1\n", "RT-SCHEMA"),
        ("unknown.xlsx", b"PK", "RT-UNREADABLE"),
        ("broken.csv.gz", gzip.compress(b"order_id,placed")[:-6], "RT-UNREADABLE"),
    ],
)
def test_a_file_that_cannot_be_taken_is_set_aside_whole_with_its_reason(shop, tmp_path, name, content, code) -> None:
    if content == "truncated":
        orders(0).drop("returned").write_parquet(tmp_path / "whole.parquet")
        content = (tmp_path / "whole.parquet").read_bytes()[:-200]
    shop.land(name, content, at=AT)
    [report] = ingest_arrivals(shop.app, "orders")

    assert (report.status, report.error["code"]) == ("refused", code)
    assert rows_in_lake(shop) == 0
    [aside] = [path for path in (shop.inbox / "orders" / ".refused").iterdir() if path.suffix != ".json"]
    assert aside.read_bytes() == content
    [reason] = (shop.inbox / "orders" / ".refused").glob("*.json")
    assert code in json.dumps(json.loads(reason.read_text()))
    assert shop.app.ledger.batch(report.batch_id).state == "REFUSED"


def test_one_bad_file_does_not_keep_the_others_out(shop) -> None:
    shop.land("a.parquet", b"not parquet", at=AT)
    shop.land("b.parquet", orders(0).drop("returned"), at=AT + timedelta(minutes=1))
    assert [report.status for report in ingest_arrivals(shop.app, "orders")] == ["refused", "accepted"]
    assert rows_in_lake(shop) == 500


@pytest.mark.parametrize("crash_in", ["append_quarantine", "finish_batch", "accept"])
def test_a_crash_half_way_changes_nothing_and_loses_nothing(shop, make_shop, monkeypatch, crash_in) -> None:
    shop.land("a.parquet", with_bad_rows(0.05), at=AT)

    class PowerCut(BaseException):
        pass

    def crash(*args, **kwargs):
        raise PowerCut

    target = {
        "append_quarantine": "ratoon.lake.Lake.append_quarantine",
        "finish_batch": "ratoon.ledger.Ledger.finish_batch",
        "accept": "ratoon.arrivals.FolderSourceAdapter.accept",
    }[crash_in]
    with monkeypatch.context() as patch:
        patch.setattr(target, crash)
        with pytest.raises(PowerCut):
            ingest_arrivals(shop.app, "orders")

    after = make_shop()
    after.now[0] += timedelta(hours=1)
    [report] = ingest_arrivals(after.app, "orders")

    assert report.status == ("duplicate" if crash_in == "accept" else "accepted")
    assert rows_in_lake(after) == 475
    assert after.app.lake.scan_quarantine("orders").collect().height == 25
    assert len([event for event in after.app.ledger.batches("orders") if event.state == "INGESTED"]) == 1
    assert after.app.ledger.check_invariants() == []


def test_a_file_that_another_process_is_ingesting_stays_where_it_is(shop, make_shop, monkeypatch) -> None:
    shop.land("a.parquet", orders(0).drop("returned"), at=AT)

    def cut(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("ratoon.lake.Lake.append_rows", cut)
        with pytest.raises(KeyboardInterrupt):
            ingest_arrivals(shop.app, "orders")
    [report] = ingest_arrivals(make_shop().app, "orders")
    assert report.status == "held"
    assert (shop.inbox / "orders" / "a.parquet").exists()


def test_a_crash_while_quarantined_rows_come_back_is_mended_by_the_next_call(shop, make_shop, monkeypatch) -> None:
    shop.land("a.parquet", with_bad_rows(0.05), at=AT)
    ingest_arrivals(shop.app, "orders")
    mended = DATASET.replace("min: 0,", "min: -5,").replace("[north, south]", "[north, south, west]")
    mended = mended.replace("amount >= items", "amount >= -items")
    again = make_shop(dataset=mended)

    def cut(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("ratoon.ledger.Ledger.finish_batch", cut)
        with pytest.raises(KeyboardInterrupt):
            replay_quarantine(again.app, "orders")
    again.now[0] += timedelta(hours=1)
    report = replay_quarantine(again.app, "orders")

    assert report is not None
    assert report.rows_kept == 25
    assert rows_in_lake(again) == 500
    assert {batch.state for batch in again.app.ledger.batches("orders")} == {"INGESTED"}
    assert replay_quarantine(again.app, "orders") is None


def test_a_quarantined_row_comes_back_as_of_the_data_in_a_replay(shop, make_shop) -> None:
    shop.land("a.parquet", with_bad_rows(0.05), at=AT)
    ingest_arrivals(shop.app, "orders")
    mended = DATASET.replace("min: 0,", "min: -5,").replace("[north, south]", "[north, south, west]")
    again = make_shop(dataset=mended.replace("amount >= items", "amount >= -items"))
    assert replay_quarantine(again.app, "orders").as_of == AT


def test_a_claim_that_a_crash_left_ends_before_a_replay_loses_patience() -> None:
    assert ingest._LEASE_S < replay._STALLED_S / 2
