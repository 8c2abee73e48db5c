"""JSON Schemas of the YAML documents: completion and hints in editors."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ratoon.declarations import DatasetSpec, ModelSpec
from ratoon.project.loading import TYPES

FILES: Mapping[str, str] = {"ratoon.Dataset": "dataset.json", "ratoon.RetrainedModel": "model.json"}
"""The file of each type's schema below ``.schema``."""

_DURATION = {"type": "string", "pattern": r"^(\d+(\.\d+)?[smhdw])+$", "examples": ["90s", "15m", "7d", "1d12h"]}


def document_schema(kind: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a whole document of a type, ``type`` and ``attributes`` included."""
    spec: type[DatasetSpec | ModelSpec] = TYPES[kind]
    attributes = _with_durations(spec.model_json_schema())
    definitions = attributes.pop("$defs", {})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": kind,
        "type": "object",
        "properties": {"type": {"const": kind, "description": f"Always {kind}."}, "attributes": attributes},
        "required": ["type", "attributes"],
        "$defs": definitions,
    }


def write_schemas(root: Path) -> list[Path]:
    """Write the schemas below ``<root>/.schema`` and return their paths."""
    folder = root / ".schema"
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for kind, name in FILES.items():
        path = folder / name
        path.write_text(json.dumps(document_schema(kind), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        paths.append(path)
    return paths


def _with_durations(value: Any) -> Any:
    """Replace pydantic's ISO 8601 durations by the form that Ratoon reads, such as 7d."""
    match value:
        case {"type": "string", "format": "duration", **rest}:
            return {**rest, **_DURATION}
        case dict():
            return {key: _with_durations(item) for key, item in value.items()}
        case list():
            return [_with_durations(item) for item in value]
        case _:
            return value
