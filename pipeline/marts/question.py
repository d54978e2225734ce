"""What can be asked of a published version, and the shape of the answer."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import product
from math import prod
from typing import Any

import pyarrow as pa

from pipeline.errors import ConfigurationError, OtherEditionError, PermanentError
from pipeline.metrics import Metric

CUSTOMER_DIMENSIONS = ("country", "plan", "plan_tier", "os", "age_band", "signup_cohort")
SHORTEST_WINDOW_DAYS, LONGEST_WINDOW_DAYS = 7, 730
Where = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Question:
    """One figure, or one series of figures.

    `window` is N in days (None: the published one); `start` and `end` bound the time key, both included; `by` splits by
    a dimension; `where` keeps the customers or payments with these values: with any of several of one dimension, in every
    dimension named, whatever their order; `grain` is day, week or month; `kind` chooses between the variants of a metric;
    `cohort` is first_activity or signup. `countries` confines every figure to the customers of these countries (None: of
    all), whatever else is asked.
    """

    metric: str
    window: int | None = None
    start: date | None = None
    end: date | None = None
    by: str | None = None
    where: Where = ()
    grain: str | None = None
    kind: str | None = None
    cohort: str | None = None
    countries: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """The same filters in another order are the same question."""
        object.__setattr__(self, "where", canonical(self.where))


class ConfinedError(PermanentError):
    """A figure of all countries together, asked by somebody who sees some of them."""

    def __init__(self, what: str, countries: Sequence[str]) -> None:
        super().__init__(
            f"{what} is known for all countries together alone, and you see {', '.join(countries) or 'none'}",
            safe="Nothing was read",
            next="ask somebody who sees every country",
        )


class TogetherError(PermanentError):
    """A figure of several values of a dimension together, which is known of each of them alone."""

    def __init__(self, metric: str, dimension: str) -> None:
        super().__init__(
            f"{metric} is known of everybody and of each {dimension}, and not of several together",
            where="the question",
            safe="Nothing was read",
            next=f"ask for one {dimension}, or split by {dimension}",
        )


class OlderVersionError(OtherEditionError):
    """A metric that the version has not: it was published before the metric was there."""

    def __init__(self, metric: str, version: str) -> None:
        super().__init__(f"{version} was published before {metric} was there", version)


@dataclass(frozen=True)
class Answer:
    """The figures, and everything needed to say what they mean.

    `table` has the time key, the dimension asked for, `value` (a fraction for a share), `n` (the denominator; null for
    counts), `low` and `high` (95 %), `final_on` and `provisional`. `withheld` counts the rows whose figures were taken out
    because they are of too few customers.
    """

    question: Question
    metric: Metric
    as_of: date
    version: str
    source: str
    window: int
    rule: str
    table: pa.Table
    withheld: int = 0

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return bool(self.table.num_rows == 0)

    def rows(self) -> list[dict[str, Any]]:
        """The table row by row."""
        rows: list[dict[str, Any]] = self.table.to_pylist()
        return rows


@dataclass(frozen=True)
class Family:
    """What may be asked of the metrics that one function answers; the first of each tuple is the default."""

    dimensions: tuple[str, ...] = CUSTOMER_DIMENSIONS
    grains: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    cohorts: tuple[str, ...] = ()
    takes_range: bool = True
    """Whether `start` and `end` may be asked: not of what is about the whole history, or about as_of alone."""


@dataclass(frozen=True)
class Scope:
    """The part of a statement that a question decides: its filter, its parameters and the column that splits."""

    condition: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    by: tuple[str, ...] = ()
    dimensions: tuple[str, ...] = ()
    """Every dimension that the question names, each once."""
    confined: bool = False
    """Whether the condition holds countries that the asker is confined to."""
    unites: bool = False
    """Whether several values of a dimension that does not split are one group: a mart has several rows of it."""
    leaves_out: bool = False
    """Whether the condition leaves customers out of those that it keeps."""

    @property
    def is_added_up(self) -> bool:
        """Whether the form of a cube that is added up by dimension answers: for everybody, or for one dimension."""
        return len(self.dimensions) <= 1 and not self.confined and not self.leaves_out

    def counted(self, cube: str) -> str:
        """The rows of a cube that the question is about, with the splitting column: what stands in `from (...)`.

        A question about everybody or one dimension reads the few rows of the form added up by dimension; any other one
        the full cube, whose segments are chosen first.
        """
        if self.is_added_up:
            return self.added_up(f"{cube}_by_dimension")
        return f"""
            select cube.* exclude (segment_id){self._more}
            from marts.{cube} as cube
            inner join (select * from warehouse.dim_segments where {self.condition}) as segments using (segment_id)
        """

    def added_up(self, mart: str) -> str:
        """The same from a mart whose rows are added up by dimension; only where `is_added_up`."""
        return f"select * exclude (segment, segment_value){self._value} from marts.{mart} where {self._slice}"

    def joined(self, cube: str) -> str:
        """The same for a cube that has no form added up by dimension."""
        if not self.dimensions:
            return f"select * exclude (segment_id) from marts.{cube}"
        return f"""
            select cube.* exclude (segment_id){self._more}
            from marts.{cube} as cube
            inner join (select * from warehouse.dim_segments where {self.condition}) as segments using (segment_id)
        """

    @property
    def _more(self) -> str:
        return "".join(f", segments.{column}" for column in self.by)

    @property
    def _value(self) -> str:
        return "".join(f", segment_value as {column}" for column in self.by)

    @property
    def _slice(self) -> str:
        if not self.dimensions:
            return "segment = 'all'"
        conditions, _ = any_of([("segment_value", value) for value in self.parameters.values()])
        return " and ".join([f"segment = '{self.dimensions[0]}'", *conditions])

    @property
    def columns(self) -> str:
        """The splitting column with a comma behind it, or nothing."""
        return "".join(f"{column}, " for column in self.by)


def checked(question: Question, family: Family, *, published_window: int) -> Question:
    """The question with its defaults filled in.

    Raises ConfigurationError that names what cannot be asked and what can. Gaps that the shortest window bridges are in no
    cube: a week, or the published window where that is shorter.
    """
    shortest = min(SHORTEST_WINDOW_DAYS, published_window)
    if question.window is not None and not shortest <= question.window <= LONGEST_WINDOW_DAYS:
        raise _refused(f"A window of {question.window} days cannot be asked: it goes from {shortest} to {LONGEST_WINDOW_DAYS}")
    if question.start and question.end and question.start > question.end:
        raise _refused(f"The range ends on {question.end}, before it starts on {question.start}")
    if not family.takes_range and (question.start or question.end):
        raise _refused(f"{question.metric} is told of all days up to the last one together: it takes no first or last day")
    for dimension in [*([question.by] if question.by else []), *(name for name, _ in question.where)]:
        one_of("dimension", dimension, family.dimensions, metric=question.metric)
    if question.countries is not None and "country" not in family.dimensions:
        raise ConfinedError(question.metric, question.countries)
    return replace(
        question,
        grain=_chosen("grain", question.grain, family.grains, metric=question.metric),
        kind=_chosen("kind", question.kind, family.kinds, metric=question.metric),
        cohort=_chosen("cohort", question.cohort, family.cohorts, metric=question.metric),
    )


def scope(question: Question, *, without: Where = ()) -> Scope:
    """The filter of a checked question; its values travel as parameters, its columns are known names.

    `without` leaves out whoever meets all of these filters; none of them leaves out nobody.
    """
    chosen, parameters = any_of(question.where)
    conditions = ["true", *chosen]
    by = (question.by,) if question.by else ()
    dimensions = [*by, *(dimension for dimension, _ in question.where)]
    if without:
        left_out, values = any_of(without, name="without")
        conditions, parameters = [*conditions, f"not ({' and '.join(left_out)})"], parameters | values
        dimensions += [dimension for dimension, _ in without]
    if question.countries is not None:
        condition, countries = confined(question.countries)
        conditions, parameters, dimensions = [*conditions, condition], parameters | countries, [*dimensions, "country"]
    is_confined = question.countries is not None
    unites = any(len(values) > 1 and name != question.by for name, values in by_dimension(question.where).items())
    return Scope(" and ".join(conditions), parameters, by, tuple(dict.fromkeys(dimensions)), is_confined, unites, bool(without))


def canonical(where: Iterable[tuple[str, str]]) -> Where:
    """The filters each once and in the one order in which they are asked: customers' dimensions first, values by name."""
    return tuple(sorted(set(where), key=lambda pair: (_PLACES.get(pair[0], len(_PLACES)), pair)))


