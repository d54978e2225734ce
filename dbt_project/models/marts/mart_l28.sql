-- grain: one row per month end (and as_of), number of active days in the 28 days to it, tenure class and segment
{{ config(
    materialized='incremental',
    pre_hook="{{ neopulse.forget('date >= ' ~ neopulse.cubes_changed_from() ~ ' or date <> ' ~ neopulse.month_end('date')) }}",
) }}

with customer_days as (select * from {{ ref('fct_customer_days') }}),

people as (select * from {{ ref('dim_customers') }}),

dates as (
    select dates.date_day
    from {{ ref('dim_dates') }} as dates
    cross join {{ ref('dim_publication') }} as publication
    where (dates.date_day = publication.as_of and dates.date_day <> dates.month_end)
        or (dates.date_day = dates.month_end and not dates.is_after_as_of and dates.date_day >= {{ cubes_changed_from() }})
),

-- day by day, so that each active day is looked up and not compared with every date
days_of_each_date as (
    select dates.date_day as date, days.date_day
    from dates
    inner join {{ ref('dim_dates') }} as days
        on days.date_day <= dates.date_day and days.date_day > {{ add_days('dates.date_day', -28) }}
),

counted as (
    select days_of_each_date.date, customer_days.customer_key, count(*) as active_days
    from customer_days
    inner join days_of_each_date on customer_days.activity_date = days_of_each_date.date_day
    {% if builds_on_the_last_run() -%}
    where customer_days.activity_date > {{ add_days(cubes_changed_from(), -29) }}   -- it is never later than the day after as_of
    {% endif -%}
    group by days_of_each_date.date, customer_days.customer_key
),

final as (
    select
        counted.date,
        cast(counted.active_days as {{ dbt.type_int() }}) as active_days,
        {{ days_between('people.opening_date', 'counted.date') }} < 28 as is_new,
        people.segment_id,
        count(*) as customers,
        counted.date as final_on,
        false as is_provisional,
    from counted
    inner join people on counted.customer_key = people.customer_key
    group by
        counted.date,
        counted.active_days,
        {{ days_between('people.opening_date', 'counted.date') }} < 28,
        people.segment_id
)

select * from final
