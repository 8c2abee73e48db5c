"""The composition root: the one place that builds adapters and hands them on."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from ratoon.broker import publisher
from ratoon.declarations import DatasetSpec, ModelSpec, Project
from ratoon.errors import DeclarationError, NotFoundError
from ratoon.ledger import Ledger
from ratoon.ledger.records import OutboxMessage
from ratoon.project import load_project
from ratoon.settings import Settings

if TYPE_CHECKING:
    from ratoon.lake import Lake
    from ratoon.registry.store import ArtifactStore

Declared = TypeVar("Declared", DatasetSpec, ModelSpec)

Publish = Callable[[OutboxMessage], None]
"""Hands one message to the broker, or raises :class:`~ratoon.errors.BackendError`."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Ratoon:
    """Everything that a use case needs. Lake and artifacts are opened when they are first used.

    Attributes:
        settings: Where state is kept.
        project: What is declared, as far as it is valid.
        problems: What is wrong with the rest.
        ledger: The source of truth.
        publish: How the outbox reaches the workers.
        clock: The wall clock, aware UTC.
    """

    settings: Settings
    project: Project
    problems: tuple[DeclarationError, ...]
    ledger: Ledger
    publish: Publish
    clock: Callable[[], datetime]

    @cached_property
    def lake(self) -> "Lake":
        """The Delta tables."""
        from ratoon.lake import Lake  # loads polars

        return Lake(self.settings.lake_url, self.settings.storage_options or None)

    @cached_property
    def artifacts(self) -> "ArtifactStore":
        """Artifacts and reports, by digest."""
        from ratoon.registry.store import ArtifactStore  # loads obstore for a bucket

        return ArtifactStore(self.settings.artifacts_url, self.settings.storage_options)

    def dataset(self, name: str) -> DatasetSpec:
        """Return a declared dataset.

        Raises:
            NotFoundError: No dataset of that name is declared, or its declaration has problems.
        """
        return _declared("dataset", name, self.project.datasets)

    def model(self, name: str) -> ModelSpec:
        """Return a declared model.

        Raises:
            NotFoundError: No model of that name is declared, or its declaration has problems.
        """
        return _declared("model", name, self.project.models)


def _declared(kind: str, name: str, declared: dict[str, Declared]) -> Declared:
    if name in declared:
        return declared[name]
    known = ", ".join(sorted(declared)) or "none"
    raise NotFoundError(f"no {kind} {name!r} is declared in this project (declared: {known}); see: ratoon check")


def utc_now() -> datetime:
    """Return the wall clock's time, aware UTC."""
    return datetime.now(UTC)


def build(settings: Settings, *, publish: Publish | None = None, clock: Callable[[], datetime] | None = None) -> Ratoon:
    """Build the application of a project.

    Args:
        settings: Its settings.
        publish: How messages reach the workers; none: through the broker of the settings.
        clock: What time it is; none: this host's clock, and for leases the database server's where it has one.
    """
    loaded = load_project(settings.project)
    ledger = Ledger(settings.ledger_url, clock=clock)
    return Ratoon(
        settings=settings,
        project=loaded.project,
        problems=tuple(loaded.problems),
        ledger=ledger,
        publish=publish or publisher(settings),
        clock=clock or utc_now,
    )