_PLACES = {name: place for place, name in enumerate(CUSTOMER_DIMENSIONS)}


def by_dimension(where: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """The values that filters name of each dimension, in their order."""
    found: dict[str, tuple[str, ...]] = {}
    for dimension, value in where:
        found[dimension] = (*found.get(dimension, ()), value)
    return found


def meeting(one: Where, other: Where) -> Where | None:
    """The filters that only the customers meet who meet both; None where nobody can, who has one value of each dimension."""
    ones, others = by_dimension(one), by_dimension(other)
    both = {name: {*ones.get(name, others.get(name, ()))} & {*others.get(name, ones.get(name, ()))} for name in ones | others}
    if not all(both.values()):
        return None
    return canonical((name, value) for name, values in both.items() for value in values)


def combinations(where: Where) -> int:
    """How many ways there are to have one value alone of every dimension."""
    return prod(map(len, by_dimension(where).values()))


def each_alone(where: Where) -> Iterator[Where]:
    """The filters with one value alone of every dimension, in all combinations; nothing where there is one alone."""
    chosen = by_dimension(where)
    if combinations(where) > 1:
        yield from (canonical(zip(chosen, values, strict=True)) for values in product(*chosen.values()))


def any_of(where: Iterable[tuple[str, Any]], *, name: str = "where") -> tuple[list[str], dict[str, Any]]:
    """A condition a column, met by any of its values, and the parameters `where_0`, `where_1` ... in the order of the pairs."""
    named: dict[str, list[str]] = {}
    parameters = {}
    for place, (column, value) in enumerate(where):
        parameters[f"{name}_{place}"] = value
        named.setdefault(column, []).append(f"${name}_{place}")
    conditions = [
        f"{column} = {names[0]}" if len(names) == 1 else f"{column} in ({', '.join(names)})" for column, names in named.items()
    ]
    return conditions, parameters


def confined(countries: Sequence[str] | None) -> tuple[str, dict[str, str]]:
    """The condition that keeps the customers of these countries, and its parameters; None keeps everybody, no country nobody."""
    if countries is None:
        return "true", {}
    parameters = {f"country_{place}": country for place, country in enumerate(countries)}
    return (f"country in ({', '.join(f'${name}' for name in parameters)})" if parameters else "false"), parameters


def one_of(what: str, given: str, allowed: Sequence[str], *, metric: str) -> str:
    """The given word, where it is among the allowed ones; raises ConfigurationError that lists them."""
    if given in allowed:
        return given
    near = difflib.get_close_matches(given, allowed, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    choice = f"one of {', '.join(allowed)}" if allowed else f"it has no {what}"
    raise _refused(f"{given} is not a {what} of {metric}{hint} ({choice})")


def _chosen(what: str, given: str | None, allowed: tuple[str, ...], *, metric: str) -> str | None:
    if given is None:
        return allowed[0] if allowed else None
    return one_of(what, given, allowed, metric=metric)


def _refused(what: str) -> ConfigurationError:
    return ConfigurationError(what, where="the question", next="neopulse metric --help")
