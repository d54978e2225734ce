"""A small evaluator of DAX, for the expressions of our measures and roles: written from the language's reference, on its own.

What it knows: filter context by column, filters that pass from the one side of a relationship to the many, CALCULATE with
conditions on one column (they replace what filters that column), blanks, and some functions. Anything else is refused. Dates are
days since 1970; text compares without regard to case, as in Power BI.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

EPOCH = date(1970, 1, 1)
Value = Any
Column = tuple[str, str]
Node = tuple[Any, ...]

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?)|\"(?P<text>(?:[^\"]|\"\")*)\"|(?P<column>\w+\[[^\]]+\]|'[^']+'\[[^\]]+\])"
    r"|(?P<measure>\[[^\]]+\])|(?P<name>[A-Za-z_]\w*)|(?P<sign>&&|\|\||<=|>=|<>|[-+*/&=<>(),{}]))"
)
_LEVELS = (("||",), ("&&",), ("=", "<", ">", "<=", ">=", "<>", "IN"), ("&",), ("+", "-"), ("*", "/"))


def days(moment: date) -> int:
    """A date as this evaluator has it."""
    return (moment - EPOCH).days


def parse(text: str) -> Node:
    """The expression as a tree; raises SyntaxError where it is none that this evaluator knows."""
    parser = _Parser(_tokens(text))
    tree = parser.whole()
    if parser.left:
        raise SyntaxError(f"what is {parser.left[0]} doing here? {text}")
    return tree


def _tokens(text: str) -> list[tuple[str, str]]:
    found, place, end = [], 0, len(text.rstrip())
    while place < end:
        match = _TOKEN.match(text, place)
        if match is None:
            raise SyntaxError(f"not DAX: {text[place : place + 30]!r}")
        kind = str(match.lastgroup)
        found.append(
            (kind, match[kind].upper() if kind == "name" and match[kind].upper() in ("VAR", "RETURN", "IN") else match[kind])
        )
        place = match.end()
    return found


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self.left = tokens

    def take(self, text: str = "") -> tuple[str, str]:
        if not self.left or (text and self.left[0][1] != text):
            raise SyntaxError(f"{text or 'something'} is missing before {self.left[:1]}")
        return self.left.pop(0)

    def sees(self, *texts: str) -> bool:
        return bool(self.left) and self.left[0][0] in ("sign", "name") and self.left[0][1] in texts

    def whole(self) -> Node:
        if not self.sees("VAR"):
            return self.level(0)
        variables = []
        while self.sees("VAR"):
            self.take("VAR")
            name = self.take()[1]
            self.take("=")
            variables.append((name, self.level(0)))
        self.take("RETURN")
        return ("let", tuple(variables), self.level(0))

    def level(self, depth: int) -> Node:
        if depth == len(_LEVELS):
            return self.single()
        tree = self.level(depth + 1)
        while self.sees(*_LEVELS[depth]):
            sign = self.take()[1]
            tree = (sign, tree, self.listed() if sign == "IN" else self.level(depth + 1))
        return tree

    def listed(self) -> Node:
        self.take("{")
        return ("list", *self.arguments("}"))

    def arguments(self, end: str) -> list[Node]:
        found: list[Node] = []
        while not self.sees(end):
            if found:
                self.take(",")
            found.append(self.level(0))
        self.take(end)
        return found

    def single(self) -> Node:
        kind, text = self.take()
        match kind:
            case "number":
                return ("constant", float(text))
            case "text":
                return ("constant", text.replace('""', '"'))
            case "measure":
                return ("measure", text[1:-1])
            case "column":
                table, _, column = text.partition("[")
                return ("column", (table.strip("'"), column[:-1]))
            case "name" if self.sees("("):
                self.take("(")
                return ("call", text.upper(), *self.arguments(")"))
            case "name":
                return ("name", text)
            case "sign" if text == "(":
                tree = self.whole()
                self.take(")")
                return tree
            case "sign" if text == "-":
                return ("*", ("constant", -1.0), self.single())
        raise SyntaxError(f"{text} cannot begin an expression")


@dataclass(frozen=True)
class Model:
    """Rows by table and column, the measures' texts, and relationships from a column of many to one of one."""

    tables: Mapping[str, Mapping[str, np.ndarray]]
    measures: Mapping[str, str]
    relationships: tuple[tuple[Column, Column], ...]
    culture: str = "en-US"
    _trees: dict[str, Node] = field(default_factory=dict)
    _joins: dict[tuple[Column, Column], np.ndarray] = field(default_factory=dict)

    def tree(self, name: str) -> Node:
        """The measure's expression."""
        if name not in self._trees:
            self._trees[name] = parse(self.measures[name])
        return self._trees[name]

    def join(self, many: Column, one: Column) -> np.ndarray:
        """For each row of the many the place of its row among the one; its end where it has none."""
        if (many, one) not in self._joins:
            keys = self.tables[one[0]][one[1]]
            places = {key: place for place, key in enumerate(keys)}
            assert len(places) == len(keys), f"{one} is not unique"
            self._joins[many, one] = np.array([places.get(key, len(keys)) for key in self.tables[many[0]][many[1]]])
        return self._joins[many, one]

    def evaluate(self, measure: str, filters: Mapping[Column, Value] | None = None, *, role: Role | None = None) -> Value:
        """The value of a measure where columns are filtered to one value each."""
        chosen = {column: _equal_to(self, column, value) for column, value in (filters or {}).items()}
        return _Context(self, chosen, role.visible(self) if role else {}).value(self.tree(measure), {})


