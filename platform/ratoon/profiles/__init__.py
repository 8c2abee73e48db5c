"""Profiles: what one batch holds, in counts that add up over batches."""

from ratoon.profiles.binning import Binning, ColumnBinning
from ratoon.profiles.codec import decode, digest, encode
from ratoon.profiles.joint import matrix
from ratoon.profiles.making import MIN_ROWS, make_binning
from ratoon.profiles.merging import merge, subtract
from ratoon.profiles.profiling import profile
from ratoon.profiles.reference import Reference, make_reference, resolves
from ratoon.profiles.schema import LENGTHS, PATTERNS, PROFILE_SCHEMA
from ratoon.profiles.sketch import distinct
from ratoon.profiles.summaries import summary

__all__ = [
    "LENGTHS",
    "MIN_ROWS",
    "PATTERNS",
    "PROFILE_SCHEMA",
    "Binning",
    "ColumnBinning",
    "Reference",
    "decode",
    "digest",
    "distinct",
    "encode",
    "make_binning",
    "make_reference",
    "matrix",
    "merge",
    "profile",
    "resolves",
    "subtract",
    "summary",
]
