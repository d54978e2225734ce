-- grain: one row per customer and active stretch under the inactivity window N, on both clocks
with customer_days as (select * from {{ ref('fct_customer_days') }}),

customers as (select * from {{ ref('dim_customers') }}),

publication as (select * from {{ ref('dim_publication') }}),

-- only the days after which silence lasted more than N days, and each customer's last day: few rows, one small window
last_days as (
    select customer_key, activity_date as last_active_day, next_activity_date
    from customer_days
    where next_activity_date is null
        or {{ days_between('activity_date', 'next_activity_date') }} > {{ inactivity_days() }}
),

paired as (
    select
        *,
        lag(next_activity_date) over (partition by customer_key order by last_active_day) as starting_date,
    from last_days
),

final as (
    select
        paired.customer_key,
        coalesce(paired.starting_date, customers.first_active_day) as starting_date,
        paired.last_active_day,
        case
            when paired.next_activity_date is not null
                or {{ days_between('paired.last_active_day', 'publication.as_of') }} >= {{ inactivity_days() }}
                then {{ add_days('paired.last_active_day', inactivity_days()) }}
        end as lapsed_on,
        paired.next_activity_date as returned_on,
        paired.starting_date is null as is_first,
        {{ dimension_columns('customers') }},
    from paired
    inner join customers on paired.customer_key = customers.customer_key
    cross join publication
)

select * from final
