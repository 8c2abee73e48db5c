"""The ledger: what happened, what was decided, what came of it. SQLite or PostgreSQL."""

from ratoon.ledger.ledger import Ledger

__all__ = ["Ledger"]
