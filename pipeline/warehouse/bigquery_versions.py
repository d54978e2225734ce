"""Published versions in BigQuery, beside those of the app: a dataset a version, one pointer, and views that never move.

    <prefix>_v0012           the marts of version v0012, copied after its tests held, never changed afterwards
    <prefix>_held_12         the marts of the candidate of run 12, as long as it waits for approval
    <prefix>.current_version one row: which version is current; one statement changes it
    <prefix>.<mart>          for Power BI, Looker Studio and analysts: what the current version says

While a version is being made current each view shows the version that the pointer names, of the two in question: so
all of them move by the one statement that changes the pointer. Before and after, a view reads one dataset only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping

from pipeline.bigquery import BigQuery
from pipeline.errors import ConfigurationError, PermanentError
from pipeline.warehouse.publication import HELD, Version

POINTER = "current_version"
DIMENSIONS = re.compile(r"dim_.*|rejected_rows")  # of the dataset `warehouse`, what readers see as well
_VERSION = re.compile(r"v(\d{4,})")


class BigQueryVersions:
    """The versions of one prefix; the connection is made when the first of them is asked for."""

    def __init__(self, connect: Callable[[], BigQuery], *, prefix: str, keep: int) -> None:
        self._connect = connect
        self._prefix = prefix
        self._keep = keep
        self._connection: BigQuery | None = None

    def newest(self) -> int:
        """The highest number of a version here; 0 where there is none."""
        return max((_number(name) for name in self._names()), default=0)

    def put_in_place(self, version: Version, *, kept_as: str = "") -> None:
        """Copy the state's marts, or those held under a name, into the version's own dataset; nobody is shown it yet."""
        dataset = self._dataset(version.name)
        self._copy(version, dataset, f"Version {version.name}, as of {version.as_of}. Never changed.", kept_as=kept_as)
        self._google.make_dataset(self._prefix, description="The current version of neopulse's figures: read here.")
        self._google.let_views_read(reader=self._prefix, dataset=dataset)

    def hold(self, name: str, version: Version) -> None:
        """Copy the state's marts into a dataset of their own: the next build changes the state."""
        self._copy(version, self._dataset(name), f"Waits for approval, as of {version.as_of}. Never changed.", kept_as="")

    def let_go(self, name: str) -> None:
        """Remove the dataset of what was held under a name."""
        self._google.drop_dataset(self._dataset(name))

    def _copy(self, version: Version, dataset: str, description: str, *, kept_as: str) -> None:
        self._google.drop_dataset(dataset)  # what a crash left: nobody was ever shown it
        self._google.make_dataset(dataset, description=description)
        if kept_as:
            places = {name: f"{self._dataset(kept_as)}.{name}" for name in self._tables(kept_as)}
        else:
            places = readable(self._google, self._prefix)
        self._google.copy_tables([(place, f"{dataset}.{name}") for name, place in places.items()])
        for name in sorted({*places, *version.rows}):
            self._refuse_other_rows(version, dataset, name)

    def make_current(self, version: Version) -> None:
        """Show a version in every view; raises ConfigurationError where it is not kept here."""
        new = self._tables(version.name)
        if not new:
            raise ConfigurationError(
                f"Version {version.name} is not in BigQuery",
                where=f"{self._google.project}.{self._dataset(version.name)}",
                safe="The stable views show what they showed",
                next="neopulse versions, then neopulse rollback VERSION with one that is there",
            )
        shown = self._shown()
        if shown not in (None, version.name):
            for name in new:
                self._show(name, self._either(name, str(shown), version.name))
        self._point_to(version)
        for name in new:
            self._show(name, self._of(name, version.name))
        for name in self._google.tables(self._prefix):
            if name not in new and self._is_made_here(name):
                self._google.execute(f"drop view {self._view(name)}")

    def prune(self, kept: Collection[str]) -> None:
        """Remove the datasets of versions that are neither kept by the app nor among the newest ones here."""
        newest = sorted(self._names(), key=_number, reverse=True)
        for name in newest[self._keep :]:
            if name not in kept and name != self._shown():
                self._google.drop_dataset(self._dataset(name))
        for dataset in self._google.datasets(f"{self._prefix}_{HELD}"):
            self._google.drop_dataset(dataset)  # what waited is overtaken by what was published

    @property
    def _google(self) -> BigQuery:
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _names(self) -> list[str]:
        """The versions that have a dataset here."""
        names = (dataset.removeprefix(f"{self._prefix}_") for dataset in self._google.datasets(f"{self._prefix}_v"))
        return [name for name in names if _VERSION.fullmatch(name)]

    def _dataset(self, version: str) -> str:
        return f"{self._prefix}_{version}"

    def _tables(self, version: str) -> list[str]:
        return self._google.tables(self._dataset(version))

    def _refuse_other_rows(self, version: Version, dataset: str, name: str) -> None:
        table = self._google.table(f"{dataset}.{name}")
        found = int(table.num_rows or 0) if table is not None else 0
        if found != version.rows.get(name):
            raise PermanentError(
                f"The copy of {name} has {found} rows, not {version.rows.get(name)}",
                where=f"{self._google.project}.{dataset}",
                safe="The stable views show the version before",
                next="neopulse run --from transform",
            )

    def _shown(self) -> str | None:
        """The version that the pointer names."""
        if self._google.table(f"{self._prefix}.{POINTER}") is None:
            return None
        rows = self._google.rows(f"select version from {self._view(POINTER)}")
        return str(rows[0]["version"]) if rows else None

    def _point_to(self, version: Version) -> None:
        """The one statement by which every view moves."""
        values = f"'{version.name}' as version, date '{version.as_of}' as as_of, timestamp '{version.published_at.isoformat()}'"
        self._google.execute(f"create or replace table {self._view(POINTER)} as select {values} as published_at")

    def _show(self, name: str, query: str) -> None:
        self._google.execute(f"create or replace view {self._view(name)} as {query}")

    def _is_made_here(self, name: str) -> bool:
        """Whether it is a view that shows a version's relation of its own name; what else lies here is somebody else's."""
        found = self._google.table(f"{self._prefix}.{name}")
        own = re.compile(re.escape(f"`{self._google.project}.{self._prefix}_") + _VERSION.pattern + re.escape(f".{name}`"))
        return found is not None and found.table_type == "VIEW" and bool(own.search(found.view_query or ""))

    def _of(self, name: str, version: str) -> str:
        return f"select * from {self._table(version, name)}"

    def _either(self, name: str, shown: str, coming: str) -> str:
        """Whichever of two versions is current, in the columns of the coming one; what only it has is null in the other."""
        pointer = f"(select version from {self._view(POINTER)})"
        columns = self._columns(coming, name)
        before = self._columns(shown, name)
        both = [f"select {', '.join(f'`{column}`' for column in columns)} from {self._table(coming, name)}"]
        both[0] += f" where {pointer} = '{coming}'"
        if before:
            texts = [_carried(column, kind, before) for column, kind in columns.items()]
            both.append(f"select {', '.join(texts)} from {self._table(shown, name)} where {pointer} = '{shown}'")
        return " union all ".join(both)

    def _columns(self, version: str, name: str) -> dict[str, str]:
        table = self._google.table(f"{self._dataset(version)}.{name}")
        return {field.name: _sql_type(field.field_type) for field in table.schema} if table is not None else {}

    def _table(self, version: str, name: str) -> str:
        return f"`{self._google.project}.{self._dataset(version)}.{name}`"

    def _view(self, name: str) -> str:
        return f"`{self._google.project}.{self._prefix}.{name}`"


def readable(connection: BigQuery, prefix: str) -> dict[str, str]:
    """What readers may see of the state: the place `dataset.table` of each relation, by its name."""
    marts, warehouse = f"{prefix}_marts", f"{prefix}_warehouse"
    dimensions = [name for name in connection.tables(warehouse) if DIMENSIONS.fullmatch(name)]
    return {name: f"{marts}.{name}" for name in connection.tables(marts)} | {name: f"{warehouse}.{name}" for name in dimensions}


def _number(version: str) -> int:
    return int(version.removeprefix("v"))


def _carried(column: str, kind: str, before: Mapping[str, str]) -> str:
    if before.get(column) == kind:
        return f"`{column}`"
    return f"cast({f'`{column}`' if column in before else 'null'} as {kind}) as `{column}`"


def _sql_type(rest_type: str) -> str:
    names = {"INTEGER": "int64", "FLOAT": "float64", "BOOLEAN": "bool"}
    return names.get(rest_type, rest_type.lower())