@dataclass(frozen=True)
class Role:
    """The conditions of a role by table."""

    conditions: Mapping[str, str]

    def visible(self, model: Model) -> dict[str, np.ndarray]:
        """The rows that the role sees of each table that has a condition."""
        return {table: _rows(model, table, parse(condition)) for table, condition in self.conditions.items()}


def columns_of(table: pa.Table, names: Mapping[str, str]) -> dict[str, np.ndarray]:
    """The columns of a file under their names in the model: text in small letters beside as it is, dates as days."""
    return {name: _array(table[source]) for source, name in names.items()}


def _array(column: pa.ChunkedArray) -> np.ndarray:
    if pa.types.is_date(column.type):
        return np.array([math.nan if value is None else float(days(value)) for value in column.to_pylist()])
    if pa.types.is_string(column.type):
        return np.array(column.to_pylist(), dtype=object)
    if pa.types.is_boolean(column.type):
        return np.array([bool(value) for value in column.to_pylist()])
    return np.array([math.nan if value is None else float(value) for value in column.to_pylist()])


def _same(left: np.ndarray, right: Value) -> np.ndarray:
    if isinstance(right, str):
        return np.array([isinstance(value, str) and value.casefold() == right.casefold() for value in left])
    return left == right


def _equal_to(model: Model, column: Column, value: Value) -> np.ndarray:
    return _same(model.tables[column[0]][column[1]], days(value) if isinstance(value, date) else value)


def _rows(model: Model, table: str, tree: Node) -> np.ndarray:
    """A condition on the rows of one table: columns of it against constants, joined by &&."""
    if tree[0] == "&&":
        return _rows(model, table, tree[1]) & _rows(model, table, tree[2])
    assert tree[0] == "=", f"a role's condition is an equality: {tree}"
    assert tree[1][0] == "column"
    assert tree[1][1][0] == table, f"{tree[1][1]} is of another table than {table}"
    return _same(model.tables[table][tree[1][1][1]], tree[2][1])


@dataclass(frozen=True)
class _Context:
    """A filter context: which rows each filtered column leaves, and which rows the reader's role leaves of each table."""

    model: Model
    filters: Mapping[Column, np.ndarray]
    secured: Mapping[str, np.ndarray]

    def rows(self, table: str) -> np.ndarray | None:
        """The rows of a table that are left; None is all of them."""
        masks = [mask for (filtered, _), mask in self.filters.items() if filtered == table]
        if table in self.secured:
            masks.append(self.secured[table])
        for many, one in self.model.relationships:
            if many[0] == table and (left := self.rows(one[0])) is not None:
                masks.append(np.append(left, False)[self.model.join(many, one)])
        return np.logical_and.reduce(masks) if masks else None

    def values(self, column: Column) -> np.ndarray:
        """The values of a column in the rows that are left, without blanks."""
        found, left = self.model.tables[column[0]][column[1]], self.rows(column[0])
        kept = found if left is None else found[left]
        return kept[~np.isnan(kept)] if kept.dtype == float else kept

    def value(self, tree: Node, known: Mapping[str, Value]) -> Value:
        match tree:
            case ("constant", value):
                return value
            case ("name", name):
                return known[name]
            case ("measure", name):
                return self.value(self.model.tree(name), {})
            case ("let", variables, result):
                inner = dict(known)
                for name, text in variables:
                    inner[name] = self.value(text, inner)
                return self.value(result, inner)
            case ("IN", left, ("list", *allowed)):
                return _text(self.value(left, known)).casefold() in [_text(self.value(one, known)).casefold() for one in allowed]
            case ("call", name, *arguments):
                return _FUNCTIONS[name](self, known, *arguments)
            case (sign, left, right) if sign in _OPERATORS:
                return _OPERATORS[sign](self.value(left, known), self.value(right, known))
        raise NotImplementedError(f"{tree} is beyond this evaluator")

    def calculate(self, known: Mapping[str, Value], expression: Node, *conditions: Node) -> Value:
        """CALCULATE: each condition replaces what filters its column; its other side is evaluated outside."""
        filters = dict(self.filters)
        for sign, column, right in conditions:
            assert (sign, column[0]) == ("=", "column"), "a condition is column = value"
            filters[column[1]] = _same(self.model.tables[column[1][0]][column[1][1]], self.value(right, known))
        return replace(self, filters=filters).value(expression, known)


