-- grain: one row per row whose transaction_id stands more than once; copy 1 is the one that counts
with transactions as (
    select * from {{ ref('typed_transactions') }} where rejection_reason is null
),

repeated_keys as (
    select transaction_key from transactions group by transaction_key having count(*) > 1
),

repeated as (
    select
        transactions.* {{ without('rejection_reason', 'rejected_row') }},
        {{ row_as_text('transactions') }} as row_text,
    from transactions
    inner join repeated_keys on transactions.transaction_key = repeated_keys.transaction_key
),

numbered as (
    select
        *,
        row_number() over (partition by transaction_id order by created_at desc, row_text) as copy_number,
        first_value(row_text) over (partition by transaction_id order by created_at desc, row_text) as counted_row,
    from repeated
),

final as (
    select
        * {{ without('counted_row') }},
        case
            when copy_number = 1 then null
            when row_text = counted_row then 'exact_duplicate'
            else 'conflicting_duplicate'
        end as rejection_reason,
    from numbered
)

select * from final
