-- grain: one row per row whose transaction_id stands more than once; copy 1 is the one that counts
with transactions as (
    select * from {{ ref('stg_bank__transactions') }} where rejection_reason is null
),

repeated_ids as (
    select transaction_id from transactions group by transaction_id having count(*) > 1
),

numbered as (
    select
        transactions.*,
        row_number() over (partition by transactions.transaction_id order by created_at desc, source_row) as copy_number,
        first_value(source_row) over (partition by transactions.transaction_id order by created_at desc, source_row)
            as counted_row,
    from transactions
    inner join repeated_ids on transactions.transaction_id = repeated_ids.transaction_id
),

final as (
    select
        * {{ without('rejection_reason', 'counted_row') }},
        case
            when copy_number = 1 then null
            when source_row = counted_row then 'exact_duplicate'
            else 'conflicting_duplicate'
        end as rejection_reason,
    from numbered
)

select * from final
