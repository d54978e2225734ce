"""The stretches in ClickHouse local (chdb): days gathered in one array a customer, split where the gap exceeds N."""

from __future__ import annotations

import io
from typing import Any

import chdb
import pyarrow as pa

from benchmarks.job import OPEN, Job, Stretches, carry_out, quoted

_STATEMENT = """
with
    days as (
        select
            toInt64(replaceOne(user_id, 'user_', '')) as customer,
            toInt64(toUInt16(toDate(toDateTime(substring(created_date, 1, 19), 'UTC'), '{zone}'))) as bank_day
        from ({rows})
        where transactions_state in ({states}) and transactions_type not in ({excluded_types})
    ),
    gathered as (
        select customer, arraySort(groupUniqArray(bank_day)) as active_days from days group by customer
    ),
    stretches as (
        select
            customer,
            arrayJoin(arraySplit((day, gap) -> gap > {window}, active_days, arrayDifference(active_days))) as stretch
        from gathered
    )
select
    customer,
    stretch[1] as first_day,
    if(stretch[-1] + {window} <= max(stretch[-1]) over (), stretch[-1], {open}) as last_day  -- a subquery would read it all again
from stretches
settings max_threads = {threads}
"""


_ROWS = "select user_id, created_date, transactions_state, transactions_type from file({file}, Parquet)"


def stretches(job: Job) -> pa.Table:
    """Columns customer, first_day, last_day."""
    statement = _STATEMENT.format(
        rows=" union all ".join(_ROWS.format(file=quoted([path])) for path in job.files),
        zone=job.bank_timezone,
        states=quoted(job.states),
        excluded_types=quoted(job.excluded_types),
        window=job.window_days,
        threads=job.threads,
        open=OPEN,
    )
    answer: Any = chdb.query(statement, "Arrow")
    return pa.ipc.open_file(io.BytesIO(answer.bytes())).read_all()


def read(found: pa.Table) -> Stretches:
    """The result as arrays."""
    return Stretches(*(found[name].to_numpy().astype("int64") for name in ("customer", "first_day", "last_day")))


if __name__ == "__main__":
    carry_out(stretches, read)
