"""The numbers of segments in what readers ask: 0, 1, 2 ... instead of the digests that both engines work out alike.

A cube is joined to the segments at every filter. DuckDB looks up dense numbers by place and has to hash anything else, and
a digest, which no codec makes shorter, takes more room than the rest of its row. Numbers follow the dimensions, so that the
segments of a filter are neighbours: of a cube that lies in their order, most blocks hold none of them and are not read.
A number holds within one version's file.
"""

from __future__ import annotations

import duckdb

COLUMN = "segment_id"
SEGMENTS = "dim_segments"
_CUSTOMERS = "customers"  # how many a segment has, beside its dimensions
_PLACES = "places_of_segments"


def assign(file: duckdb.DuckDBPyConnection, segments: str) -> None:
    """Number the segments of this relation in the order of their dimensions, for all that is copied afterwards."""
    dimensions = [name for name in file.table(segments).columns if name not in (COLUMN, _CUSTOMERS)]
    order = ", ".join([*dimensions, COLUMN])
    file.execute(f"""
        create or replace temp table {_PLACES} as
        select {COLUMN} as digest, row_number() over (order by {order}) - 1 as number from {segments}
    """)


def numbered(relation: str) -> str:
    """A select of the relation's rows with numbers; a segment that is not known has none."""
    return f"""
        select rows.* replace (places.number as {COLUMN})
        from {relation} as rows
        left join {_PLACES} as places on rows.{COLUMN} = places.digest
    """
