-- grain: one row per month and merchant country (alpha-3; unknown where none is given): completed card and ATM payments
{{ config(materialized='incremental', pre_hook="{{ neopulse.forget_months('month') }}") }}

with transactions as (select * from {{ ref('fct_transactions') }}),

publication as (select * from {{ ref('dim_publication') }}),

payments as (
    select transactions.transaction_date, transactions.merchant_country, transactions.is_card_holder_present, transactions.amount_usd
    from transactions
    inner join publication on transactions.transaction_date <= publication.as_of
    where transactions.{{ is_completed() }}
        and transactions.transaction_type_code in (
            {{ code_of('CARD_PAYMENT', known_types()) }}, {{ code_of('ATM', known_types()) }}
        )
        and transactions.transaction_date >= {{ month_start(changed_from()) }}
),

-- days first: dates are cheaper to group by than the months made of them
by_day as (
    select
        transaction_date,
        merchant_country,
        count(is_card_holder_present) as payments_known,
        count(case when is_card_holder_present = false then 1 end) as payments_not_present,
        count(case when is_card_holder_present is null then 1 end) as payments_unknown,
        sum(case when is_card_holder_present is not null then amount_usd end) as amount_known_usd,
        sum(case when is_card_holder_present = false then amount_usd end) as amount_not_present_usd,
        sum(case when is_card_holder_present is null then amount_usd end) as amount_unknown_usd,
    from payments
    group by transaction_date, merchant_country
),

final as (
    select
        {{ month_start('transaction_date') }} as month,
        coalesce(nullif(merchant_country, 'UNKNOWN'), 'unknown') as merchant_country,
        {%- for column in card_not_present_columns() %}
        coalesce(sum({{ column }}), 0) as {{ column }},
        {%- endfor %}
    from by_day
    group by {{ month_start('transaction_date') }}, coalesce(nullif(merchant_country, 'UNKNOWN'), 'unknown')
)

select * from final
