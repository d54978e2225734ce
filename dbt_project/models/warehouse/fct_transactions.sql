-- grain: one row per transaction_id that can be used, whatever its state
with transactions as (
    select * from {{ ref('stg_bank__transactions') }} where rejection_reason is null
),

repeated as (select * from {{ ref('repeated_transactions') }}),

repeated_ids as (select distinct transaction_id from repeated),

single as (
    select transactions.* {{ without('source_row', 'rejection_reason') }}
    from transactions
    left join repeated_ids on transactions.transaction_id = repeated_ids.transaction_id
    where repeated_ids.transaction_id is null
),

first_copies as (
    select repeated.* {{ without('source_row', 'rejection_reason', 'copy_number') }}
    from repeated
    where copy_number = 1
),

usable as (
    select * from single
    union all
    select * from first_copies
),

final as (
    select
        transaction_id,
        customer_key,
        case when customer_key < 0 then user_id end as user_id_text,
        transaction_type,
        transaction_state,
        currency,
        direction,
        amount_usd,
        amount_usd is null and nullif(trim(amount_text), '') is not null as has_unreadable_amount,
        is_card_holder_present,
        merchant_category_code,
        merchant_city,
        merchant_country,
        created_at,
        transaction_date,
        coalesce({{ counts_as_activity() }}, false) as is_activity,
    from usable
)

select * from final
