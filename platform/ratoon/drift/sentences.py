"""What a report says of a column, for a person."""

_SHOWN_VALUE = 40


def percents(before: float, after: float) -> str:
    """Say from which share to which."""
    return f"from {before:.1%} to {after:.1%}"


def moved_numbers(before: float, after: float, deviation: float) -> str:
    """Say where numbers went; NaN for means that aren't known."""
    if not before - before == after - after == 0:
        return "values moved between bins"
    moved = f" ({(after - before) / deviation:+.2g} standard deviations)" if deviation > 0 else ""
    return f"the mean went from {before:.4g} to {after:.4g}{moved}"


def moved_categories(names: list[str], before: list[int], after: list[int], rest: tuple[int, int]) -> str:
    """Say which value's share changed most.

    Args:
        names: The listed values.
        before: The reference's rows per listed value.
        after: The current window's.
        rest: Rows with an unlisted value, on both sides.
    """
    shares = [[count / max(sum(side), 1) for count in side] for side in ([*before, rest[0]], [*after, rest[1]])]
    most = max(range(len(shares[0])), key=lambda i: abs(shares[1][i] - shares[0][i]))
    shown = [*(f"'{name[:_SHOWN_VALUE]}'" for name in names), "the rest"]
    return f"{shown[most]} went {percents(shares[0][most], shares[1][most])}"


def size_of_move(score: float, expected: float, threshold: float) -> str:
    """Say how large a change of the distribution is."""
    return f"PSI {score:.3g} above the {expected:.2g} expected without a change, from {threshold:g} it matters"


def column_sentence(column: str, said: list[str], p_value: float, n: tuple[float, float]) -> str:
    """Say what changed in a column, how sure that is, and on how many rows.

    Args:
        column: Its name.
        said: Every change that matters, largest first; none: nothing does.
        p_value: The smallest corrected one.
        n: Rows of the reference and of the current window.
    """
    if not said:
        return f"{column}: no change that matters"
    return f"{column}: {'; '.join(said)} ({chance(p_value)}, {n[0]:,.0f} against {n[1]:,.0f} rows)"


def chance(p_value: float) -> str:
    """Say a corrected p-value.

    Example:
        >>> chance(0.00213), chance(1e-12)
        ('p = 0.0021', 'p < 1e-06')
    """
    return f"p = {p_value:.2g}" if p_value >= 1e-6 else "p < 1e-06"


def joint_sentence(pairs: list[tuple[str, str, float, float]], n_pairs: int) -> str:
    """Say which columns no longer move together as they did.

    Args:
        pairs: Flagged pairs with both correlations, largest change first.
        n_pairs: How many were looked at.
    """
    if not pairs:
        return f"Columns move together as they did ({n_pairs:,} pairs)."
    first, second, before, after = pairs[0]
    more = f", and {len(pairs) - 1} more of {n_pairs:,} pairs" if len(pairs) > 1 else ""
    return f"Columns no longer move together as they did: the correlation of {first} and {second} went from {before:.2f} to {after:.2f}{more}."
