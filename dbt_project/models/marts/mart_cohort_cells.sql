-- grain: one row per cohort kind, period length, cohort, period and combination of dimensions
with customer_days as (select * from {{ ref('fct_customer_days') }}),

customers as (
    select customers.*
    from {{ ref('dim_customers') }} as customers
    inner join {{ ref('dim_publication') }} as publication on customers.opening_date <= publication.as_of
),

active_periods as (
    select distinct customer_key, 'month' as grain, {{ month_start('activity_date') }} as period_start from customer_days
    union all
    select distinct customer_key, 'week', {{ week_start('activity_date') }} from customer_days
),

with_the_last as (
    select
        *,
        period_start = max(period_start) over (partition by customer_key, grain) as is_last,
    from active_periods
),

cohorts as (
    {% for grain in ['month', 'week'] -%}
    {% for kind, day in [('first_activity', 'first_active_day'), ('signup', 'opening_date')] -%}
    select
        customer_key, '{{ kind }}' as cohort_kind, '{{ grain }}' as grain,
        {{ month_start(day) if grain == 'month' else week_start(day) }} as cohort,
        {{ dimension_columns() }},
    from customers
    where {{ day }} is not null
    {{ 'union all' if not loop.last }}
    {% endfor -%}
    {{ 'union all' if not loop.last }}
    {% endfor -%}
),

cells as (
    select
        cohorts.cohort_kind,
        cohorts.grain,
        cohorts.cohort,
        case
            when cohorts.grain = 'month' then {{ months_between('cohorts.cohort', 'with_the_last.period_start') }}
            else {{ weeks_between('cohorts.cohort', 'with_the_last.period_start') }}
        end as period,
        {{ dimension_columns('cohorts') }},
        0 as cohort_customers,
        1 as active_customers,
        case when with_the_last.is_last then 1 else 0 end as last_active_customers,
    from cohorts
    inner join with_the_last
        on cohorts.customer_key = with_the_last.customer_key and cohorts.grain = with_the_last.grain
    union all
    select cohort_kind, grain, cohort, 0, {{ dimension_columns() }}, 1, 0, 0
    from cohorts
),

final as (
    select
        cohort_kind,
        grain,
        cohort,
        cast(period as integer) as period,
        {{ dimension_columns() }},
        cast(sum(cohort_customers) as bigint) as cohort_customers,
        cast(sum(active_customers) as bigint) as active_customers,
        cast(sum(last_active_customers) as bigint) as last_active_customers,
    from cells
    group by cohort_kind, grain, cohort, period, {{ dimension_columns() }}
)

select * from final
order by cohort_kind, grain, cohort
