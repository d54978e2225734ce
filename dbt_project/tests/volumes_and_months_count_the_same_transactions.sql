-- each is carried on by a way of its own: by customers of changed days, and by changed months
with volumes as (
    select transaction_type, sum(transactions) as transactions, sum(completed_transactions) as completed
    from {{ ref('fct_customer_volumes') }}
    group by transaction_type
),

months as (
    select
        transaction_type,
        sum(transactions) as transactions,
        sum(case when transaction_state = 'COMPLETED' then transactions else 0 end) as completed,
    from {{ ref('mart_transactions_monthly') }}
    group by transaction_type
),

-- of each type once more below zero, so that two lists can be compared without a full join
counted as (
    select transaction_type, transactions, completed from volumes
    union all
    select transaction_type, -transactions, -completed from months
)

select transaction_type, sum(transactions) as too_many, sum(completed) as too_many_completed
from counted
group by transaction_type
having sum(transactions) <> 0 or sum(completed) <> 0
