-- grain: one row per customer and stretch of time, effective clock; each customer is in exactly one stretch on each day
with stretches as (select * from {{ ref('fct_activity_stretches') }}),

customers as (select * from {{ ref('dim_customers') }}),

publication as (select * from {{ ref('dim_publication') }}),

active as (
    select
        customer_key,
        true as is_active,
        starting_date,
        case when lapsed_on is not null then last_active_day end as ending_date,
        starting_date as recognised_on,
        lapsed_on is null as is_provisional,
    from stretches
),

silent_after_a_lapse as (
    select
        customer_key,
        false as is_active,
        {{ add_days('last_active_day', 1) }} as starting_date,
        {{ add_days('returned_on', -1) }} as ending_date,
        lapsed_on as recognised_on,
        false as is_provisional,
    from stretches
    where lapsed_on is not null
),

silent_from_opening as (
    select
        customers.customer_key,
        false as is_active,
        customers.opening_date as starting_date,
        {{ add_days('customers.first_active_day', -1) }} as ending_date,
        customers.opening_date as recognised_on,
        false as is_provisional,
    from customers
    cross join publication
    where customers.opening_date <= publication.as_of
        and (customers.first_active_day is null or customers.opening_date < customers.first_active_day)
),

together as (
    select * from active
    union all
    select * from silent_after_a_lapse
    union all
    select * from silent_from_opening
),

final as (
    select
        customers.user_id,
        together.is_active,
        together.starting_date,
        together.ending_date,
        together.recognised_on,
        together.is_provisional,
    from together
    inner join customers on together.customer_key = customers.customer_key
)

select * from final
