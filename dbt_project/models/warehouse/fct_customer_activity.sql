-- grain: one row per customer with an active day up to as_of
with customer_days as (
    select customer_key, activity_date
    from {{ ref('fct_customer_days') }}
    {%- if only_appends() %}
    where activity_date >= {{ changed_from() }}
    {%- endif %}
),

counted as (
    select
        customer_key,
        min(activity_date) as first_active_day,
        max(activity_date) as last_active_day,
        count(*) as active_days,
    from customer_days
    group by customer_key
    {%- if only_appends() %}
    union all
    select customer_key, first_active_day, last_active_day, active_days from {{ this }}
    {%- endif %}
),

final as (
    select
        customer_key,
        min(first_active_day) as first_active_day,
        max(last_active_day) as last_active_day,
        cast(sum(active_days) as {{ dbt.type_bigint() }}) as active_days,
    from counted
    group by customer_key
)

select * from final
