-- grain: one row per customer and active day up to as_of
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
    where is_activity
    group by customer_key, transaction_date
),

final as (
    select
        *,
        lag(activity_date) over (partition by customer_key order by activity_date) as previous_activity_date,
        lead(activity_date) over (partition by customer_key order by activity_date) as next_activity_date,
    from active_days
)

select * from final
