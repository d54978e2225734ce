-- grain: one row per month, last active day in it, gap after it, longest gap before it since the month began, and dimensions
with customer_days as (select * from {{ ref('fct_customer_days') }}),

customers as (select * from {{ ref('dim_customers') }}),

publication as (select * from {{ ref('dim_publication') }}),

-- Under a window no longer than a month, a customer who was active at the month's start may transact in the month and still
-- lapse before it ends. The stretch reaches back to the month's start exactly when no gap since then exceeds N.
gaps as (
    select
        customer_days.customer_key,
        {{ month_start('customer_days.activity_date') }} as month,
        customer_days.activity_date,
        {{ days_between('customer_days.previous_activity_date', 'customer_days.activity_date') }} as gap_before_days,
        coalesce(
            {{ days_between('customer_days.activity_date', 'customer_days.next_activity_date') }},
            {{ days_between('customer_days.activity_date', 'publication.as_of') }} + 1
        ) as gap_days,
    from customer_days
    cross join publication
),

followed as (
    select
        *,
        max(gap_before_days) over (
            partition by customer_key, month order by activity_date rows between unbounded preceding and current row
        ) as longest_gap_before_days,
    from gaps
),

final as (
    select
        followed.month,
        followed.activity_date,
        followed.gap_days,
        followed.longest_gap_before_days,
        {{ dimension_columns('customers') }},
        count(*) as customers,
    from followed
    inner join customers on followed.customer_key = customers.customer_key
    where customers.first_active_day < followed.month
        and followed.gap_days > followed.longest_gap_before_days
        and followed.longest_gap_before_days <= {{ days_between('followed.activity_date', month_end('followed.month')) }}
    group by
        followed.month,
        followed.activity_date,
        followed.gap_days,
        followed.longest_gap_before_days,
        {{ dimension_columns('customers') }}
)

select * from final
order by month
