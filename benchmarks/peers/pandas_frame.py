"""The stretches in pandas: all rows in memory, one sort, and the breaks found by comparing neighbours."""

from __future__ import annotations

import pandas as pd

from benchmarks.job import OPEN, Job, Stretches, carry_out

_COLUMNS = ["user_id", "created_date", "transactions_state", "transactions_type"]


def stretches(job: Job) -> pd.DataFrame:
    """Columns customer, first_day, last_day."""
    days = _days(job)
    begins = (days["customer"] != days["customer"].shift()) | (days["bank_day"].diff().dt.days > job.window_days)
    ends = begins.shift(-1, fill_value=True)
    last_day = days.loc[ends, "bank_day"].reset_index(drop=True)
    silent_days = (last_day.max() - last_day).dt.days
    found = days[begins].reset_index(drop=True).rename(columns={"bank_day": "first_day"})
    return found.assign(last_day=last_day.where(silent_days >= job.window_days))


def _days(job: Job) -> pd.DataFrame:
    rows = pd.concat([pd.read_parquet(path, columns=_COLUMNS) for path in job.files], ignore_index=True)
    rows = rows[rows["transactions_state"].isin(job.states) & ~rows["transactions_type"].isin(job.excluded_types)]
    moment = pd.to_datetime(rows["created_date"].str.slice(0, 19), format="%Y-%m-%d %H:%M:%S", utc=True)
    local = moment.dt.tz_convert(job.bank_timezone).dt.tz_localize(None)
    days = pd.DataFrame({"customer": _number(rows["user_id"]), "bank_day": local.dt.normalize()})
    return days.drop_duplicates().sort_values(["customer", "bank_day"], ignore_index=True)


def _number(user_id: pd.Series) -> pd.Series:
    return user_id.str.removeprefix("user_").astype("int64")


def read(found: pd.DataFrame) -> Stretches:
    """The result as arrays."""
    days = [
        (found[name] - pd.Timestamp("1970-01-01")).dt.days.fillna(OPEN).to_numpy("int64") for name in ("first_day", "last_day")
    ]
    return Stretches(found["customer"].to_numpy("int64"), *days)


if __name__ == "__main__":
    carry_out(stretches, read)
