"""The champion moves by compare-and-set, always as a new promotion, and revisions have no gap."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from ratoon.errors import ConflictError, LedgerError, NotFoundError, RefusedError
from ratoon.ledger import Ledger
from ratoon.ledger.states import RetrainState


def path_of(ledger: Ledger) -> list[tuple[int, str, int, int | None]]:
    return [(move.revision, move.kind, move.version, move.previous_version) for move in ledger.promotions("delays")]


def test_a_verdict_to_promote_makes_the_next_version_the_champion(story: Any, ledger: Ledger) -> None:
    assert ledger.champion("delays") is None
    retrain = story.promoted()
    assert (retrain.state, retrain.verdict) == (RetrainState.PROMOTED, "promote")
    champion = ledger.champion("delays")
    assert champion is not None and champion.is_champion
    assert (champion.version, champion.artifact_digest, champion.metrics) == (1, "a" * 64, {"auc": 0.7})
    assert champion.data_until == datetime(2013, 1, 31, tzinfo=UTC)
    assert champion.promoted_at == retrain.as_of
    (move,) = ledger.promotions("delays")
    assert (move.actor, move.reason, move.retrain_id) == ("ratoon", "auc 0.70 against 0.68", retrain.retrain_id)


def test_a_verdict_to_reject_changes_no_champion(story: Any, ledger: Ledger) -> None:
    rejected = story.evaluation.model_copy(update={"verdict": "reject", "reasons": ["auc 0.60 against 0.68"]})
    retrain = ledger.conclude(story.evaluated(evaluation=rejected))
    assert (retrain.state, retrain.error) == (RetrainState.REJECTED, None)
    assert (ledger.promotions("delays"), ledger.versions("delays")) == ([], [])


def test_concluding_twice_changes_nothing(story: Any, ledger: Ledger) -> None:
    retrain = story.promoted()
    assert ledger.conclude(retrain.retrain_id) == retrain
    assert path_of(ledger) == [(1, "promotion", 1, None)]


def test_what_was_not_evaluated_can_not_be_concluded(story: Any, ledger: Ledger) -> None:
    retrain_id = story.trained()
    with pytest.raises(LedgerError, match="evaluate it first"):
        ledger.conclude(retrain_id)


def test_of_many_that_conclude_at_once_one_promotes(
    story: Any,
    ledger: Ledger,
    open_ledger: Callable[[], Ledger],
    race: Callable[[Sequence[Callable[[], object]]], list[Any]],
) -> None:
    retrain_id = story.evaluated()
    results = race([lambda one=one: one.conclude(retrain_id) for one in [open_ledger() for _ in range(4)]])
    assert [result.state for result in results] == [RetrainState.PROMOTED] * 4
    assert path_of(ledger) == [(1, "promotion", 1, None)]


def test_a_rollback_is_a_promotion_of_the_version_before(story: Any, ledger: Ledger) -> None:
    for _ in range(3):
        story.promoted()
    rolled = ledger.rollback("delays", actor="me", reason="worse at night")
    assert (rolled.kind, rolled.version, rolled.previous_version, rolled.revision) == ("rollback", 2, 3, 4)
    assert ledger.rollback("delays", actor="me", reason="still worse").version == 1
    with pytest.raises(RefusedError, match="no champion"):
        ledger.rollback("delays", actor="me", reason="and more")
    assert [version.is_champion for version in ledger.versions("delays")] == [True, False, False]
    assert [item.kind for item in ledger.feed()][-2:] == ["promotion.made", "promotion.made"]


def test_a_rollback_may_name_its_version_and_nothing_newer(story: Any, ledger: Ledger) -> None:
    for _ in range(3):
        story.promoted()
    assert ledger.rollback("delays", to_version=1, actor="me", reason="r").version == 1
    for version in (1, 2, 0, -1):
        with pytest.raises(RefusedError):
            ledger.rollback("delays", to_version=version, actor="me", reason="r")
    assert ledger.promote("delays", 3, actor="me", reason="better after all").kind == "manual"
    assert path_of(ledger)[-2:] == [(4, "rollback", 1, 3), (5, "manual", 3, 1)]


def test_promoting_what_is_not_there_or_already_champion_is_refused(story: Any, ledger: Ledger) -> None:
    story.promoted()
    with pytest.raises(NotFoundError, match="no version 9"):
        ledger.promote("delays", 9, actor="me", reason="r")
    with pytest.raises(RefusedError, match="already the champion"):
        ledger.promote("delays", 1, actor="me", reason="r")
    with pytest.raises(NotFoundError):
        ledger.promote("unknown", 1, actor="me", reason="r")
    assert ledger.model("delays").revision == 1


def test_a_promotion_from_an_old_view_is_a_conflict(story: Any, ledger: Ledger) -> None:
    for _ in range(3):
        story.promoted()
    ledger.rollback("delays", to_version=2, actor="me", reason="r", expected_revision=3)
    with pytest.raises(ConflictError, match="changed since revision 3"):
        ledger.promote("delays", 1, actor="you", reason="r", expected_revision=3)
    assert ledger.model("delays").champion_version == 2


def test_of_two_promoters_with_the_same_view_one_wins(
    story: Any,
    ledger: Ledger,
    open_ledger: Callable[[], Ledger],
    race: Callable[[Sequence[Callable[[], object]]], list[Any]],
) -> None:
    for _ in range(3):
        story.promoted()
    ledgers = [open_ledger() for _ in range(4)]
    results = race(
        [
            lambda one=one, version=1 + index % 2: one.promote(
                "delays", version, actor="me", reason="r", expected_revision=3
            )
            for index, one in enumerate(ledgers)
        ]
    )
    assert sum(isinstance(result, ConflictError) for result in results) == 3
    assert [move.revision for move in ledger.promotions("delays")] == [1, 2, 3, 4]


def test_a_candidate_judged_against_a_champion_that_is_gone_is_rejected(story: Any, ledger: Ledger) -> None:
    story.promoted()
    story.promoted()
    retrain_id = story.evaluated()
    ledger.rollback("delays", actor="me", reason="a person decides")
    retrain = ledger.conclude(retrain_id)
    assert (retrain.state, (retrain.error or {}).get("code")) == (RetrainState.REJECTED, "RT-CONFLICT")
    assert ledger.model("delays").champion_version == 1


def test_a_person_and_a_verdict_at_once_leave_one_consistent_champion(
    story: Any,
    ledger: Ledger,
    open_ledger: Callable[[], Ledger],
    race: Callable[[Sequence[Callable[[], object]]], list[Any]],
) -> None:
    story.promoted()
    story.promoted()
    retrain_id = story.evaluated()
    one, two = open_ledger(), open_ledger()
    concluded, rolled = race(
        [lambda: one.conclude(retrain_id), lambda: two.rollback("delays", to_version=1, actor="me", reason="r")]
    )
    champion = ledger.model("delays").champion_version
    if concluded.state is RetrainState.REJECTED or not isinstance(rolled, Exception):
        assert champion == 1
    else:
        assert champion == 3


def test_an_evaluation_claim_names_the_champion_it_is_judged_against(story: Any) -> None:
    first = story.claim(story.trained(), "evaluate")
    assert (first.champion, first.retrain.base_revision) == (None, 0)
    story.ledger.report_evaluated(first.retrain.retrain_id, first.fence, evaluation=story.evaluation)
    story.ledger.conclude(first.retrain.retrain_id)
    second = story.claim(story.trained(), "evaluate")
    assert (second.champion.version, second.retrain.base_revision) == (1, 1)
