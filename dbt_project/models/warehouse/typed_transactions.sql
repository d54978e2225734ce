-- grain: one row per row of the bank's transactions, usable or not: the only pass over the raw text and the only full copy
{{ config(
    materialized='incremental',
    pre_hook=[
        "{{ neopulse.remember_days_of_changed_parts() }}",
        "{{ neopulse.forget(neopulse.in_changed_parts()) }}",
    ],
) }}

with transactions as (select * from {{ ref('stg_bank__transactions') }}),

final as (
    select
        * {{ without('transaction_id', 'user_id') }},
        -- a number is its own text; only other identifiers need keeping
        case when transaction_key < 0 then transaction_id end as transaction_id_text,
        case when customer_key < 0 then user_id end as user_id_text,
        coalesce(rejection_reason is null and {{ counts_as_activity() }}, false) as is_activity,
    from transactions
)

select * from final
