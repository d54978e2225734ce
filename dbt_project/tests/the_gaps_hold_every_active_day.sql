-- the cubes that answer every window: each customer is silent since one last day, and each active day is counted once; so it is in the months
with facts as (
    select
        (select count(*) from {{ ref('fct_customer_activity') }}) as customers,
        (select coalesce(sum(active_days), 0) from {{ ref('fct_customer_activity') }}) as customer_days
),

cubes as (
    select
        (select coalesce(sum(customers), 0) from {{ ref('mart_activity_gaps') }} where returned_on is null) as customers,
        (select coalesce(sum(new_customers), 0) from {{ ref('mart_daily_counts') }}) as new_customers,
        (select coalesce(sum(active_customers), 0) from {{ ref('mart_daily_counts') }}) as customer_days,
        (select coalesce(sum(bit_count(active_days_bitmap)), 0) from {{ ref('mart_customer_months') }}) as days_of_months
)

select
    facts.customers,
    cubes.customers as in_gaps,
    cubes.new_customers,
    facts.customer_days,
    cubes.customer_days as in_counts,
    cubes.days_of_months,
from facts
cross join cubes
where facts.customers <> cubes.customers
    or facts.customers <> cubes.new_customers
    or facts.customer_days <> cubes.customer_days
    or facts.customer_days <> cubes.days_of_months
