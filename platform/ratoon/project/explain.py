"""pydantic's errors in the words of the YAML that caused them."""

import difflib
import re
import types
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from ratoon.errors import DeclarationError
from ratoon.project.documents import Document, KeyPath

_MAX_SHOWN = 80
_QUOTED = re.compile(r"'([^']*)'")


def explain(
    error: ValidationError, spec: type[BaseModel], document: Document, value: Any, prefix: KeyPath
) -> list[DeclarationError]:
    """Return one error per wrong key of a document, in the order of their lines.

    Args:
        error: What pydantic found.
        spec: The declaration that was expected.
        document: Where it was written.
        value: The part of the document that was validated.
        prefix: Path of that part in the document.
    """
    messages: dict[KeyPath, list[str]] = {}
    for entry in error.errors():
        path = _written_path(value, entry["loc"], entry["type"])
        message = _message(entry, _models_at(spec, value, path[:-1]), path)
        if message not in messages.setdefault(path, []):
            messages[path].append(message)
    problems = [document.problem((*prefix, *path), " or ".join(found)) for path, found in messages.items()]
    return sorted(problems, key=lambda problem: problem.line)


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` for the known word that is closest, or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _written_path(value: Any, loc: tuple[int | str, ...], kind: str) -> KeyPath:
    """Drop what pydantic adds to a location: tags of unions and names of validators stand in no YAML."""
    path: list[str | int] = []
    for index, part in enumerate(loc):
        is_key = isinstance(value, dict) and part in value
        is_item = isinstance(value, list) and isinstance(part, int) and part < len(value)
        if is_key or is_item:
            path.append(part)
            value = value[part]
        elif kind == "missing" and index == len(loc) - 1:
            path.append(part)
    return tuple(path)


def _message(entry: Mapping[str, Any], models: list[type[BaseModel]], path: KeyPath) -> str:  # noqa: PLR0911 - a table
    got = _shown(entry.get("input"))
    match entry["type"]:
        case "missing":
            return f"is missing{_described(models, str(path[-1]))}"
        case "extra_forbidden":
            known = sorted({name for model in models for name in model.model_fields})
            return f"unknown key; allowed here: {', '.join(known)}{suggestion(str(path[-1]), known)}"
        case "literal_error":
            expected = entry["ctx"]["expected"]
            return f"is {got}; expected {expected}{suggestion(str(entry['input']), _QUOTED.findall(expected))}"
        case "union_tag_not_found":
            return f"needs a key {entry['ctx']['discriminator']}"
        case "union_tag_invalid":
            expected = entry["ctx"]["expected_tags"]
            tag = entry["ctx"]["tag"]
            return f"kind is {tag!r}; expected one of {expected}{suggestion(tag, _QUOTED.findall(expected))}"
        case "value_error":
            return str(entry["ctx"]["error"])
        case _:
            text = entry["msg"]
            return f"{text[0].lower()}{text[1:]}, not {got}"


def _described(models: list[type[BaseModel]], key: str) -> str:
    found = (model.model_fields[key].description for model in models if key in model.model_fields)
    return next((f": {text}" for text in found if text), "")


def _shown(value: Any) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"


def _models_at(spec: type[BaseModel], value: Any, path: KeyPath) -> list[type[BaseModel]]:
    """Return the models that may stand at a path; where the document names a ``kind``, only those of that kind."""
    found: list[Any] = [spec]
    for part in path:
        found = [inner for outer in found for inner in _step(outer, part)]
        value = value[part]
    models = [item for item in found if isinstance(item, type) and issubclass(item, BaseModel)]
    kind = value.get("kind") if isinstance(value, dict) else None
    return [model for model in models if _is_kind(model, kind)] or models


def _is_kind(model: type[BaseModel], kind: Any) -> bool:
    field = model.model_fields.get("kind")
    return field is not None and kind in get_args(field.annotation)


def _step(outer: Any, part: str | int) -> list[Any]:
    if isinstance(outer, type) and issubclass(outer, BaseModel):
        field = outer.model_fields.get(str(part))
        return [] if field is None else _alternatives(field.annotation)
    args = get_args(outer)
    if get_origin(outer) is list and isinstance(part, int):
        return _alternatives(args[0])
    if get_origin(outer) is dict:
        return _alternatives(args[1])
    return []


def _alternatives(annotation: Any) -> list[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _alternatives(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [inner for item in get_args(annotation) for inner in _alternatives(item)]
    return [annotation]
