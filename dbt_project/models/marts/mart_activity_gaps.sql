-- grain: one row per day, gap to the next active day (null: none yet), first day or not, and combination of dimensions
with customer_days as (select * from {{ ref('fct_customer_days') }}),

customers as (select * from {{ ref('dim_customers') }}),

final as (
    select
        customer_days.activity_date,
        {{ days_between('customer_days.activity_date', 'customer_days.next_activity_date') }} as gap_days,
        customer_days.previous_activity_date is null as is_first,
        {{ dimension_columns('customers') }},
        count(*) as customers,
    from customer_days
    inner join customers on customer_days.customer_key = customers.customer_key
    group by
        customer_days.activity_date,
        {{ days_between('customer_days.activity_date', 'customer_days.next_activity_date') }},
        customer_days.previous_activity_date is null,
        {{ dimension_columns('customers') }}
)

select * from final
order by activity_date
