"""The ledger: the only source of truth about batches, decisions, retrains and champions."""

from ratoon.ledger.alerts import Alerts
from ratoon.ledger.batches import Batches
from ratoon.ledger.decisions import Decisions
from ratoon.ledger.deliveries import Deliveries
from ratoon.ledger.events import Events
from ratoon.ledger.invariants import Invariants
from ratoon.ledger.lineage import LineageQuestions
from ratoon.ledger.measurements import Measurements
from ratoon.ledger.models import Models
from ratoon.ledger.outbox import Outbox
from ratoon.ledger.outcomes import Outcomes
from ratoon.ledger.profiles import Profiles
from ratoon.ledger.questions import Questions
from ratoon.ledger.reconcile import Reconciler
from ratoon.ledger.reporting import Reporting
from ratoon.ledger.retrains import Retrains
from ratoon.ledger.scorings import Scorings
from ratoon.ledger.versions import Versions
from ratoon.ledger.workers import Workers


class Ledger(
    Batches,
    Events,
    Models,
    Decisions,
    Retrains,
    Outcomes,
    Versions,
    Reconciler,
    Profiles,
    Scorings,
    Outbox,
    Reporting,
    Questions,
    LineageQuestions,
    Alerts,
    Deliveries,
    Workers,
    Measurements,
    Invariants,
):
    """The ledger on SQLite or PostgreSQL. Every method is one short transaction, or says otherwise.

    Each arrow of a retrain is one guarded update, first in its transaction, with unique keys as the net.
    Nothing is edited in place: a rollback is a new promotion, and terminal states never change. What
    comes back are frozen records. Driver errors come as BackendError (it may pass) or ConflictError.

    Args:
        engine_url: ``sqlite:///path`` or ``postgresql+psycopg2://...``.
        clock: What time it is, for leases, deadlines and ``recorded_at``; None means the server's clock on
            PostgreSQL and this host's on SQLite. Times that decisions are about (``as_of``, ``now``, ``at``)
            are arguments.

    Example:
        >>> ledger = Ledger("sqlite:////tmp/ledger.db")
        >>> ledger.migrate()  # doctest: +SKIP
    """

    def migrate(self) -> None:
        """Bring the database to this Ratoon's schema; doing it again changes nothing.

        Raises:
            LedgerError: A newer Ratoon wrote the database.
        """
        from ratoon.ledger.schema import migrate  # Alembic costs 0.1 s that readers need not pay

        migrate(self.engine)
