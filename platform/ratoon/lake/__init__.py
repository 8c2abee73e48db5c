"""The lake: what arrived, what was set aside and what was predicted, as Delta tables."""

from ratoon.lake.lake import Kind, Lake

__all__ = ["Kind", "Lake"]
