-- grain: one row per row of the bank's transactions, usable or not: the only pass over the raw text and the only full copy
{{ config(
    materialized='incremental',
    pre_hook=[
        "{{ neopulse.remember_days_of_changed_parts() }}",
        "{{ neopulse.forget(neopulse.in_changed_parts()) }}",
    ],
) }}

with transactions as (select * from {{ ref('stg_bank__transactions') }}),

-- words are kept as codes, and the text of identifiers only where they are no numbers
final as (
    select
        * {{ without('transaction_id', 'user_id', 'transaction_type', 'transaction_state', 'doubt', 'rejection_reason') }},
        rejection_code is null and {{ counts_as_activity() }} as is_activity,
    from transactions
)

select * from final
