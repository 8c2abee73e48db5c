"""Writes the reference pages from the code: ``python tests/examples/reference.py``. A test compares them."""

import importlib
import types
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from docstring_parser import parse
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from ratoon.cli.commands import COMMANDS, build_app
from ratoon.declarations import DatasetSpec, ModelSpec
from ratoon.instants import format_duration
from ratoon.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"

_INTRODUCTION = """\
# Declarations

*Written from the code by `python tests/examples/reference.py`.*

A project declares in `defs.yaml` files, anywhere below `<package>/defs`; several documents in a file are separated by `---`. A document has a `type`, `ratoon.Dataset` or `ratoon.RetrainedModel`, and its `attributes`. Unknown keys are refused. A text may hold `{{ env('NAME', 'default') }}`. Durations are written as `90s`, `15m`, `7d`, `2w`, `1d12h`. Names are small letters, digits and underscores.

`ratoon schema` writes `.schema/dataset.json` and `.schema/model.json`; with `# yaml-language-server: $schema=...` in its first line a file is completed and checked by editors. `ratoon check` checks all of it, and what must hold between declarations.
"""

_SETTINGS = """\
# Settings

*Written from the code by `python tests/examples/reference.py`.*

Each is read from the environment as `RATOON_<NAME>`, else from `ratoon.toml` in the project's folder.
"""

_COMMANDS = """\
# Commands

*Written from the code by `python tests/examples/reference.py`.*

Every command takes `--json` (one JSON document on standard output; errors are a JSON record on standard error), `--project PATH` (otherwise the project that the working directory lies in) and `--help`. `NO_COLOR` is honoured.

| Exit code | Means |
|---|---|
| 0 | done |
| 1 | failed |
| 2 | wrong usage |
| 3 | refused by a guard or gate; nothing changed |
"""


def declarations() -> str:
    """Return the page about declarations: every model with every field."""
    seen: list[type[BaseModel]] = []
    parts = [_INTRODUCTION]
    for title, spec in (("ratoon.Dataset", DatasetSpec), ("ratoon.RetrainedModel", ModelSpec)):
        parts.append(f"## {title}\n\n{_text(spec)}\n\n{_fields(spec)}")
        for model in _inner(spec, seen):
            parts.append(f"### {model.__name__}\n\n{_text(model)}\n\n{_fields(model)}")
    return "\n".join(parts)


def settings() -> str:
    """Return the page about settings."""
    return f"{_SETTINGS}\n{_fields(Settings)}"


def command_line() -> str:
    """Return the page about commands: usage, arguments and examples of each."""
    app = build_app()
    parts = [_COMMANDS]
    for command in COMMANDS:
        resolved = app[command.name]
        function = _function(command.target)
        described = {found.arg_name: found.description for found in parse(function.__doc__ or "").params}
        rows = []
        for argument in resolved.assemble_argument_collection():
            names = [name for name in argument.names if name not in ("--json", "--project")]
            if not names or not argument.show:
                continue
            shown = argument.names[0].removeprefix("--").upper() if argument.index is not None else argument.names[0]
            default = argument.field_info.default
            required = "required" if argument.required else "" if default in (None, False) else f"default {default}"
            meaning = " ".join((described.get(argument.field_info.name) or "").split())
            rows.append(f"| `{shown}` | {required} | {meaning} |")
        table = "| Argument | | Meaning |\n|---|---|---|\n" + "\n".join(rows) + "\n\n" if rows else ""
        examples = "```sh\n" + "\n".join(command.examples) + "\n```\n"
        parts.append(f"## {command.name}\n\n{_details(function, command.summary)}\n\n{table}{examples}")
    return "\n".join(parts)


PAGES = {
    DOCS / "reference" / "declarations.md": declarations,
    DOCS / "reference" / "settings.md": settings,
    DOCS / "reference" / "cli.md": command_line,
}
"""Each generated page and what writes it."""


def _function(target: str) -> Callable[..., int]:
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(f"ratoon.cli.{module}"), name)  # type: ignore[no-any-return]


def _details(function: Callable[..., int], summary: str) -> str:
    more = " ".join((parse(function.__doc__ or "").long_description or "").split())
    return f"{summary}\n\n{more}" if more else summary


def _text(model: type[BaseModel]) -> str:
    return "\n".join(line.strip() for line in (model.__doc__ or "").strip().splitlines()).replace("``", "`")


def _fields(model: type[BaseModel]) -> str:
    rows = [
        f"| `{name}` | {_type(field)} | {_default(field)} | {_meaning(field)} |"
        for name, field in model.model_fields.items()
    ]
    return "| Key | Type | Default | Meaning |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"


def _meaning(field: FieldInfo) -> str:
    limits = [f"{name} {value}" for item in field.metadata for name, value in _limits(item)]
    text = (field.description or "").replace("|", "\\|")
    return " ".join(part for part in (text, f"({', '.join(limits)})" if limits else "") if part)


def _limits(item: Any) -> Iterator[tuple[str, Any]]:
    words = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
    for name, word in words.items():
        value = getattr(item, name, None)
        if value is not None:
            yield word, value


def _default(field: FieldInfo) -> str:
    value = field.default
    if field.is_required():
        return "required"
    if value is PydanticUndefined or value is None:
        return "none"
    if value == ["all"]:
        return "`[all]`"
    if isinstance(value, BaseModel):
        return "see below"
    if hasattr(value, "total_seconds"):
        return f"`{format_duration(value)}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value.value if isinstance(value, Enum) else value}`" if value not in ("", [], {}) else "empty"


def _type(field: FieldInfo) -> str:
    return _named(field.annotation).replace("|", "\\|")


def _named(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _named(arguments[0])
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_named(item) for item in arguments if item is not type(None)))
    if origin is list:
        return f"list of {_named(arguments[0])}"
    if origin is dict:
        return f"mapping to {_named(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    words = {
        "str": "text",
        "int": "integer",
        "float": "number",
        "bool": "boolean",
        "timedelta": "duration",
        "Path": "path",
    }
    return words.get(getattr(annotation, "__name__", "Any"), "any")


def _inner(model: type[BaseModel], seen: list[type[BaseModel]]) -> Iterator[type[BaseModel]]:
    for field in model.model_fields.values():
        for found in _models_in(field.annotation):
            if found not in seen:
                seen.append(found)
                yield found
                yield from _inner(found, seen)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for item in get_args(annotation):
        yield from _models_in(item)


def main() -> None:
    """Write every page."""
    for path, write in PAGES.items():
        path.write_text(write(), encoding="utf-8")


if __name__ == "__main__":
    main()