def _number(value: Value) -> float:
    return 0.0 if value is None else float(value)


def _text(value: Value) -> str:
    return "" if value is None else str(value)


def _plus(left: Value, right: Value) -> Value:
    return None if left is None and right is None else _number(left) + _number(right)


def _times(left: Value, right: Value) -> Value:
    return None if left is None or right is None else left * right


def _over(left: Value, right: Value) -> Value:
    return None if left is None else left / _number(right)


def _compared(left: Value, right: Value) -> int:
    if isinstance(left, str) or isinstance(right, str):
        one, other = _text(left).casefold(), _text(right).casefold()
        return (one > other) - (one < other)
    return (_number(left) > _number(right)) - (_number(left) < _number(right))


_OPERATORS: dict[str, Callable[[Value, Value], Value]] = {
    "+": _plus,
    "-": lambda left, right: None if left is None and right is None else _number(left) - _number(right),
    "*": _times,
    "/": _over,
    "&": lambda left, right: _text(left) + _text(right),
    "&&": lambda left, right: bool(left) and bool(right),
    "||": lambda left, right: bool(left) or bool(right),
    "=": lambda left, right: _compared(left, right) == 0,
    "<>": lambda left, right: _compared(left, right) != 0,
    "<": lambda left, right: _compared(left, right) < 0,
    ">": lambda left, right: _compared(left, right) > 0,
    "<=": lambda left, right: _compared(left, right) <= 0,
    ">=": lambda left, right: _compared(left, right) >= 0,
}


def _extreme(choose: Callable[..., Any]) -> Callable[..., Value]:
    """MAX and MIN: of a column, or of two values."""

    def evaluate(context: _Context, known: Mapping[str, Value], first: Node, second: Node | None = None) -> Value:
        if second is not None:
            return choose(_number(context.value(first, known)), _number(context.value(second, known)))
        found = context.values(first[1])
        return choose(found) if len(found) else None

    return evaluate


def _sum(context: _Context, _known: Mapping[str, Value], column: Node) -> Value:
    found = context.values(column[1])
    return float(found.sum()) if len(found) else None


def _count_rows(context: _Context, _known: Mapping[str, Value], table: Node) -> Value:
    left = context.rows(table[1])
    total = len(next(iter(context.model.tables[table[1]].values()))) if left is None else int(left.sum())
    return total or None


def _distinct(context: _Context, column: Node) -> list[Value]:
    return sorted(set(context.values(column[1]).tolist()))


def _selected(context: _Context, known: Mapping[str, Value], column: Node, other: Node | None = None) -> Value:
    found = _distinct(context, column)
    if len(found) == 1:
        return found[0]
    return None if other is None else context.value(other, known)


def _if(context: _Context, known: Mapping[str, Value], condition: Node, then: Node, other: Node | None = None) -> Value:
    if context.value(condition, known):
        return context.value(then, known)
    return None if other is None else context.value(other, known)


def _divide(context: _Context, known: Mapping[str, Value], above: Node, below: Node) -> Value:
    one, other = context.value(above, known), context.value(below, known)
    return None if not other or one is None else one / other


def _format(context: _Context, known: Mapping[str, Value], value: Node, form: Node) -> Value:
    assert form == ("constant", "yyyy-mm-dd"), "only dates are formatted here"
    return (EPOCH + timedelta(days=int(context.value(value, known)))).isoformat()


def _of_values(function: Callable[..., Value]) -> Callable[..., Value]:
    return lambda context, known, *arguments: function(*(context.value(argument, known) for argument in arguments))


def _calculate(context: _Context, known: Mapping[str, Value], *arguments: Node) -> Value:
    return context.calculate(known, *arguments)


_FUNCTIONS: dict[str, Callable[..., Value]] = {
    "CALCULATE": _calculate,
    "SUM": _sum,
    "MAX": _extreme(max),
    "MIN": _extreme(min),
    "COUNTROWS": _count_rows,
    "HASONEVALUE": lambda context, _known, column: len(_distinct(context, column)) == 1,
    "ISFILTERED": lambda context, _known, column: column[1] in context.filters,
    "SELECTEDVALUE": _selected,
    "IF": _if,
    "DIVIDE": _divide,
    "FORMAT": _format,
    "USERCULTURE": lambda context, _known: context.model.culture,
    "ISBLANK": _of_values(lambda value: value is None),
    "NOT": _of_values(lambda value: not value),
    "SQRT": _of_values(lambda value: math.sqrt(_number(value))),
    "LEFT": _of_values(lambda text, count: _text(text)[: int(count)]),
    "SUBSTITUTE": _of_values(lambda text, old, new: _text(text).replace(old, new)),
}
