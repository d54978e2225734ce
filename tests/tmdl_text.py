"""What the tests read from TMDL files: objects by their indentation, nothing of how the generator made them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

_NAME = r"(?:'((?:[^']|'')+)'|([\w-]+))"


@dataclass
class Object:
    """A declaration with what is said of it (`///`), its expression, its properties, and the objects below it."""

    kind: str
    name: str
    description: str = ""
    expression: str = ""
    properties: dict[str, str] = field(default_factory=dict)
    children: list[Object] = field(default_factory=list)

    def of(self, kind: str) -> dict[str, Object]:
        """The children of a kind by name; raises AssertionError where two share one."""
        found = [child for child in self.children if child.kind == kind]
        named = {child.name: child for child in found}
        assert len(named) == len(found), f"two of {kind} in {self.name} have the same name"
        return named


_DECLARED = (
    "table",
    "measure",
    "column",
    "partition",
    "relationship",
    "role",
    "tablePermission",
    "expression",
    "cultureInfo",
    "model",
)


def read(folder: Path) -> Object:
    """Every object of a folder `definition`, under one root."""
    root = Object("root", "")
    for path in sorted(folder.rglob("*.tmdl")):
        _read_file(path.read_text(encoding="utf-8").splitlines(), root)
    return root


def _read_file(lines: list[str], root: Object) -> None:
    above: list[tuple[int, Object]] = [(-1, root)]
    said = ""
    place = 0
    while place < len(lines):
        line = lines[place]
        place += 1
        if not line.strip():
            continue
        depth, text = len(line) - len(line.lstrip("\t")), line.strip()
        assert not line.startswith(" "), f"a line is indented by spaces: {line!r}"
        if text.startswith("///"):
            said = text[3:].strip()
            continue
        while above[-1][0] >= depth:
            above.pop()
        declared = re.match(rf"({'|'.join(_DECLARED)}) {_NAME}(?: =(.*))?$", text) or re.match(
            r"(relationship) ()([\w-]+)$", text
        )
        if declared:
            groups = declared.groups()
            one = Object(groups[0], (groups[1] or groups[2]).replace("''", "'"), said)
            above[-1][1].children.append(one)
            above.append((depth, one))
            if groups[3] is not None:
                one.expression = groups[3].strip()
                if not one.expression:
                    one.expression, place = _below(lines, place, depth + 2)
            said = ""
        elif text == "translations":
            above.append((depth, above[-1][1]))
        elif text in ("source =",):
            above[-1][1].properties["source"], place = _below(lines, place, depth + 2)
        else:
            key, _, value = text.partition(": ")
            above[-1][1].properties[key] = value
            said = ""


def _below(lines: list[str], place: int, depth: int) -> tuple[str, int]:
    """The lines from a place on that are at least so deep, without their indentation, and where they end."""
    found = []
    while place < len(lines) and (not lines[place].strip() or lines[place].startswith("\t" * depth)):
        found.append(lines[place][depth:])
        place += 1
    return "\n".join(found).rstrip(), place
