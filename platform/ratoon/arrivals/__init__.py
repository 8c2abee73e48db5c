"""Where batches land: the port and its adapters."""

from ratoon.arrivals.folder import FolderSourceAdapter
from ratoon.arrivals.source import Arrival, Source

__all__ = ["Arrival", "FolderSourceAdapter", "Source"]
