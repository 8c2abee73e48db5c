"""YAML documents that remember the line of every key."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ratoon.errors import DeclarationError

KeyPath = tuple[str | int, ...]
_BOOL_TAG = "tag:yaml.org,2002:bool"
_TIMESTAMP_TAG = "tag:yaml.org,2002:timestamp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One YAML document: its value, and where each of its keys stands.

    Attributes:
        file: The file that holds the document.
        line: 1-based first line.
        end_line: 1-based last line.
        value: What the YAML says; dates stay text, as they do in Dagster.
        lines: 1-based line of every key path.
        problems: What is wrong with the document as YAML, whatever it declares.
    """

    file: Path
    line: int
    end_line: int
    value: Any
    lines: Mapping[KeyPath, int]
    problems: tuple[DeclarationError, ...] = ()

    def line_of(self, path: KeyPath) -> int:
        """Return the line of a key, or of its nearest ancestor that is written in the document."""
        return next((self.lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in self.lines), self.line)

    def problem(self, path: KeyPath, message: str) -> DeclarationError:
        """Return the error of a key of this document."""
        return DeclarationError(message, str(self.file), self.line_of(path), dotted(path))


class _Loader(yaml.SafeLoader):
    """A safe loader that leaves dates as text: a contract's ``min: 2013-01-01`` is compared as the column's type."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP_TAG]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def dotted(path: KeyPath) -> str:
    """Return a key path as people write it.

    Example:
        >>> dotted(("policy", "triggers", 0, "rows"))
        'policy.triggers[0].rows'
    """
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def read_documents(file: Path) -> tuple[list[Document], list[DeclarationError]]:
    """Read the documents of a YAML file that ``---`` separates.

    Returns:
        The documents, each with its own problems, and what makes the file unreadable: then there is no document.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        return [], [DeclarationError(f"can't be read: {exc}; expected UTF-8 text", str(file))]
    loader = _Loader(text)
    documents: list[Document] = []
    try:
        while loader.check_node():
            node = loader.get_node()
            if node is None:
                break
            document = _document(loader, node, file)
            if document.value is not None or document.problems:
                documents.append(document)
    except yaml.YAMLError as exc:
        return [], [_syntax_error(exc, file)]
    finally:
        loader.dispose()
    return documents, []


def _document(loader: _Loader, node: yaml.Node, file: Path) -> Document:
    walked = list(_walk(node, (), frozenset()))
    problems = tuple(
        DeclarationError(message, str(file), line, dotted(path)) for path, line, message in walked if message
    )
    return Document(
        file=file,
        line=node.start_mark.line + 1,
        end_line=max(node.end_mark.line, node.start_mark.line + 1),
        value=loader.construct_document(node),
        lines={path: line for path, line, _ in walked},
        problems=problems,
    )


def _walk(node: yaml.Node, path: KeyPath, above: frozenset[int]) -> Iterator[tuple[KeyPath, int, str]]:
    """Yield the path, line and, where something is wrong, the message of every key below a node."""
    line = node.start_mark.line + 1
    if id(node) in above:
        raise yaml.composer.ComposerError(None, None, "an anchor refers to itself; write it out", node.start_mark)
    elif isinstance(node, yaml.MappingNode):
        yield from _walk_mapping(node, path, above | {id(node)})
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield (*path, index), item.start_mark.line + 1, ""
            yield from _walk(item, (*path, index), above | {id(node)})
    elif node.tag == _BOOL_TAG and node.value.lower() not in ("true", "false"):
        yield path, line, f'{node.value} reads as a boolean in YAML; write "{node.value}" in quotes, or true or false'


def _walk_mapping(node: yaml.MappingNode, path: KeyPath, above: frozenset[int]) -> Iterator[tuple[KeyPath, int, str]]:
    seen: dict[str, int] = {}
    for key, value in node.value:
        line, name = key.start_mark.line + 1, str(key.value)
        repeated = f"is written twice, first on line {seen[name]}; remove one" if name in seen else ""
        seen.setdefault(name, line)
        yield (*path, name), line, repeated
        yield from _walk(value, (*path, name), above)


def _syntax_error(exc: yaml.YAMLError, file: Path) -> DeclarationError:
    mark = getattr(exc, "problem_mark", None)
    reason = getattr(exc, "problem", None) or str(exc)
    return DeclarationError(
        f"is not YAML: {reason}; check indentation, colons and quotes", str(file), mark.line + 1 if mark else 0
    )
