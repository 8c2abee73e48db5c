"""A file that was refused whole is a broken batch: what is wrong with it says what to do."""

import pytest

from ratoon.diagnosis import diagnosis_of_refusal
from ratoon.errors import ConfigError, LimitExceededError, SchemaMismatchError, UnreadableFileError


@pytest.mark.parametrize(
    ("error", "cause", "advice"),
    [
        (SchemaMismatchError("lacks 'amount'"), "schema_change", "hold"),
        (ConfigError("a rule does not compile"), "schema_change", "hold"),
        (UnreadableFileError("is truncated"), "unreadable_file", "reingest"),
        (LimitExceededError("is too large"), "unreadable_file", "reingest"),
    ],
)
def test_the_error_names_the_cause_and_what_to_do(error, cause, advice) -> None:
    found = diagnosis_of_refusal("batch-1", error)

    assert (found.verdict, found.cause, found.advice) == ("broken", cause, advice)
    assert error.message in found.sentence
