"""The app's copy of what BigQuery published: segments are numbered where all of them were copied, else their digests stay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from pipeline.warehouse.read_copy import Relation, write

# in the order of their digests GB, FR, PL; how many customers a segment has is none of its dimensions
SEGMENTS = pa.table(
    {
        "segment_id": [900, 800, 700, 600],
        "country": ["PL", "FR", "GB", "FR"],
        "os": ["a", "b", "b", "a"],
        "customers": [1, 2, 3, 9],
    }
)
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


def test_segments_are_numbered_in_the_order_of_their_dimensions_whichever_table_comes_first(
    relations: list[Relation], tmp_path: Path
) -> None:
    with copied(relations, tmp_path, at_most=4) as file:
        numbered = file.sql("select segment_id, country, os from warehouse.dim_segments").fetchall()
        assert numbered == [(0, "FR", "a"), (1, "FR", "b"), (2, "GB", "b"), (3, "PL", "a")]
        assert file.sql("from marts.mart_cube").fetchall() == [("a", 1, 1), ("b", 3, 2)]
        assert {kind for _, kind in file.sql("select column_name, column_type from (describe marts.mart_cube)").fetchall()} == {
            "VARCHAR",
            "BIGINT",
        }


def test_where_the_segments_are_too_many_to_copy_the_others_keep_their_digests(relations: list[Relation], tmp_path: Path) -> None:
    with copied(relations, tmp_path, at_most=3) as file:
        assert file.sql("from marts.mart_cube").fetchall() == [("a", 800, 1), ("b", 900, 2)]
        assert file.sql("select relation, rows_there from main.not_copied").fetchall() == [("dim_segments", 4)]
