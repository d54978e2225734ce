-- grain: one row per cohort kind, period length, cohort, last period with activity (null: none) and segment
with customers as (
    select customers.*
    from {{ ref('dim_customers') }} as customers
    inner join {{ ref('dim_publication') }} as publication on customers.opening_date <= publication.as_of
),

members as (
    {%- for grain in ['month', 'week'] %}
    {%- set period = month_start if grain == 'month' else week_start %}
    {%- set outer = loop %}
    {%- for kind, day in [('first_activity', 'first_active_day'), ('signup', 'opening_date')] %}
    select
        '{{ kind }}' as cohort_kind,
        '{{ grain }}' as grain,
        {{ period(day) }} as cohort,
        {{ period('last_active_day') }} as last_period_start,
        segment_id,
        count(*) as customers,
    from customers
    where {{ day }} is not null
    group by 1, 2, 3, 4, 5
    {{ 'union all' if not (loop.last and outer.last) }}
    {%- endfor %}
    {%- endfor %}
),

final as (
    select
        cohort_kind,
        grain,
        cohort,
        last_period_start,
        {{ period_of_cohort('cohort', 'last_period_start') }} as last_period,
        segment_id,
        customers,
    from members
)

select * from final
