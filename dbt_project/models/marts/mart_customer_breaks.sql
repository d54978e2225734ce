-- grain: one row per customer and last active day before a silence that not every window bridges, or that has not ended
{{ config(materialized='view') }}

with breaks as (select * from {{ ref('fct_breaks') }}),

customers as (select * from {{ ref('dim_customers') }}),

final as (
    select
        breaks.last_active_day,
        breaks.returned_on,
        customers.user_id,
    from breaks
    inner join customers on breaks.customer_key = customers.customer_key
)

select * from final
