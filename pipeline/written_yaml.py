"""YAML that people write: a key that stands twice is refused, where YAML would let the last one count and say nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import ConstructorError


class _EachKeyOnce(yaml.SafeLoader):
    def compose_mapping_node(self, anchor: dict[Any, Any]) -> yaml.MappingNode:
        """A mapping as it is written, before another one is merged into it."""
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen = set[str]()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise ConstructorError(None, None, f"{key.value} stands there twice, on line {key.start_mark.line + 1}")
            seen.add(key.value)
        return node


def read(path: Path) -> Any:
    """What a file says in plain values; raises OSError, UnicodeDecodeError or yaml.YAMLError where it cannot be read."""
    return yaml.load(path.read_text(encoding="utf-8"), Loader=_EachKeyOnce)
