-- grain: one row per customer and month with an active day
{{ config(materialized='view') }}

with customer_months as (select * from {{ ref('fct_customer_months') }}),

final as (
    select
        month,
        active_days_bitmap,
        customer_key,
    from customer_months
)

select * from final
