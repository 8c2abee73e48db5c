"""The words of a report, each in a sentence; the full list is docs/glossary.md."""

from typing import Final

TERMS: Final[tuple[tuple[str, str], ...]] = (
    (
        "Reference and current window",
        "The rows that the champion learned from, or the declared seasonal ones, and the newest batches that are compared with them.",
    ),
    (
        "Score (PSI)",
        "The population stability index: how far the shares of bins or values moved, less what chance alone gives for so many rows. A normal column that moves by d standard deviations has about d².",
    ),
    (
        "Drifted",
        "The change is statistically real, all tests of the report taken together, and at least as large as what is declared to matter.",
    ),
    (
        "p",
        "How often a change as large as this would be seen if nothing had changed, corrected for every test of the report.",
    ),
    ("Importance", "Share of how far the champion's predictions move when the column's values are shuffled."),
    ("Weight", "The change in units of its own threshold, times the importance: what the table is ranked by."),
    ("Missing", "Share of rows without a usable value: null, not a number, or infinite."),
    (
        "Moving together",
        "Whether correlations of numeric columns changed although each column alone may look the same.",
    ),
    ("Cohort", "The predictions of one batch, measured together."),
    ("Matured", "Said of rows whose label is known as of the report's time; only these are measured."),
    ("Reference of a metric", "What the version reached at its own evaluation, on rows that it had not seen."),
    (
        "Estimate without labels",
        "What the metric would be if the scores' calibration still held; a change of how labels depend on the data is invisible to it.",
    ),
    (
        "Trigger and guard",
        "A trigger is a condition that asks for a retrain; a guard holds a retrain back although a trigger fired.",
    ),
    ("Gate", "What a candidate must show on rows that no model has seen before it becomes champion."),
    (
        "Held back",
        "A trigger fired and a guard did not let it pass, for example within the cooldown after the last retrain.",
    ),
    ("Promotion", "A version's becoming champion, from which on it predicts."),
)
"""Term and meaning, in the order of the report."""
