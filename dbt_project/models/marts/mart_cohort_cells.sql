-- grain: one row per cohort kind, period length, cohort, period with activity, and segment
{{ config(
    materialized='incremental',
    pre_hook="{{ neopulse.forget(
        '(grain = \\'month\\' and period_start >= ' ~ neopulse.month_start(neopulse.cubes_changed_from()) ~ ')'
        ~ ' or (grain = \\'week\\' and period_start >= ' ~ neopulse.week_start(neopulse.cubes_changed_from()) ~ ')'
    ) }}",
) }}

with customers as (select * from {{ ref('dim_customers') }}),

-- one row a customer and period: its first active day, which follows one of an earlier period
active_periods as (
    {%- for grain in ['month', 'week'] %}
    {%- set period = month_start if grain == 'month' else week_start %}
    select customer_key, '{{ grain }}' as grain, {{ period('activity_date') }} as period_start
    from {{ ref('fct_customer_days') }}
    where activity_date >= {{ period(cubes_changed_from()) }}
        and (previous_activity_date is null or previous_activity_date < {{ period('activity_date') }})
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

cells as (
    {%- for kind, day in [('first_activity', 'first_active_day'), ('signup', 'opening_date')] %}
    select
        '{{ kind }}' as cohort_kind,
        active_periods.grain,
        case when active_periods.grain = 'month' then {{ month_start('customers.' ~ day) }} else {{ week_start('customers.' ~ day) }} end
            as cohort,
        active_periods.period_start,
        customers.segment_id,
        count(*) as active_customers,
    from active_periods
    inner join customers on active_periods.customer_key = customers.customer_key
    group by 1, 2, 3, 4, 5
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

final as (
    select
        cohort_kind,
        grain,
        cohort,
        period_start,
        {{ period_of_cohort('cohort', 'period_start') }} as period,
        segment_id,
        active_customers,
    from cells
)

select * from final
