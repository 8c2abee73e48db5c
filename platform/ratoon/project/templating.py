"""The one template that declarations may hold: ``{{ env('NAME', 'default') }}``."""

import re
from collections.abc import Mapping
from typing import Any

from ratoon.errors import DeclarationError
from ratoon.project.documents import Document, KeyPath

_ENV = re.compile(r"""\{\{\s*env\(\s*(['"])(?P<name>\w+)\1\s*(?:,\s*(['"])(?P<default>[^'"]*)\3\s*)?\)\s*\}\}""")


def render(document: Document, env: Mapping[str, str]) -> tuple[Any, list[DeclarationError]]:
    """Replace the environment templates of a document's texts.

    Returns:
        The value with every template replaced, and an error for each that can't be: an unset variable
        without a default, or any other expression. Dagster would accept more; Ratoon reads the same file without it.
    """
    problems: list[DeclarationError] = []

    def replace(path: KeyPath, text: str) -> str:
        def value_of(match: re.Match[str]) -> str:
            value = env.get(match["name"], match["default"])
            if value is None:
                problems.append(
                    document.problem(
                        path,
                        f"environment variable {match['name']} is not set; set it, or write a default: "
                        f"env('{match['name']}', '...')",
                    )
                )
            return value or ""

        rendered = _ENV.sub(value_of, text)
        if "{{" in _ENV.sub("", text):
            problems.append(
                document.problem(
                    path,
                    "only {{ env('NAME', 'default') }} may be used in a Ratoon declaration; write the value itself",
                )
            )
        return rendered

    return _mapped(document.value, (), replace), problems


def _mapped(value: Any, path: KeyPath, replace: Any) -> Any:
    match value:
        case str():
            return replace(path, value) if "{{" in value else value
        case dict():
            return {key: _mapped(item, (*path, str(key)), replace) for key, item in value.items()}
        case list():
            return [_mapped(item, (*path, index), replace) for index, item in enumerate(value)]
        case _:
            return value
