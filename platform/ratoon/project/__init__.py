"""A project's folder: find it, load what it declares, say what is wrong with it. Imports no Dagster, no polars."""

from ratoon.project.documents import Document
from ratoon.project.features import feature_problem
from ratoon.project.layout import defs_files, find_project, is_project
from ratoon.project.loading import TYPES, LoadedProject, SourceSpan, load_project
from ratoon.project.schema import document_schema, write_schemas

__all__ = [
    "TYPES",
    "Document",
    "LoadedProject",
    "SourceSpan",
    "defs_files",
    "document_schema",
    "feature_problem",
    "find_project",
    "is_project",
    "load_project",
    "write_schemas",
]
