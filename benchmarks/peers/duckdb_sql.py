"""The stretches in DuckDB, three ways: as they are usually written, twice, and from the breaks alone as neopulse does."""

from __future__ import annotations

import sys

import duckdb

from benchmarks.floor import HOURS, connect, filled
from benchmarks.job import OPEN, Job, Stretches, carry_out

_DAYS = """
with days as (
    select distinct
        cast(replace(user_id, 'user_', '') as bigint) as customer,
        cast(cast(created_date as timestamp with time zone) at time zone '{zone}' as date) as bank_day,
    from read_parquet([{files}])
    where transactions_state in ({states}) and transactions_type not in ({excluded_types})
),
"""

_RESULT = """
select
    customer,
    first_day - date '1970-01-01' as first_day,
    case when last_day + {window} <= (select max(last_day) from stretches) then last_day - date '1970-01-01' else 0 end
        as last_day,
from stretches
"""

RUNNING_SUM = f"""{_DAYS}
marked as (
    select
        *,
        case
            when bank_day - lag(bank_day) over (partition by customer order by bank_day) <= {{window}} then 0 else 1
        end as begins,
    from days
),

numbered as (
    select *, sum(begins) over (partition by customer order by bank_day rows unbounded preceding) as stretch
    from marked
),

stretches as (
    select customer, min(bank_day) as first_day, max(bank_day) as last_day
    from numbered
    group by customer, stretch
)
{_RESULT}"""

SELF_JOIN = f"""{_DAYS}
first_days as (
    select customer, bank_day
    from days
    where not exists (
        select 1 from days as earlier
        where earlier.customer = days.customer
            and earlier.bank_day < days.bank_day and earlier.bank_day >= days.bank_day - {{window}}
    )
),

last_days as (
    select customer, bank_day
    from days
    where not exists (
        select 1 from days as later
        where later.customer = days.customer
            and later.bank_day > days.bank_day and later.bank_day <= days.bank_day + {{window}}
    )
),

stretches as (
    select first_days.customer, first_days.bank_day as first_day, min(last_days.bank_day) as last_day
    from first_days
    inner join last_days on first_days.customer = last_days.customer and last_days.bank_day >= first_days.bank_day
    group by first_days.customer, first_days.bank_day
)
{_RESULT}"""

BREAKS = f"""
with days as (
    select distinct cast(substr(user_id, 6) as bigint) as customer, hours.bank_day
    from read_parquet([{{files}}])
    inner join hours on substr(created_date, 3, 11) = hours.hour_text
    where transactions_state in ({{states}}) and transactions_type not in ({{excluded_types}})
),

paired as (
    select
        *,
        lead(bank_day) over (partition by customer order by bank_day) as next_day,
        min(bank_day) over (partition by customer order by bank_day) as customers_first_day,
    from days
),

-- few rows: only the days that a silence of more than N followed, and each customer's last
breaks as (
    select * from paired where next_day is null or next_day - bank_day > {{window}}
),

stretches as (
    select
        customer,
        coalesce(lag(next_day) over (partition by customer order by bank_day), customers_first_day) as first_day,
        bank_day as last_day,
    from breaks
)
{_RESULT}"""

WAYS = {"running_sum": (RUNNING_SUM,), "self_join": (SELF_JOIN,), "breaks": (HOURS, BREAKS)}


def stretches(job: Job, way: str) -> duckdb.DuckDBPyConnection:
    """A connection that holds the result as the table `result`."""
    connection = connect(job)
    *preparing, query = WAYS[way]
    for statement in [*preparing, f"create temporary table result as {query}"]:
        connection.execute(filled(statement, job))
    return connection


def read(connection: duckdb.DuckDBPyConnection) -> Stretches:
    """The result as arrays."""
    columns = connection.execute("select * from result").fetchnumpy()
    return Stretches(*(columns[name].astype("int64") for name in ("customer", "first_day", "last_day")))


if __name__ == "__main__":
    assert OPEN == 0, "the statements write it as 0"
    carry_out(lambda job: stretches(job, sys.argv[2]), read)
