-- grain: one row per row of the bank's transactions that this run reads, usable or not
with source as (select * from {{ source('bank', 'transactions') }}),

-- each text is converted once here: DuckDB would do it again in every branch of a case
converted as (
    select
        source.*,
        {{ try_convert(transaction_digits('transaction_id'), dbt.type_bigint()) }} as transaction_number,
        {{ try_convert(user_digits('user_id'), dbt.type_bigint()) }} as user_number,
        {{ clean_attribute('transactions_type') }} as transaction_type,
        {{ clean_attribute('transactions_state') }} as transaction_state,
        {{ place_of(clean_word('transactions_type'), known_types()) }} as transaction_type_code,
        {{ place_of(clean_word('transactions_state'), known_states()) }} as transaction_state_code,
        {{ read_plain_moment('created_date') }} as plain_moment,
        {{ read_money('amount_usd') }} as money,
    from source
),

identified as (
    select
        *,
        {{ transaction_key_of_text('transaction_id', 'transaction_number') }} as transaction_key,
        {{ customer_key_of_text('user_id', 'user_number') }} as customer_key,
        {{ read_moment('created_date', 'plain_moment') }} as created_at,
    from converted
),

dated as (
    select
        *,
        {{ bank_day('created_at') }} as transaction_date,
    from identified
),

judged as (
    select
        *,
        cast(case
            when transaction_key is null then {{ code_of('missing_transaction_id', rejection_reasons()) }}
            when customer_key is null then {{ code_of('missing_user_id', rejection_reasons()) }}
            when transaction_date is null then {{ code_of('unreadable_created_date', rejection_reasons()) }}
            when transaction_date > cast('{{ var("current_bank_day") }}' as date) then {{ code_of('in_the_future', rejection_reasons()) }}
            when transaction_date < cast('{{ var("earliest_bank_day") }}' as date) then {{ code_of('too_long_ago', rejection_reasons()) }}
        end as {{ code_type() }}) as rejection_code,
        -- of a row that can be used: what about it is doubtful all the same
        cast(case
            when money is null and nullif({{ trimmed('amount_usd') }}, '') is not null then {{ code_of('unreadable_amount', doubts()) }}
            when money is null and transaction_state_code = {{ code_of('COMPLETED', known_states()) }}
                then {{ code_of('missing_amount', doubts()) }}
            when money < 0 then {{ code_of('negative_amount', doubts()) }}
            when money >= {{ var('absurd_amount_usd') }} and transaction_state_code = {{ code_of('COMPLETED', known_states()) }}
                then {{ code_of('absurd_amount', doubts()) }}
            -- a word that the settings name is known to whoever wrote them
            when transaction_state_code is null
                and not {{ is_a_word_of('transaction_state', known_states(), var('activity_states')) }}
                then {{ code_of('unknown_state', doubts()) }}
            when transaction_type_code is null
                and not {{ is_a_word_of('transaction_type', known_types(), var('activity_excluded_types')) }}
                then {{ code_of('unknown_type', doubts()) }}
        end as {{ code_type() }}) as doubt_code,
    from dated
),

final as (
    select
        source_part,
        nullif({{ without_point_zero(trimmed('transaction_id')) }}, '') as transaction_id,
        transaction_key,
        -- a number is its own text; only other identifiers need keeping
        case when transaction_key < 0 then nullif({{ without_point_zero(trimmed('transaction_id')) }}, '') end as transaction_id_text,
        {{ bare_user_id('user_id') }} as user_id,
        customer_key,
        case when customer_key < 0 then {{ bare_user_id('user_id') }} end as user_id_text,
        transaction_type,
        transaction_type_code,
        transaction_state,
        transaction_state_code,
        money as amount_usd,
        {{ clean_flag('ea_cardholderpresence') }} as is_card_holder_present,
        {{ clean_country_alpha_3('ea_merchant_country') }} as merchant_country,
        created_at,
        transaction_date,
        doubt_code,
        {{ word_at(doubts(), 'doubt_code') }} as doubt,
        rejection_code,
        {{ word_at(rejection_reasons(), 'rejection_code') }} as rejection_reason,
        -- of a row that no column can say it all of; only the columns that are read anyway
        case
            when rejection_code is not null or transaction_type_code is null or transaction_state_code is null
                then {{ columns_as_text([
                    'transaction_id', 'transactions_type', 'transactions_state', 'amount_usd', 'user_id', 'created_date',
                ]) }}
        end as source_row,
    from judged
)

select * from final
