"""The star: the tables that Power BI reads, each one select over the published marts that DuckDB and BigQuery both run.

A select names the marts as `{published}.mart_x`. Every fact that is cut by segment has a `segment_key`, such as
`country:FR`, and hangs on the days by a date that dim_dates always has: a month by its last day. A fact of which measures
take the last date has a row for every segment value at every date, also where nobody is left.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.powerbi.shapes import Column, Relationship, Table

CAME_BACK_DAYS = 90  # as in the definition of the metric
SEGMENTS = ("country", "plan", "plan_tier", "os", "age_band", "signup_cohort")
_SEGMENT_KEY = Column("segment_key", "text")
_KEYED = "concat(segment, ':', segment_value) as segment_key"
_EACH_SEGMENT = " union all ".join(
    f"select distinct concat('{name}:', {name}) as segment_key, '{name}' as segment, {name} as segment_value "
    "from {published}.dim_segments"
    for name in SEGMENTS
)


def _by_segment(mart: str, keys: str, sums: str) -> str:
    """A mart of whole combinations of dimensions, added up over everybody and by each dimension."""
    everybody = f"select {keys}, 'all:all' as segment_key, {sums} from {{published}}.{mart} as cells group by {keys}"
    joined = (
        f"from {{published}}.{mart} as cells inner join {{published}}.dim_segments as one on cells.segment_id = one.segment_id"
    )
    parts = [
        f"select {keys}, concat('{name}:', one.{name}) as segment_key, {sums} {joined} group by {keys}, one.{name}"
        for name in SEGMENTS
    ]
    return " union all ".join([everybody, *parts])


def _without_gaps(rows: str, mart: str, keys: Sequence[str], counts: Sequence[str]) -> str:
    """The rows by keys and segment value, with zeros wherever the mart has the keys and a segment value has no row.

    Each of `keys` is one or several columns whose combinations the mart has; they are crossed with each other. Without such
    zeros the last date of a segment value would be that of the last customer it had, and old figures would pass for the latest.
    """
    by = ", ".join([*keys, "segment_key"])
    every = " cross join ".join(f"(select distinct {key} from {{published}}.{mart}) as keys_{n}" for n, key in enumerate(keys))
    none = ", ".join(f"0 as {count}" for count in counts)
    sums = ", ".join(f"sum({count}) as {count}" for count in counts)
    zeros = f"select {by}, {none} from {every} cross join ({SEGMENT_TABLE.sql}) as segments"
    return f"select {by}, {sums} from ({rows} union all {zeros}) as filled group by {by}"


_LAPSED = "(gaps.gap_days is null or gaps.gap_days > about.inactivity_days)"
_RECOGNISED = "gaps.activity_date + about.inactivity_days <= about.as_of"

PUBLICATION = Table(
    name="Publication",
    file="publication",
    mart="dim_publication",
    columns=(
        Column("version", "text", "Version name"),
        Column("published_on", "date", "Published on"),
        Column("as_of", "date", "Last day"),
        Column("inactivity_days", "whole", "Inactivity days"),
        Column("activity_rule", "text", "Activity rule"),
        Column("source_name", "text", "Source"),
        Column("bank_timezone", "text", "Time zone"),
    ),
    sql="select current_version.version, cast(current_version.published_at as date) as published_on, about.as_of, "
    "about.inactivity_days, about.activity_rule, about.source_name, about.bank_timezone "
    "from {published}.dim_publication as about cross join {published}.current_version as current_version",
    key="version",
    added=(Column("app_address", "text"),),
)
DATES = Table(
    name="Dates",
    file="dates",
    mart="dim_dates",
    columns=(
        Column("date_day", "date", "Date"),
        Column("week_start", "date", "Week"),
        Column("month_start", "date", "Month"),
        Column("year", "whole", "Year"),
        Column("is_after_as_of", "yes_no", "Is still to come"),
    ),
    sql="select date_day, week_start, month_start, extract(year from date_day) as year, is_after_as_of "
    "from {published}.dim_dates",
    key="date_day",
)
SEGMENT_TABLE = Table(
    name="Segments",
    file="segments",
    mart="dim_segments",
    columns=(_SEGMENT_KEY, Column("segment", "text", "Segment"), Column("segment_value", "text", "Segment value")),
    sql="select 'all:all' as segment_key, 'all' as segment, 'all' as segment_value union all " + _EACH_SEGMENT,
    key="segment_key",
)
COUNTRIES = Table(
    name="Countries",
    file="countries",
    mart="dim_countries",
    columns=(
        Column("country", "text", "Country code"),
        Column("name_en", "text", "Country"),
        Column("name_fr", "text", "Country in French"),
        Column("region", "text", "Region"),
        Column("population", "whole", "Population"),
    ),
    sql="select country, coalesce(name_en, country) as name_en, coalesce(name_fr, country) as name_fr, region, population "
    "from {published}.dim_countries",
    key="country",
)
CUSTOMERS = Table(
    name="Customers",
    file="customers",
    mart="mart_customers",
    columns=(
        Column("user_id", "text", "Customer"),
        Column("country", "text", "Customer country"),
        Column("plan", "text", "Plan"),
        Column("plan_tier", "text", "Tier"),
        Column("os", "text", "Phone"),
        Column("age_band", "text", "Age"),
        Column("signup_cohort", "text", "Month of joining"),
        Column("opening_date", "date", "Opened on"),
        Column("first_active_day", "date", "First active day"),
        Column("last_active_day", "date", "Last active day"),
        Column("active_days", "whole", "Active days"),
        Column("transactions", "whole", "Transactions"),
        Column("amount_usd", "decimal", "Amount in USD"),
        Column("is_active", "yes_no", "Is active"),
        Column("days_silent", "whole", "Days silent"),
        Column("lapses", "whole", "Lapses"),
        Column("lapsed_on", "date", "Lapsed on"),
    ),
    sql="select user_id, country, plan, plan_tier, os, age_band, signup_cohort, opening_date, first_active_day, last_active_day, "
    "active_days, transactions, amount_usd, is_active, days_silent, lapses, lapsed_on from {published}.mart_customers",
    key="user_id",
    direct=True,
)
GROWTH = Table(
    name="Growth",
    file="growth",
    mart="mart_growth_accounting",
    columns=(
        Column("date", "date"),
        _SEGMENT_KEY,
        Column("active_customers", "whole"),
        Column("new_customers", "whole"),
        Column("resurrected_customers", "whole"),
        Column("churned_customers", "whole"),
    ),
    sql=f"select date, {_KEYED}, active_customers, new_customers, resurrected_customers, churned_customers "
    "from {published}.mart_growth_accounting",
)
ACTIVITY = Table(
    name="Activity",
    file="activity",
    mart="mart_daily_activity",
    columns=(
        Column("date", "date"),
        _SEGMENT_KEY,
        Column("dau", "whole"),
        Column("wau", "whole"),
        Column("mau", "whole"),
        Column("dau_in_28_days", "whole"),
    ),
    sql=f"select date, {_KEYED}, dau, wau, mau, sum(dau) over (partition by segment, segment_value order by date "
    "rows between 27 preceding and current row) as dau_in_28_days from {published}.mart_daily_activity",
)
CHURN = Table(
    name="Churn",
    file="churn",
    mart="mart_monthly_churn_rate",
    columns=(
        Column("month", "date"),
        Column("month_end", "date"),
        _SEGMENT_KEY,
        Column("customers_at_start", "whole"),
        Column("churned_customers", "whole"),
        Column("is_provisional", "yes_no", "Is provisional"),
    ),
    sql="select month, final_on as month_end, segment_key, customers_at_start, churned_customers, is_provisional from ("
    + _without_gaps(
        f"select month, final_on, is_provisional, {_KEYED}, customers_at_start, churned_customers "
        "from {published}.mart_monthly_churn_rate",
        "mart_monthly_churn_rate",
        ["month, final_on, is_provisional"],
        ["customers_at_start", "churned_customers"],
    )
    + ") as months",
)
RETENTION = Table(
    name="Retention",
    file="retention",
    mart="mart_retention_cohorts",
    columns=(
        Column("cohort", "date", "Cohort"),
        Column("cohort_month_end", "date"),
        Column("period", "whole", "Months since"),
        _SEGMENT_KEY,
        Column("cohort_customers", "whole"),
        Column("active_customers", "whole"),
        Column("active_customers_unbounded", "whole"),
        Column("final_on", "date"),
        Column("final_on_unbounded", "date"),
        Column("is_provisional", "yes_no", "Cell is provisional"),
        Column("is_provisional_unbounded", "yes_no", "Unbounded cell is provisional"),
    ),
    sql=f"select cohort, months.month_end as cohort_month_end, period, {_KEYED}, cohort_customers, active_customers, "
    "active_customers_unbounded, final_on, final_on_unbounded, is_provisional, is_provisional_unbounded "
    "from {published}.mart_retention_cohorts as cells inner join (select distinct month_start, month_end "
    "from {published}.dim_dates) as months on cells.cohort = months.month_start "
    "where cells.cohort_kind = 'first_activity' and cells.grain = 'month'",
)
GAPS = Table(
    name="Gaps",
    file="gaps",
    mart="mart_activity_gaps_by_dimension",
    columns=(
        Column("activity_date", "date"),
        Column("returned_on", "date"),
        Column("gap_days", "whole", "Days of silence"),
        _SEGMENT_KEY,
        Column("customers", "whole"),
        Column("recognised_on", "date"),
        Column("lapsed_customers", "whole"),
        Column("came_back_customers", "whole"),
    ),
    sql="select gaps.activity_date, gaps.returned_on, gaps.gap_days, "
    "concat(gaps.segment, ':', gaps.segment_value) as segment_key, gaps.customers, "
    f"case when {_LAPSED} and {_RECOGNISED} then gaps.activity_date + about.inactivity_days end as recognised_on, "
    f"case when {_LAPSED} and {_RECOGNISED} then gaps.customers end as lapsed_customers, "
    f"case when gaps.gap_days > about.inactivity_days and gaps.gap_days <= about.inactivity_days + {CAME_BACK_DAYS} "
    f"and {_RECOGNISED} then gaps.customers end as came_back_customers "
    "from {published}.mart_activity_gaps_by_dimension as gaps cross join {published}.dim_publication as about",
)
AMOUNTS = Table(
    name="Amounts",
    file="amounts",
    mart="mart_amount_retention",
    columns=(
        Column("month_end", "date"),
        _SEGMENT_KEY,
        Column("customers", "whole"),
        Column("amount_before_usd", "decimal"),
        Column("amount_after_usd", "decimal"),
        Column("amount_kept_usd", "decimal"),
    ),
    sql="select final_on as month_end, segment_key, customers, amount_before_usd, amount_after_usd, amount_kept_usd from ("
    + _without_gaps(
        _by_segment(
            "mart_amount_retention",
            "final_on",
            "sum(cells.customers) as customers, round(sum(cells.amount_before_usd), 2) as amount_before_usd, "
            "round(sum(cells.amount_after_usd), 2) as amount_after_usd, round(sum(cells.amount_kept_usd), 2) as amount_kept_usd",
        ),
        "mart_amount_retention",
        ["final_on"],
        ["customers", "amount_before_usd", "amount_after_usd", "amount_kept_usd"],
    )
    + ") as amounts",
)
TRANSACTIONS = Table(
    name="Transactions",
    file="transactions",
    mart="mart_transactions_monthly",
    columns=(
        Column("month_end", "date"),
        Column("transaction_type", "text", "Type"),
        Column("transaction_state", "text", "State"),
        _SEGMENT_KEY,
        Column("transactions", "whole"),
        Column("amount_usd", "decimal"),
    ),
    sql="select final_on as month_end, transaction_type, transaction_state, segment_key, transactions, amount_usd from ("
    + _by_segment(
        "mart_transactions_monthly",
        "final_on, transaction_type, transaction_state",
        "sum(cells.transactions) as transactions, round(sum(cells.amount_usd), 2) as amount_usd",
    )
    + ") as payments",
)
FREQUENCY = Table(
    name="Frequency",
    file="frequency",
    mart="mart_l28",
    columns=(
        Column("date", "date"),
        Column("active_days", "whole", "Active days in 28"),
        _SEGMENT_KEY,
        Column("customers", "whole"),
    ),
    sql="select date, active_days, segment_key, customers from ("
    + _without_gaps(
        _by_segment("mart_l28", "date, active_days", "sum(case when cells.is_new then 0 else cells.customers end) as customers"),
        "mart_l28",
        ["date", "active_days"],
        ["customers"],
    )
    + ") as days",
)
RUNS = Table(
    name="Runs",
    file="runs",
    mart="",
    columns=(
        Column("run", "whole", "Run"),
        Column("state", "text", "State"),
        Column("trigger", "text", "Asked for by"),
        Column("started_on", "date", "Started on"),
        Column("minutes", "decimal"),
        Column("version", "text", "Run version"),
        Column("as_of", "date", "Run last day"),
    ),
    sql="",
    key="run",
)

TABLES = (
    PUBLICATION,
    DATES,
    SEGMENT_TABLE,
    COUNTRIES,
    CUSTOMERS,
    GROWTH,
    ACTIVITY,
    CHURN,
    RETENTION,
    GAPS,
    AMOUNTS,
    TRANSACTIONS,
    FREQUENCY,
    RUNS,
)
RELATIONSHIPS = (
    Relationship("Growth", "date", "Dates", "date_day"),
    Relationship("Growth", "segment_key", "Segments", "segment_key"),
    Relationship("Activity", "date", "Dates", "date_day"),
    Relationship("Activity", "segment_key", "Segments", "segment_key"),
    Relationship("Churn", "month_end", "Dates", "date_day"),
    Relationship("Churn", "segment_key", "Segments", "segment_key"),
    Relationship("Retention", "cohort_month_end", "Dates", "date_day"),
    Relationship("Retention", "segment_key", "Segments", "segment_key"),
    Relationship("Gaps", "recognised_on", "Dates", "date_day"),
    Relationship("Gaps", "segment_key", "Segments", "segment_key"),
    Relationship("Amounts", "month_end", "Dates", "date_day"),
    Relationship("Amounts", "segment_key", "Segments", "segment_key"),
    Relationship("Transactions", "month_end", "Dates", "date_day"),
    Relationship("Transactions", "segment_key", "Segments", "segment_key"),
    Relationship("Frequency", "date", "Dates", "date_day"),
    Relationship("Frequency", "segment_key", "Segments", "segment_key"),
    Relationship("Customers", "country", "Countries", "country"),
)
