-- grain: one row per month, type, state and segment
{{ config(materialized='incremental', pre_hook="{{ neopulse.forget_cube_months('month') }}") }}

with transactions as (select * from {{ ref('fct_transactions') }}),

customers as (select * from {{ ref('dim_customers') }}),

publication as (select * from {{ ref('dim_publication') }}),

-- the texts only of those that are no code
counted as (
    select
        {{ month_start('transactions.transaction_date') }} as month,
        transactions.transaction_type_code,
        transactions.transaction_state_code,
        case when transactions.transaction_type_code is null then transactions.transaction_type end as other_type,
        case when transactions.transaction_state_code is null then transactions.transaction_state end as other_state,
        customers.segment_id,
        count(*) as transactions,
        sum(transactions.amount_usd) as amount_usd,
    from transactions
    inner join publication on transactions.transaction_date <= publication.as_of
    inner join customers on transactions.customer_key = customers.customer_key
    {% if builds_on_the_last_run() -%}
    where transactions.transaction_date >= {{ month_start(cubes_changed_from()) }}
    {% endif -%}
    group by 1, 2, 3, 4, 5, 6
),

final as (
    select
        counted.month,
        coalesce({{ word_at(known_types(), 'counted.transaction_type_code') }}, counted.other_type, 'unknown') as transaction_type,
        coalesce({{ word_at(known_states(), 'counted.transaction_state_code') }}, counted.other_state, 'unknown') as transaction_state,
        counted.segment_id,
        counted.transactions,
        cast(coalesce(counted.amount_usd, 0) as {{ float_type() }}) as amount_usd,
        {{ month_end('counted.month') }} as final_on,
        {{ month_end('counted.month') }} > publication.as_of as is_provisional,
    from counted
    cross join publication
)

select * from final
