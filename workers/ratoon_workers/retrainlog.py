"""The log of one retrain, which its trainer can't make grow without bound."""

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

MAX_BYTES = 2 << 20
"""Bytes of one attempt; what comes after is left out and counted."""


class RetrainLog:
    """Appends lines to ``<folder>/<retrain id>.log``, up to a limit per attempt."""

    def __init__(self, folder: Path, retrain_id: str, *, max_bytes: int = MAX_BYTES) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{retrain_id}.log"
        self._left = max_bytes
        self._n_left_out = 0
        self._file = self.path.open("a", encoding="utf-8", buffering=1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._n_left_out:
            self._file.write(f"... {self._n_left_out} lines more were left out\n")
        self._file.close()

    def write(self, lines: Iterable[str]) -> None:
        """Append lines; those beyond the limit are left out."""
        for line in lines:
            size = len(line.encode()) + 1
            if size > self._left:
                self._n_left_out += 1
                self._left = 0
                continue
            self._left -= size
            self._file.write(line + "\n")
