-- grain: one row per customer and month with an active day
{{ config(materialized='incremental', pre_hook="{{ neopulse.forget_months('month') }}") }}

with customer_days as (
    select * from {{ ref('fct_customer_days') }}
    where activity_date >= {{ month_start(changed_from()) }}
),

final as (
    select
        customer_key,
        {{ month_start('activity_date') }} as month,
        sum(amount_usd) as amount_usd,
        cast(sum(transactions) as bigint) as transactions,
        -- a customer has a row a day, so that no bit is added twice
        cast(sum({{ bit_in_bucket("(extract(day from activity_date) - 1)") }}) as {{ dbt.type_int() }}) as active_days_bitmap,
    from customer_days
    group by customer_key, {{ month_start('activity_date') }}
)

select * from final
