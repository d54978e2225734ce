-- grain: one row per customer whose account was open on as_of: what the customer system is told
{{ config(materialized='view') }}

with customers as (select * from {{ ref('mart_customers') }}),

final as (
    select user_id, country, plan, is_active, state_since, last_active_day, lapses
    from customers
)

select * from final
