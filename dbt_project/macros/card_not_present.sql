{# Completed card and ATM payments with the holder absent, over those where presence is known, by month and `keys`. #}
{% macro card_not_present(keys) %}
with transactions as (select * from {{ ref('fct_transactions') }}),

publication as (select * from {{ ref('dim_publication') }}),

payments as (
    select
        {{ neopulse.month_start('transaction_date') }} as month,
        coalesce(merchant_country, 'unknown') as merchant_country,
        is_card_holder_present,
        coalesce(amount_usd, 0) as amount_usd,
    from transactions
    inner join publication on transactions.transaction_date <= publication.as_of
    where transaction_state = 'COMPLETED' and transaction_type in ('CARD_PAYMENT', 'ATM')
        and transaction_date >= {{ neopulse.month_start(neopulse.changed_from()) }}
),

counted as (
    select
        {{ (['month'] + keys) | join(', ') }},
        count(is_card_holder_present) as payments_known,
        count(case when is_card_holder_present = false then 1 end) as payments_not_present,
        count(case when is_card_holder_present is null then 1 end) as payments_unknown,
        {%- for name, condition in [
            ('known', 'is not null'), ('not_present', '= false'), ('unknown', 'is null'),
        ] %}
        cast(sum(case when is_card_holder_present {{ condition }} then amount_usd else 0 end) as {{ neopulse.float_type() }})
            as amount_{{ name }}_usd,
        {%- endfor %}
    from payments
    group by {{ (['month'] + keys) | join(', ') }}
),

final as (
    select
        counted.*,
        {{ neopulse.share('payments_not_present', 'payments_known') }} as share_by_count,
        {{ neopulse.wilson_low('payments_not_present', 'payments_known') }} as share_low,
        {{ neopulse.wilson_high('payments_not_present', 'payments_known') }} as share_high,
        {{ neopulse.share('amount_not_present_usd', 'amount_known_usd') }} as share_by_amount,
        {{ neopulse.month_end('counted.month') }} as final_on,
        {{ neopulse.month_end('counted.month') }} > publication.as_of as is_provisional,
    from counted
    cross join publication
)

select * from final
{% endmacro %}
