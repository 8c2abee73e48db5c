"""Text as flat bytes: its lengths and forms are counted without a loop over the values."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ratoon.profiles.schema import LENGTHS, PATTERNS

_PADDING = 16
_LENGTH_TOPS: Final = (0, 1, 2, 4, 8, 16, 32, 64)
_CLASS = {name: number for number, name in enumerate(PATTERNS)}
_DIGIT, _UPPER, _LOWER, _ASCII, _HIGH = 1, 2, 4, 8, 16
_BLANKS = b" \t\n\r\x0b\x0c"
_BITS_OF_BYTE = np.full(256, _ASCII, dtype=np.uint8)
_BITS_OF_BYTE[ord("0") : ord("9") + 1] = _DIGIT
_BITS_OF_BYTE[ord("A") : ord("Z") + 1] = _UPPER
_BITS_OF_BYTE[ord("a") : ord("z") + 1] = _LOWER
_BITS_OF_BYTE[128:] = _HIGH
_IS_BLANK = np.zeros(256, dtype=bool)
_IS_BLANK[list(_BLANKS)] = True
_CLASS_OF_BITS: Final = {
    _DIGIT: "digits",
    _UPPER: "upper",
    _LOWER: "letters",
    _UPPER | _LOWER: "letters",
    _DIGIT | _UPPER: "code",
    _DIGIT | _LOWER: "alphanumeric",
    _DIGIT | _UPPER | _LOWER: "alphanumeric",
}
_FORMS: Final = {
    "uuid": r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$",
    "iso_date": r"^\d{4}-\d{2}-\d{2}$",
    "iso_datetime": r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}([.,]\d+)?)?(Z|[+-]\d{2}:?\d{2})?$",
    "number": r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$",
    "email": r"^[^@\s]+@[^@\s]+\.[^@\s]+$",
    "url": r"^[A-Za-z][A-Za-z0-9+.-]*://\S+$",
}


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """Texts, one behind the other."""

    values: pl.Series
    flat: NDArray[np.uint8]
    """The UTF-8 bytes of all, and some zeros."""
    offsets: NDArray[np.int64]
    """Where each begins."""
    lengths: NDArray[np.int64]
    """How many bytes each has."""

    @classmethod
    def of(cls, values: pl.Series) -> Self:
        """Lay out the texts of a column without nulls."""
        lengths = values.str.len_bytes().cast(pl.Int64).to_numpy()
        joined = values.str.join("").item() if len(values) else ""
        flat = np.frombuffer(joined.encode() + bytes(_PADDING), dtype=np.uint8)
        return cls(values, flat, np.cumsum(lengths) - lengths, lengths)

    def words(self) -> NDArray[np.uint64]:
        """Return a view of the eight bytes from each byte on, as little-endian numbers."""
        window = np.lib.stride_tricks.sliding_window_view(self.flat, 8)
        return np.ndarray((len(window),), dtype="<u8", buffer=self.flat, strides=(1,))

    def bytes_of(self, at: int) -> bytes:
        """Return the bytes of one text."""
        start = int(self.offsets[at])
        return self.flat[start : start + int(self.lengths[at])].tobytes()


def length_classes(values: pl.Series) -> NDArray[np.int64]:
    """Return the number of each text's class in :data:`LENGTHS` (of a column without nulls)."""
    return np.searchsorted(_LENGTH_TOPS, values.str.len_chars().to_numpy(), side="left")


def pattern_classes(texts: Texts) -> NDArray[np.int64]:
    """Return the number of each text's class in :data:`PATTERNS`."""
    classes = np.full(len(texts.lengths), _CLASS["empty"], dtype=np.int64)
    filled = np.flatnonzero(texts.lengths > 0)
    if not len(filled):
        return classes
    starts = texts.offsets[filled]
    end = int(texts.lengths.sum())
    bits = np.bitwise_or.reduceat(_BITS_OF_BYTE[texts.flat[:end]], starts)
    found = _CLASS_OF_BITS_TABLE[bits]
    found[(bits & _HIGH) > 0] = _CLASS["non_ascii"]
    last = starts + texts.lengths[filled] - 1
    found[_IS_BLANK[texts.flat[starts]] | _IS_BLANK[texts.flat[last]]] = _CLASS["padded"]
    open_ = np.flatnonzero(found == _CLASS["other"])
    if len(open_):
        found[open_] = _form_classes(texts.values.gather(filled[open_]))
    classes[filled] = found
    return classes


_CLASS_OF_BITS_TABLE = np.array([_CLASS[_CLASS_OF_BITS.get(bits, "other")] for bits in range(32)], dtype=np.int64)


def _form_classes(values: pl.Series) -> NDArray[np.int64]:
    """Return the classes of texts that hold more than letters and digits."""
    chosen = pl.lit(_CLASS["other"], dtype=pl.Int64)
    for name, form in reversed(_FORMS.items()):
        chosen = pl.when(pl.col("value").str.contains(form)).then(_CLASS[name]).otherwise(chosen)
    return values.alias("value").to_frame().select(chosen.alias("class")).to_series().cast(pl.Int64).to_numpy()


def count_classes(classes: NDArray[np.int64], n_classes: int, weights: NDArray[np.int64] | None = None) -> list[int]:
    """Return how many rows (or how much weight) each class has."""
    if weights is None:
        counted: list[int] = np.bincount(classes, minlength=n_classes).tolist()
        return counted
    total = np.zeros(n_classes, dtype=np.int64)
    np.add.at(total, classes, weights)
    summed: list[int] = total.tolist()
    return summed


N_LENGTHS: Final = len(LENGTHS)
N_PATTERNS: Final = len(PATTERNS)
