"""Profiles: what one batch holds, in counts that add up over batches."""

from ratoon.profiles.binning import MIN_ROWS, Binning, ColumnBinning, make_binning
from ratoon.profiles.merging import merge
from ratoon.profiles.profiling import PROFILE_SCHEMA, profile

__all__ = ["MIN_ROWS", "PROFILE_SCHEMA", "Binning", "ColumnBinning", "make_binning", "merge", "profile"]
