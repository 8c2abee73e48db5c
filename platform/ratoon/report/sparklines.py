"""A column's score over the last reports, as a small picture and as a line of text."""

from collections.abc import Sequence

from markupsafe import Markup

from ratoon.report import drawing
from ratoon.report.axes import Scale
from ratoon.report.drawing import element
from ratoon.report.formats import count, fixed
from ratoon.report.values import ScorePoint

_WIDTH, _HEIGHT = 132.0, 40.0
_BLOCKS = "▁▂▃▄▅▆▇█"
MOST_REPORTS = 30
"""Reports that are drawn: the newest."""


def score_sparkline(name: str, history: Sequence[ScorePoint], threshold: float) -> Markup:
    """Draw a column's scores, oldest first, with the threshold dashed and the reports that flagged it as dots.

    Args:
        name: The column.
        history: Of any length; the newest :data:`MOST_REPORTS` are drawn. A report without a score is a gap.
        threshold: Smallest score that matters.

    Returns:
        One SVG, or nothing where no report has a score.
    """
    shown = history[-MOST_REPORTS:]
    scores = [point.score for point in shown if point.score is not None]
    if not scores:
        return Markup("")
    x = Scale(0.0, max(len(shown) - 1, 1), 3.0, _WIDTH - 5)
    y = Scale(0.0, max([*scores, threshold]) * 1.08, _HEIGHT - 3, 3.0)
    points = [None if point.score is None else (x(at), y(point.score)) for at, point in enumerate(shown)]
    dots = [
        element("circle", cx=at[0], cy=at[1], r=2.2, class_="alarm")
        for point, at in zip(shown, points, strict=True)
        if point.flagged and at is not None
    ]
    level = drawing.pixels(y(threshold))
    n_flagged = sum(point.flagged for point in shown)
    said = (
        f"Score of {name} over {count(len(shown), 'report')}: {fixed(scores[0])} to {fixed(scores[-1])}, "
        f"threshold {fixed(threshold)}, flagged {count(n_flagged, 'time')}"
    )
    return drawing.picture(
        _WIDTH,
        _HEIGHT,
        said,
        element("title", said),
        element("path", d=f"M0 {level}H{drawing.pixels(_WIDTH)}", class_="limit"),
        element("path", d=drawing.line(points), class_="line"),
        *dots,
    )


def block_sparkline(values: Sequence[float | None], *, top: float | None = None) -> str:
    """Return values as a line of eight block heights, for places that hold text alone; a gap is a dot.

    Args:
        values: Oldest first; below 0 counts as 0.
        top: What the full block stands for; the largest value unless given. Larger values get the full block.

    Example:
        >>> block_sparkline([0.0, 0.05, None, 0.1, 0.2], top=0.2)
        '▁▂·▄█'
    """
    known = [value for value in values if value is not None]
    largest = top if top is not None else max(known, default=0.0)
    if largest <= 0:
        return "".join("·" if value is None else _BLOCKS[0] for value in values)
    return "".join("·" if value is None else _BLOCKS[min(max(int(value / largest * 7), 0), 7)] for value in values)
