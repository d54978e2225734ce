"""The floor: one DuckDB pass over the raw transactions that forms the distinct customer-days and keeps nothing.

No model of activity can do with less: the columns have to be read, the customer's number and the bank day found, the
activity rule applied and repeated days dropped. What it leaves out (duplicates, rejected rows, everything but activity)
is what the product adds.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import duckdb

from benchmarks.job import Job, quoted, read_job, say

# The bank day hangs on the hour alone where a zone's offset is whole hours, and 'YY-MM-DD HH' fits into a string that
# DuckDB keeps in place: a look-up of it costs a fifth of parsing the timestamp and asking ICU for each row.
HOURS = """
create temporary table hours as
select
    strftime(hour_start, '%y-%m-%d %H') as hour_text,
    cast((hour_start at time zone 'UTC') at time zone '{zone}' as date) as bank_day,
from (select unnest(generate_series(timestamp '2010-01-01', timestamp '2030-01-01', interval 1 hour)) as hour_start)
"""

FLOOR = """
select count(*) from (
    select distinct cast(substr(user_id, 6) as bigint) as customer, hours.bank_day
    from read_parquet([{files}])
    inner join hours on substr(created_date, 3, 11) = hours.hour_text
    where transactions_state in ({states}) and transactions_type not in ({excluded_types})
)
"""

PLAIN = """
select count(*) from (
    select distinct
        cast(substr(user_id, 6) as bigint) as customer,
        cast(cast(created_date as timestamp with time zone) at time zone '{zone}' as date) as bank_day,
    from read_parquet([{files}])
    where transactions_state in ({states}) and transactions_type not in ({excluded_types})
)
"""


def connect(job: Job) -> duckdb.DuckDBPyConnection:
    """DuckDB with the job's threads and memory."""
    spill = Path(tempfile.gettempdir()) / f"neopulse-bench-{os.getpid()}"  # DuckDB makes it when it needs it, and removes it
    connection = duckdb.connect(config={"threads": job.threads, "memory_limit": job.memory_limit, "temp_directory": str(spill)})
    connection.execute("set TimeZone = 'UTC'")
    connection.execute("set preserve_insertion_order = false")
    return connection


def filled(statement: str, job: Job) -> str:
    """A statement about this job's files, zone and rule."""
    return statement.format(
        files=quoted(job.files),
        zone=job.bank_timezone,
        states=quoted(job.states),
        excluded_types=quoted(job.excluded_types),
        window=job.window_days,
    )


def passed(connection: duckdb.DuckDBPyConnection, statement: str, job: Job) -> dict[str, float]:
    """The seconds that a statement takes, on the clock and of all processors, and how many customer-days it counts."""
    began, cpu_before = time.perf_counter(), time.process_time()
    rows = connection.execute(filled(statement, job)).fetchall()
    ended, cpu_after = time.perf_counter(), time.process_time()
    return {"seconds": ended - began, "cpu_seconds": cpu_after - cpu_before, "customer_days": int(rows[0][0])}


def main() -> None:
    """Measure the floor and the plain way in this process."""
    job = read_job()
    connection = connect(job)
    connection.execute(filled(HOURS, job))  # a calendar; not counted, so that the floor stays the lowest
    floor, plain = passed(connection, FLOOR, job), passed(connection, PLAIN, job)
    say(**floor, **{f"plain_{name}": value for name, value in plain.items()})


if __name__ == "__main__":
    main()
