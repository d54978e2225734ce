-- grain: one row per transaction type, and one for all
with volumes as (select * from {{ ref('fct_customer_volumes') }}),

counted as (
    select
        case when grouping(transaction_type) = 1 then 'all' else transaction_type end as type_or_all,
        sum(transactions) as transactions,
        sum(completed_transactions) as completed_transactions,
        count(distinct customer_key) as customers,
        sum(completed_amount_usd) as completed_amount_usd,
        min(first_date) as first_date,
        max(last_date) as last_date,
    from volumes
    group by grouping sets ((), (transaction_type))
),

final as (
    select
        type_or_all as transaction_type,
        cast(transactions as {{ dbt.type_bigint() }}) as transactions,
        cast(completed_transactions as {{ dbt.type_bigint() }}) as completed_transactions,
        customers,
        cast(completed_amount_usd as {{ float_type() }}) as completed_amount_usd,
        first_date,
        last_date,
    from counted
)

select * from final
