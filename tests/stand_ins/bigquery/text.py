"""Positions in SQL text: the span of a node of Google's parse tree, and edits that keep every line where it was."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message


@dataclass(frozen=True)
class Span:
    """Byte positions in the UTF-8 text."""

    start: int
    end: int

    def of(self, text: str) -> str:
        """The text of the span."""
        return text.encode()[self.start : self.end].decode()

    def alone_in(self, text: str) -> str:
        """The text of the span with everything before it blanked, so that an error names the right line and column."""
        data = text.encode()
        before = data[: self.start].decode()
        return "".join(character if character == "\n" else " " for character in before) + self.of(text)


def span(node: Message) -> Span:
    """Where a parse node stands."""
    found: Any = node
    while not hasattr(found, "parse_location_range"):
        found = found.parent if hasattr(found, "parent") else found.ListFields()[0][1]
    return Span(found.parse_location_range.start, found.parse_location_range.end)


@dataclass(frozen=True)
class Edit:
    """A replacement of a span."""

    where: Span
    by: str


def edited(text: str, edits: Iterable[Edit]) -> str:
    """The text with its edits made."""
    data = text.encode()
    for edit in sorted(edits, key=lambda edit: edit.where.start, reverse=True):
        data = data[: edit.where.start] + edit.by.encode() + data[edit.where.end :]
    return data.decode()


def only(message: Message) -> Any:
    """The node inside wrappers of the parse tree."""
    while type(message).__name__.startswith("Any"):
        message = message.ListFields()[0][1]
    return message


def names(path: Any) -> tuple[str, ...]:
    """The names of a path expression, dots inside backticks taken apart."""
    parts = tuple(name.id_string for name in only(path).names)
    return tuple(".".join(parts).split("."))


def quoted(name: str) -> str:
    """An identifier in backticks."""
    return f"`{name}`"
