-- grain: one row per transaction_id that can be used, whatever its state
{{ config(materialized='view') }}

-- the large table is named wherever it is read: DuckDB would keep all of a CTE that is read twice
with repeated as (select * from {{ ref('repeated_transactions') }}),

single as (
    select * {{ without('rejection_code') }}
    from {{ ref('typed_transactions') }}
    where rejection_code is null and transaction_key not in (select transaction_key from repeated)
),

-- of identifiers that share a hash with a repeated one
mistaken as (
    select * {{ without('rejection_code') }}
    from {{ ref('typed_transactions') }}
    where rejection_code is null
        and transaction_key < 0
        and transaction_key in (select transaction_key from repeated)
        and transaction_id_text not in (select transaction_id from repeated)
),

first_copies as (
    select
        * {{ without(
            'transaction_id', 'transaction_type', 'transaction_state', 'doubt', 'row_text', 'copy_number', 'rejection_reason',
        ) }},
    from repeated
    where copy_number = 1
),

usable as (
    select * from single
    union all
    select * from mistaken
    union all
    select * from first_copies
),

final as (
    select
        * {{ without('source_row') }},
        {{ word_of('transaction_type', known_types(), 'transactions_type') }} as transaction_type,
        {{ word_of('transaction_state', known_states(), 'transactions_state') }} as transaction_state,
        {{ word_at(doubts(), 'doubt_code') }} as doubt,
    from usable
)

select * from final
