"""Field masks: `sheets(properties(sheetId,title),data.rowData)` as a tree, and what an answer or a change keeps of it."""

from __future__ import annotations

import re
from typing import Any

from stand_ins.google_sheets.errors import invalid

Tree = dict[str, Any]  # name to sub-tree; an empty one stands for everything below


def parse(mask: str) -> Tree:
    """The tree of a mask; raises 400 where it is none."""
    tokens = re.findall(r"[A-Za-z0-9_*]+|[().,/]", mask.replace(" ", ""))
    if "".join(tokens) != mask.replace(" ", ""):
        raise invalid(f"Invalid field mask: {mask}")
    tree, rest = _list(tokens)
    if rest:
        raise invalid(f"Invalid field mask: {mask}")
    return tree


def _list(tokens: list[str]) -> tuple[Tree, list[str]]:
    tree: Tree = {}
    while tokens:
        tokens = _path(tokens, tree)
        if not tokens or tokens[0] != ",":
            break
        tokens = tokens[1:]
    return tree, tokens


def _path(tokens: list[str], tree: Tree) -> list[str]:
    name, tokens = tokens[0], tokens[1:]
    inner: Tree = tree.setdefault(name, {})
    if tokens and tokens[0] in "./":
        return _path(tokens[1:], inner)
    if tokens and tokens[0] == "(":
        below, tokens = _list(tokens[1:])
        inner.update(below)
        if not tokens or tokens[0] != ")":
            raise invalid("Invalid field mask: a bracket is open")
        return tokens[1:]
    return tokens


def kept(content: Any, tree: Tree) -> Any:
    """What of an answer a mask keeps."""
    if not tree or "*" in tree:
        return content
    if isinstance(content, list):
        return [kept(each, tree) for each in content]
    if not isinstance(content, dict):
        return content
    return {name: kept(content[name], below) for name, below in tree.items() if name in content}


def names(tree: Tree, name: str) -> bool:
    """Whether a mask asks for a member."""
    return not tree or "*" in tree or name in tree


def merged(old: Any, new: Any, tree: Tree) -> Any:
    """An object after the members that a mask names were taken from another; a member that is not there is cleared."""
    if not tree or "*" in tree:
        return new
    made = dict(old or {})
    for name, below in tree.items():
        value = (new or {}).get(name)
        changed = merged(made.get(name), value, below) if below else value
        if changed in (None, {}, ""):
            made.pop(name, None)
        else:
            made[name] = changed
    return made
