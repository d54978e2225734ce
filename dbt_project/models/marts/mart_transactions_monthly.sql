-- grain: one row per month, type, state and combination of dimensions
with transactions as (select * from {{ ref('fct_transactions') }}),

customers as (select * from {{ ref('dim_customers') }}),

publication as (select * from {{ ref('dim_publication') }}),

-- first by customer, so that the join meets few rows
customer_months as (
    select
        transactions.customer_key,
        {{ month_start('transactions.transaction_date') }} as month,
        transactions.transaction_type,
        transactions.transaction_state,
        count(*) as transactions,
        sum(transactions.amount_usd) as amount_usd,
    from transactions
    inner join publication on transactions.transaction_date <= publication.as_of
    group by
        transactions.customer_key,
        {{ month_start('transactions.transaction_date') }},
        transactions.transaction_type,
        transactions.transaction_state
),

final as (
    select
        customer_months.month,
        coalesce(customer_months.transaction_type, 'unknown') as transaction_type,
        coalesce(customer_months.transaction_state, 'unknown') as transaction_state,
        {{ dimension_columns('customers') }},
        cast(sum(customer_months.transactions) as bigint) as transactions,
        cast(coalesce(sum(customer_months.amount_usd), 0) as {{ float_type() }}) as amount_usd,
        {{ month_end('customer_months.month') }} as final_on,
        {{ month_end('customer_months.month') }} > max(publication.as_of) as is_provisional,
    from customer_months
    inner join customers on customer_months.customer_key = customers.customer_key
    cross join publication
    group by
        customer_months.month,
        customer_months.transaction_type,
        customer_months.transaction_state,
        {{ dimension_columns('customers') }}
)

select * from final
