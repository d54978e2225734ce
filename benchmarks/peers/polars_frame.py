"""The stretches in Polars: lazy, streaming, one sort, and the breaks found by comparing neighbours."""

from __future__ import annotations

import polars as pl

from benchmarks.job import OPEN, Job, Stretches, carry_out


def stretches(job: Job) -> pl.DataFrame:
    """Columns customer, first_day, last_day."""
    days = _days(job).collect(engine="streaming").sort("customer", "bank_day")
    begins = (pl.col("customer") != pl.col("customer").shift()) | (_gap_days() > job.window_days)
    marked = days.with_columns(begins.fill_null(True).alias("begins"))
    first = marked.filter(pl.col("begins")).select("customer", first_day="bank_day")
    last = marked.filter(pl.col("begins").shift(-1, fill_value=True)).select(last_day="bank_day")
    return pl.concat([first, last], how="horizontal").with_columns(_open_where_not_lapsed(job))


def _days(job: Job) -> pl.LazyFrame:
    counts = pl.col("transactions_state").is_in(job.states) & ~pl.col("transactions_type").is_in(job.excluded_types)
    moment = pl.col("created_date").str.slice(0, 19).str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="ms", time_zone="UTC")
    return (
        pl.scan_parquet(list(job.files))
        .filter(counts)
        .select(
            customer=pl.col("user_id").str.strip_prefix("user_").cast(pl.Int64),
            bank_day=moment.dt.convert_time_zone(job.bank_timezone).dt.date(),
        )
        .unique()
    )


def _gap_days() -> pl.Expr:
    return (pl.col("bank_day") - pl.col("bank_day").shift()).dt.total_days()


def _open_where_not_lapsed(job: Job) -> pl.Expr:
    silent = (pl.col("last_day").max() - pl.col("last_day")).dt.total_days()
    return pl.when(silent >= job.window_days).then(pl.col("last_day"))


def read(found: pl.DataFrame) -> Stretches:
    """The result as arrays."""
    days = [found[name].cast(pl.Int32).cast(pl.Int64).fill_null(OPEN).to_numpy() for name in ("first_day", "last_day")]
    return Stretches(found["customer"].to_numpy(), *days)


if __name__ == "__main__":
    carry_out(stretches, read)
