-- grain: one row per transaction type, and one for all
with by_type as (
    select
        transaction_type,
        sum(transactions) as transactions,
        sum(completed_transactions) as completed_transactions,
        count(*) as customers,   -- each has one row a type
        sum(completed_amount_usd) as completed_amount_usd,
        min(first_date) as first_date,
        max(last_date) as last_date,
    from {{ ref('fct_customer_volumes') }}
    group by transaction_type
),

everybody as (select count(distinct customer_key) as customers from {{ ref('fct_customer_volumes') }}),

of_all_types as (
    select
        'all' as transaction_type,
        sum(by_type.transactions) as transactions,
        sum(by_type.completed_transactions) as completed_transactions,
        max(everybody.customers) as customers,
        sum(by_type.completed_amount_usd) as completed_amount_usd,
        min(by_type.first_date) as first_date,
        max(by_type.last_date) as last_date,
    from by_type
    cross join everybody
),

counted as (
    select * from by_type
    union all
    select * from of_all_types
),

final as (
    select
        transaction_type,
        cast(transactions as {{ dbt.type_bigint() }}) as transactions,
        cast(completed_transactions as {{ dbt.type_bigint() }}) as completed_transactions,
        customers,
        cast(coalesce(completed_amount_usd, 0) as {{ float_type() }}) as completed_amount_usd,
        first_date,
        last_date,
    from counted
)

select * from final
