-- grain: one row per transaction_id that can be used, whatever its state
{{ config(materialized='view') }}

-- the large table is named wherever it is read: DuckDB would keep all of a CTE that is read twice
with repeated as (select * from {{ ref('repeated_transactions') }}),

single as (
    select * {{ without('rejection_reason', 'rejected_row') }}
    from {{ ref('typed_transactions') }}
    where rejection_reason is null and transaction_key not in (select transaction_key from repeated)
),

-- of identifiers that share a hash with a repeated one
mistaken as (
    select * {{ without('rejection_reason', 'rejected_row') }}
    from {{ ref('typed_transactions') }}
    where rejection_reason is null
        and transaction_key < 0
        and transaction_key in (select transaction_key from repeated)
        and transaction_id_text not in (select transaction_id from repeated)
),

first_copies as (
    select * {{ without('rejection_reason', 'row_text', 'copy_number', 'transaction_id') }}
    from repeated
    where copy_number = 1
),

final as (
    select * from single
    union all
    select * from mistaken
    union all
    select * from first_copies
)

select * from final
