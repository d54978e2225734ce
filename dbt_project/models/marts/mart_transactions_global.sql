-- grain: one row per transaction type, and one for all
with transactions as (
    select transactions.*
    from {{ ref('fct_transactions') }} as transactions
    inner join {{ ref('dim_publication') }} as publication on transactions.transaction_date <= publication.as_of
),

final as (
    select
        case when grouping(transaction_type) = 1 then 'all' else coalesce(transaction_type, 'unknown') end as transaction_type,
        count(*) as transactions,
        sum(case when transaction_state = 'COMPLETED' then 1 else 0 end) as completed_transactions,
        count(distinct customer_key) as customers,
        sum(case when transaction_state = 'COMPLETED' then amount_usd else 0 end) as completed_amount_usd,
        min(transaction_date) as first_date,
        max(transaction_date) as last_date,
    from transactions
    group by grouping sets ((), (transaction_type))
),

typed as (
    select
        transaction_type,
        transactions,
        cast(completed_transactions as bigint) as completed_transactions,
        customers,
        cast(completed_amount_usd as {{ float_type() }}) as completed_amount_usd,
        first_date,
        last_date,
    from final
)

select * from typed
