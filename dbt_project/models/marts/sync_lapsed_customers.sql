-- grain: one row per customer who lapsed in the 90 days to as_of and has not come back: the win-back list
{{ config(materialized='view') }}

with customers as (select * from {{ ref('mart_customers') }}),

final as (
    select user_id, country, plan, lapsed_on, last_active_day, active_days, amount_usd
    from customers
    where lapsed_on > {{ add_days('as_of', -90) }}
)

select * from final
