-- grain: one row per row whose transaction_id stands more than once; copy 1 is the one that counts
{{ config(
    materialized='incremental',
    pre_hook=[
        "{{ neopulse.remember('repeated_transactions', 'transaction_key, transaction_date, copy_number, source_part') }}",
        "{{ neopulse.forget('transaction_key in (' ~ neopulse.transaction_keys_to_look_at(neopulse.before('repeated_transactions')) ~ ')') }}",
    ],
) }}

{%- set on_days = on_days_of_repeated_keys() if is_incremental() else 'true' %}

-- the large table is named wherever it is read: DuckDB would keep all of a CTE that is read twice
-- few of 32 neighbouring numbers are looked at one by one: those of which fewer are different than there are
with crowded as (
    select {{ bucket('transaction_key') }} as bucket
    from {{ ref('typed_transactions') }}
    where rejection_code is null
    group by {{ bucket('transaction_key') }}
    having count(*) > bit_count(bit_or({{ bit_in_bucket('transaction_key') }}))
),

repeated_keys as (
    select transaction_key
    from {{ ref('typed_transactions') }}
    where rejection_code is null
    {%- if is_incremental() %}
    -- of all others no row has come or gone and no day has begun to count, and what was found about them stays
        and {{ on_days }}
        and transaction_key in ({{ transaction_keys_to_look_at(before('repeated_transactions')) }})
    {%- else %}
        and {{ bucket('transaction_key') }} in (select bucket from crowded)
    {%- endif %}
    group by transaction_key
    having count(*) > 1
),

described as (
    select
        typed.* {{ without('rejection_code') }},
        {{ transaction_id('typed') }} as transaction_id,
        {{ word_of('transaction_type', known_types(), 'transactions_type') }} as transaction_type,
        {{ word_of('transaction_state', known_states(), 'transactions_state') }} as transaction_state,
        {{ word_at(doubts(), 'doubt_code') }} as doubt,
    from {{ ref('typed_transactions') }} as typed
    inner join repeated_keys on typed.transaction_key = repeated_keys.transaction_key
    where typed.rejection_code is null and {{ on_days }}
),

-- copies that agree in all that a figure is made of are exact
compared as (
    select
        *,
        {{ columns_as_text(transaction_content()) }} as row_text,
    from described
),

numbered as (
    select
        *,
        row_number() over (best_first) as copy_number,
        count(*) over (partition by transaction_id) as copies,
        first_value(row_text) over (best_first) as counted_row,
    from compared
    window best_first as (
        partition by transaction_id
        -- a copy of a day that is not over, or after a pinned as_of, waits
        order by
            case when transaction_date <= {{ last_day_of_copies() }} then 1 else 2 end,
            created_at desc,
            {{ place_of_state() }},
            {{ order_of_content() | join(', ') }}
    )
),

final as (
    select
        * {{ without('counted_row', 'copies') }},
        case
            when copy_number = 1 then null
            when row_text = counted_row then 'exact_duplicate'
            else 'conflicting_duplicate'
        end as rejection_reason,
    from numbered
    where copies > 1   -- two texts may share a hash
)

select * from final
