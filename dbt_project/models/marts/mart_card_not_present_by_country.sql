-- grain: one row per month and merchant country (alpha-3; unknown where none is given)
with payments as (select * from {{ ref('fct_card_payments') }}),

publication as (select * from {{ ref('dim_publication') }}),

counted as (
    select
        month,
        merchant_country,
        {%- for column in card_not_present_columns() %}
        cast(sum({{ column }}) as {{ float_type() if column.startswith('amount') else dbt.type_bigint() }}) as {{ column }},
        {%- endfor %}
    from payments
    group by month, merchant_country
),

final as ({{ card_not_present_shares('counted') }})

select * from final
