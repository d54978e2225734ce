-- each is carried on by a way of its own: by customers of changed days, and by changed months. Of what counts as activity all
-- types together are in the months of the customers.
with volumes as (
    select
        transaction_type,
        sum(transactions) as transactions,
        sum(completed_transactions) as completed,
        cast(sum(completed_amount_usd) as {{ float_type() }}) as completed_usd,
        sum(activity_transactions) as activity,
        sum(activity_amount_usd) as activity_usd,
    from {{ ref('fct_customer_volumes') }}
    group by transaction_type
),

months as (
    select
        transaction_type,
        sum(transactions) as transactions,
        sum(case when transaction_state = 'COMPLETED' then transactions else 0 end) as completed,
        sum(case when transaction_state = 'COMPLETED' then amount_usd end) as completed_usd,
        sum(case when transaction_state = 'COMPLETED' then abs(amount_usd) end) as size_usd,
    from {{ ref('mart_transactions_monthly') }}
    group by transaction_type
),

customer_months as (
    select sum(transactions) as activity, sum(amount_usd) as activity_usd from {{ ref('fct_customer_months') }}
),

-- of each type once more below zero, so that two lists can be compared without a full join
counted as (
    select transaction_type, transactions, completed, completed_usd, 0 as size_usd, activity, activity_usd from volumes
    union all
    select transaction_type, -transactions, -completed, -completed_usd, size_usd, 0, 0 from months
    union all
    select null, 0, 0, 0, 0, -activity, -activity_usd from customer_months
)

select
    transaction_type,
    sum(transactions) as too_many,
    sum(completed) as too_many_completed,
    sum(completed_usd) as too_much_completed_usd,
    sum(activity) as too_many_of_activity,
    sum(activity_usd) as too_much_of_activity_usd,
from counted
group by grouping sets ((transaction_type), ())
having sum(transactions) <> 0
    or sum(completed) <> 0
    or abs(sum(completed_usd)) > 1e-9 * sum(size_usd)   -- floats differ by the order they are added in
    or (grouping(transaction_type) = 1 and (sum(activity) <> 0 or sum(activity_usd) <> 0))
