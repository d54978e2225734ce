"""The app's copy of what BigQuery published: segments are numbered where all of them were copied, else their digests stay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from pipeline.warehouse.read_copy import Relation, write

SEGMENTS = pa.table({"segment_id": [900, 700, 800], "country": ["PL", "FR", "GB"]})
CUBE = pa.table({"month": ["a", "b"], "segment_id": [800, 900], "customers": [1, 2]})


class Service:
    """As much of the service as a copy asks for."""

    def number_of_rows(self, place: str) -> int:
        return int(self._tables[place].num_rows)

    def pages(self, place: str) -> tuple[pa.Schema, list[pa.RecordBatch]]:
        return self._tables[place].schema, self._tables[place].to_batches()

    _tables = {"segments": SEGMENTS, "cube": CUBE}  # noqa: RUF012


@pytest.fixture
def relations() -> list[Relation]:
    return [
        Relation("marts", "mart_cube", "cube", "cube", {}),
        Relation("warehouse", "dim_segments", "segments", "segments", {}),
    ]


def copied(relations: list[Relation], folder: Path, *, at_most: int) -> Any:
    service: Any = Service()
    write(service, relations, folder / "copy.duckdb", at_most=at_most)
    return duckdb.connect(folder / "copy.duckdb", read_only=True)


def test_segments_are_numbered_in_the_order_of_their_digests_whichever_table_comes_first(
    relations: list[Relation], tmp_path: Path
) -> None:
    with copied(relations, tmp_path, at_most=3) as file:
        assert file.sql("from warehouse.dim_segments").fetchall() == [(0, "FR"), (1, "GB"), (2, "PL")]
        assert file.sql("from marts.mart_cube").fetchall() == [("a", 1, 1), ("b", 2, 2)]
        assert {kind for _, kind in file.sql("select column_name, column_type from (describe marts.mart_cube)").fetchall()} == {
            "VARCHAR",
            "BIGINT",
        }


def test_where_the_segments_are_too_many_to_copy_the_others_keep_their_digests(relations: list[Relation], tmp_path: Path) -> None:
    with copied(relations, tmp_path, at_most=2) as file:
        assert file.sql("from marts.mart_cube").fetchall() == [("a", 800, 1), ("b", 900, 2)]
        assert file.sql("select relation, rows_there from main.not_copied").fetchall() == [("dim_segments", 3)]
