-- grain: one row per customer and active day up to as_of; it looks back to the active day before, never forward
{{ config(materialized='incremental', pre_hook="{{ neopulse.forget_days('activity_date') }}") }}

with transactions as (select * from {{ ref('fct_transactions') }}),

publication as (select * from {{ ref('dim_publication') }}),

active_days as (
    select
        customer_key,
        transaction_date as activity_date,
        count(*) as transactions,
        sum(amount_usd) as amount_usd,
    from transactions
    inner join publication on transactions.transaction_date <= publication.as_of
    where is_activity and transaction_date >= {{ changed_from() }}
    group by customer_key, transaction_date
),

{% if is_incremental() -%}
last_days_before as (
    {% if only_appends() -%}
    -- all days that were there are of the last run, which knows the last of each customer's
    select customer_key, last_active_day as activity_date
    from {{ of_the_last_run('fct_customer_activity') }}
    where customer_key in (select customer_key from active_days)
    {%- else -%}
    select customer_key, max(activity_date) as activity_date
    from {{ this }}
    where customer_key in (select customer_key from active_days) and activity_date < {{ changed_from() }}
    group by customer_key
    {%- endif %}
),

with_the_last_before as (
    select customer_key, activity_date, transactions, amount_usd, true as is_new from active_days
    union all
    select customer_key, activity_date, null, null, false from last_days_before
),

{% endif -%}
looking_back as (
    select
        *,
        lag(activity_date) over (partition by customer_key order by activity_date) as previous_activity_date,
    from {{ 'with_the_last_before' if is_incremental() else 'active_days' }}
),

final as (
    select customer_key, activity_date, transactions, amount_usd, previous_activity_date
    from looking_back
    {%- if is_incremental() %}
    where is_new
    {%- endif %}
)

select * from final
