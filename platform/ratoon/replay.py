"""Lets stored files arrive again, in the order in which they landed, through the real path."""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from ratoon.bootstrap import Ratoon, build
from ratoon.declarations import DatasetSpec
from ratoon.errors import ConfigError, StackError
from ratoon.identity import derive_id, digest_file
from ratoon.settings import Settings
from ratoon.stack.supervisor import Stack

_BACKLOG = 4
"""Landing times whose files are put into the inbox at once: the loop takes a backlog in one run."""

_POLL_S = 0.25
_STALLED_S = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One stored file on its way into a landing folder."""

    file: Path
    dataset: str
    role: str
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a replay is."""

    delivered: int
    total: int
    as_of: float
    note: str = ""


def _ignore(progress: Progress) -> None:
    """Tell nobody."""


@dataclass(slots=True)
class Feeder:
    """Puts stored files into the inbox, some at a time, and waits until the loop has dealt with them.

    A file's modification time is the time at which it landed; files whose content the ledger knows are left out,
    so that a replay goes on where it was stopped.

    Args:
        app: The application.
        history: One folder per landing folder, of the same relative name.
        tend: Called while waiting, a few times a second; for example to watch the stack.
        tell: Gets the progress.
    """

    app: Ratoon
    history: Path
    tend: Callable[[], None] = field(default=lambda: None)
    tell: Callable[[Progress], None] = field(default=_ignore)

    def run(self, *, backlog: int = _BACKLOG) -> int:
        """Deliver everything that is missing and return how many files that were.

        Raises:
            ConfigError: The history has no file of a declared landing folder.
            StackError: The loop makes no progress for five minutes.
        """
        deliveries = self._missing()
        done = 0
        self._wait_until_settled(Progress(delivered=0, total=len(deliveries), as_of=0.0))
        for wave in _waves(deliveries, backlog):
            for delivery in wave:
                _deliver(delivery)
            done += len(wave)
            self._wait_until_settled(
                Progress(delivered=done, total=len(deliveries), as_of=wave[-1].file.stat().st_mtime)
            )
        return done

    def _missing(self) -> list[Delivery]:
        known = {
            batch.batch_id
            for name in self.app.project.datasets
            for batch in self.app.ledger.batches(name)
            if batch.finished_at
        }
        found = list(_deliveries(self.app, self.history))
        if not found:
            wanted = ", ".join(
                sorted(place for spec in self.app.project.datasets.values() for _, place in _places(spec))
            )
            raise ConfigError(
                f"{self.history} holds no file to replay; expected folders named as the landing folders: {wanted}"
            )
        return [one for one in found if derive_id("batch", one.dataset, one.role, digest_file(one.file)) not in known]

    def _wait_until_settled(self, progress: Progress) -> None:
        told, moved_at = None, time.monotonic()
        while (waiting := self._waits_for()) is not None:
            if waiting != told:
                told, moved_at = waiting, time.monotonic()
                self.tell(
                    Progress(delivered=progress.delivered, total=progress.total, as_of=progress.as_of, note=waiting)
                )
            if time.monotonic() - moved_at > _STALLED_S:
                raise StackError(
                    f"the loop has made no progress for {_STALLED_S} s; it waits for: {waiting}; see: ratoon status, and the logs in {self.app.settings.logs}"
                )
            self.tend()
            time.sleep(_POLL_S)
        self.tell(progress)

    def _waits_for(self) -> str | None:
        """Return what the loop still has to do, or None when it is idle."""
        for model in self.app.project.models:
            retrain = self.app.ledger.active_retrain(model)
            if retrain is not None:
                return f"{model}: {str(retrain.state).lower()}{_round(retrain.progress)}"
        for name, spec in self.app.project.datasets.items():
            files = sum(len(_waiting_files(self.app, place)) for _, place in _places(spec))
            if files:
                return f"{name}: {files} files to ingest"
        for model in self.app.project.models:
            events = len(self.app.ledger.pending_events(model, limit=1_000))
            if events:
                return f"{model}: {events} events to decide about"
        return None


def _places(spec: DatasetSpec) -> list[tuple[str, str]]:
    places = [("rows", spec.source.path)]
    return places if spec.labels is None else [*places, ("labels", spec.labels.path)]


def _deliveries(app: Ratoon, history: Path) -> Iterator[Delivery]:
    for name, spec in app.project.datasets.items():
        for role, place in _places(spec):
            folder = app.settings.inbox / place
            for file in sorted((history / place).glob("*")) if (history / place).is_dir() else []:
                yield Delivery(file=file, dataset=name, role=role, folder=folder)


def _waves(deliveries: Sequence[Delivery], backlog: int) -> Iterator[list[Delivery]]:
    """Yield the files of so many landing days at a time, oldest first."""
    by_time = sorted(deliveries, key=lambda one: (one.file.stat().st_mtime, one.file.name))
    days = [list(group) for _, group in groupby(by_time, key=lambda one: int(one.file.stat().st_mtime) // 86_400)]
    for start in range(0, len(days), backlog):
        yield [delivery for day in days[start : start + backlog] for delivery in day]


def _deliver(delivery: Delivery) -> None:
    """Copy a file with its modification time; it appears under its name at once and whole."""
    delivery.folder.mkdir(parents=True, exist_ok=True)
    partial = delivery.folder / f".{delivery.file.name}.part"
    shutil.copy2(delivery.file, partial)
    partial.replace(delivery.folder / delivery.file.name)


def _waiting_files(app: Ratoon, place: str) -> list[str]:
    folder = app.settings.inbox / place
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries if entry.is_file() and not entry.name.startswith((".", "_"))]


def _round(progress: dict[str, Any] | None) -> str:
    if not progress or "round" not in progress:
        return ""
    return f" (round {progress['round']} of {progress.get('rounds', '?')})"


def run(settings: Settings, folder: Path) -> int:
    """Start the stack, replay a folder through it, and stop: the command ``ratoon replay``."""
    app = build(settings)
    with Stack(settings, say=_say) as stack:
        done = Feeder(
            app, folder, tend=stack.poll, tell=lambda step: _say(f"{step.delivered}/{step.total} files  {step.note}")
        ).run()
    _say(json.dumps({"files": done}) if done else "nothing to replay: the ledger knows every file")
    return 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
