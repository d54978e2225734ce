-- grain: one row per customer and active day after which silence outlasted the shortest window, or none has ended it yet
{{ config(
    materialized='incremental',
    pre_hook=[
        "{{ neopulse.remember_breaks_of_changed_customers() }}",
        "{{ neopulse.forget('customer_key in (select customer_key from ' ~ ref('changed_customers') ~ ')') }}",
    ],
) }}

-- depends_on: {{ ref('change_window') }}, {{ ref('changed_customers') }}
with customer_days as (select * from {{ ref('fct_customer_days') }}),

customers as (
    select * from {{ ref('dim_customers') }}
    where first_active_day is not null
        {%- if is_incremental() %}
        and customer_key in (select customer_key from {{ ref('changed_customers') }})
        {%- endif %}
),

closed as (
    {%- if is_incremental() %}
    select customer_key, last_active_day, returned_on, gap_days
    from {{ before('breaks') }}
    where returned_on < {{ changed_from() }}
    union all
    {%- endif %}
    select
        customer_key,
        previous_activity_date as last_active_day,
        activity_date as returned_on,
        {{ days_between('previous_activity_date', 'activity_date') }} as gap_days,
    from customer_days
    where activity_date >= {{ changed_from() }}
        and {{ days_between('previous_activity_date', 'activity_date') }} > {{ shortest_window_days() }}
),

breaks as (
    select * from closed
    union all
    select customer_key, last_active_day, null, null from customers
),

-- the longest silence that ended in the month of a return, up to that return
by_month as (
    select
        *,
        max(gap_days) over (
            partition by customer_key, {{ month_start('returned_on') }} order by returned_on
            rows between unbounded preceding and current row
        ) as longest_gap_of_month_days,
    from breaks
),

looking_back as (
    select
        *,
        max(gap_days) over before_it as longest_gap_before_days,
        lag(returned_on) over in_order as returned_before_on,
        lag(longest_gap_of_month_days) over in_order as longest_gap_of_month_before_days,
    from by_month
    window
        in_order as (partition by customer_key order by last_active_day),
        before_it as (partition by customer_key order by last_active_day rows between unbounded preceding and 1 preceding)
),

final as (
    select
        looking_back.customer_key,
        looking_back.last_active_day,
        looking_back.returned_on,
        looking_back.gap_days,
        looking_back.returned_before_on,
        coalesce(looking_back.longest_gap_before_days, 0) as longest_gap_before_days,
        -- since the beginning of the month in which the last active day lies
        case
            when {{ month_start('looking_back.returned_before_on') }} = {{ month_start('looking_back.last_active_day') }}
                then looking_back.longest_gap_of_month_before_days
            else 0
        end as longest_gap_in_month_days,
        customers.first_active_day,
        customers.segment_id,
    from looking_back
    inner join customers on looking_back.customer_key = customers.customer_key
)

select * from final
