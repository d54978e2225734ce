-- grain: one row per month and segment value, under the inactivity window N, recognised clock
with stretches as (select * from {{ ref('fct_activity_stretches') }}),

publication as (select * from {{ ref('dim_publication') }}),

-- whether a stretch covers a month's start or lapses in a month depends on its two months alone
stretch_months as (
    select
        {{ month_start('starting_date') }} as starting_month,
        {{ month_start('lapsed_on') }} as lapse_month,
        segment_id,
        count(*) as customers,
    from stretches
    group by 1, 2, 3
),

with_dimensions as (
    select stretch_months.*, {{ dimension_columns('segments') }}
    from stretch_months
    inner join {{ ref('dim_segments') }} as segments on stretch_months.segment_id = segments.segment_id
),

by_months as (
    select
        starting_month,
        lapse_month,
        {{ segment_columns() }},
        sum(customers) as customers,
    from with_dimensions
    group by {{ segment_sets(['starting_month', 'lapse_month']) }}
),

months as (
    select distinct month_start as month, month_end from {{ ref('dim_dates') }}
),

counted as (
    select
        months.month,
        months.month_end,
        by_months.segment,
        by_months.segment_value,
        sum(by_months.customers) as customers_at_start,
        sum(case when by_months.lapse_month = months.month then by_months.customers else 0 end) as churned_customers,
    from months
    inner join by_months
        on by_months.starting_month < months.month
        and (by_months.lapse_month is null or by_months.lapse_month >= months.month)
    group by months.month, months.month_end, by_months.segment, by_months.segment_value
),

final as (
    select
        counted.month,
        counted.segment,
        counted.segment_value,
        cast(counted.customers_at_start as bigint) as customers_at_start,
        cast(counted.churned_customers as bigint) as churned_customers,
        {{ share('counted.churned_customers', 'counted.customers_at_start') }} as churn_rate,
        {{ wilson_low('counted.churned_customers', 'counted.customers_at_start') }} as churn_rate_low,
        {{ wilson_high('counted.churned_customers', 'counted.customers_at_start') }} as churn_rate_high,
        1 - {{ share('counted.churned_customers', 'counted.customers_at_start') }} as retention_rate,
        counted.month_end as final_on,
        counted.month_end > publication.as_of as is_provisional,
    from counted
    cross join publication
)

select * from final
