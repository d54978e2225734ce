"""The numbers of segments in what readers ask: 0, 1, 2 ... instead of the digests that both engines work out alike.

A cube is joined to the segments at every filter. DuckDB looks up dense numbers by place and has to hash anything else, and
a digest, which no codec makes shorter, takes more room than the rest of its row.
"""

from __future__ import annotations

import duckdb

COLUMN = "segment_id"
SEGMENTS = "dim_segments"
_NUMBERS = "segment_numbers"


def assign(file: duckdb.DuckDBPyConnection, segments: str) -> None:
    """Number the segments of this relation in the order of their digests, for all that is copied afterwards."""
    file.execute(f"""
        create or replace temp table {_NUMBERS} as
        select {COLUMN} as digest, (row_number() over (order by {COLUMN}) - 1)::integer as number from {segments}
    """)


def numbered(relation: str) -> str:
    """The rows of a relation with numbers: what stands in `from (...)`. A segment that is not known has none."""
    return f"""
        select rows.* replace (numbers.number as {COLUMN})
        from {relation} as rows
        left join {_NUMBERS} as numbers on rows.{COLUMN} = numbers.digest
    """
