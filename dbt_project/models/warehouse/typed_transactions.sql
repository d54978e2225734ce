-- grain: one row per row of the bank's transactions, usable or not: the only pass over the raw text
with transactions as (select * from {{ ref('stg_bank__transactions') }}),

final as (
    select
        * {{ without('user_id') }},
        -- a number is its own text; only other identifiers need keeping
        case when customer_key < 0 then user_id end as user_id_text,
        coalesce(rejection_reason is null and {{ counts_as_activity() }}, false) as is_activity,
    from transactions
)

select * from final
