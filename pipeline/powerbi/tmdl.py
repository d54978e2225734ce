"""TMDL as text: names in quotation marks where they need them, one tab a level, expressions below what they define."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Sequence
from textwrap import indent

_PLAIN = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://neopulse.example/powerbi")


def name(text: str) -> str:
    """A name as TMDL writes it."""
    return text if _PLAIN.fullmatch(text) else "'" + text.replace("'", "''") + "'"


def lineage(*parts: str) -> str:
    """The lineage tag of the object of that name: the same in every generation, so that reports and git find it again."""
    return str(uuid.uuid5(_NAMESPACE, "/".join(parts)))


def block(first: str, parts: Iterable[str], *, description: str = "") -> str:
    """An object: what is said of it, its declaration, and below it, one level deeper, its properties and children."""
    said = f"/// {description}\n" if description else ""
    body = "\n".join(part for part in parts if part)
    return f"{said}{first}\n" + (deeper(body) if body else "")


def expression(first: str, text: str, properties: Sequence[str] = (), *, description: str = "") -> str:
    """An object that is an expression, on its line where it is one line, else two levels deeper, as Power BI writes it."""
    if "\n" not in text:
        return block(f"{first} = {text}", properties, description=description)
    said = f"/// {description}\n" if description else ""
    return f"{said}{first} =\n{deeper(deeper(text))}\n" + deeper("\n".join(properties))


def paragraphs(parts: Iterable[str]) -> str:
    """Objects with an empty line between them."""
    return "\n\n".join(part.rstrip("\n") for part in parts if part) + "\n"


def deeper(text: str) -> str:
    """The text one level deeper."""
    return indent(text, "\t")


def annotation(key: str, value: str) -> str:
    """An annotation, with the empty line that goes before it."""
    return f"\nannotation {key} = {value}"
